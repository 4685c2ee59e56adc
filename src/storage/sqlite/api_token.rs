//! Tokens for the HTTP API in SQLite.

use async_trait::async_trait;

use super::change::Change;
use super::database::Database;
use super::write_tx::WriteTx;
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::sql::api_token;
use crate::storage::{API_TOKENS, ApiToken, ApiTokenHash, ApiTokenStore, Result, StorageError};

#[async_trait]
impl ApiTokenStore for Database {
    async fn add_api_token(
        &self,
        owner: &BareJid,
        hash: ApiTokenHash,
        token: &ApiToken,
        limit: u64,
    ) -> Result<bool> {
        let add = Add { owner: owner.clone(), hash, token: token.clone(), limit };
        self.writer.write(add).await
    }

    async fn find_api_token(&self, hash: ApiTokenHash) -> Result<Option<(BareJid, ApiToken)>> {
        api_token::find(&mut *self.reader().await?, hash).await
    }

    async fn api_tokens(&self, owner: &BareJid) -> Result<Vec<ApiToken>> {
        api_token::all(&mut *self.reader().await?, owner).await
    }

    async fn note_api_token(&self, hash: ApiTokenHash, at: Timestamp) -> Result<()> {
        self.writer.write(Note(hash, at)).await
    }

    async fn remove_api_token(&self, owner: &BareJid, id: &str) -> Result<bool> {
        self.writer.write(Remove(owner.clone(), id.to_owned())).await
    }
}

struct Add {
    owner: BareJid,
    hash: ApiTokenHash,
    token: ApiToken,
    limit: u64,
}

#[async_trait]
impl Change for Add {
    type Answer = bool;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<bool> {
        let Some(known) = on.owner_if_any(&self.owner).await? else { return Ok(false) };
        let now = self.token.created.as_micros();
        let connection = on.tx.connection().await?;
        api_token::remove_over(&mut *connection, known.number, now).await?;
        if api_token::count(&mut *connection, known.number).await? >= self.limit {
            return Err(StorageError::Limit(API_TOKENS));
        }
        api_token::add(connection, known.number, self.hash, &self.token).await
    }
}

struct Note(ApiTokenHash, Timestamp);

#[async_trait]
impl Change for Note {
    type Answer = ();

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<()> {
        api_token::note(on.tx.connection().await?, self.0, self.1.as_micros()).await
    }
}

struct Remove(BareJid, String);

#[async_trait]
impl Change for Remove {
    type Answer = bool;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<bool> {
        let Some(known) = on.owner_if_any(&self.0).await? else { return Ok(false) };
        api_token::remove(on.tx.connection().await?, known.number, &self.1).await
    }
}
