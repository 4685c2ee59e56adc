//! Documents in SQLite.

use async_trait::async_trait;

use super::change::Change;
use super::database::Database;
use super::quota;
use super::write_tx::WriteTx;
use crate::jid::BareJid;
use crate::storage::sql::document;
use crate::storage::{DocumentStore, Result};

#[async_trait]
impl DocumentStore for Database {
    async fn get(&self, owner: &BareJid, kind: &str, key: &str) -> Result<Option<String>> {
        document::get(&mut *self.reader().await?, owner, kind, key).await
    }

    async fn all(&self, owner: &BareJid, kind: &str) -> Result<Vec<(String, String)>> {
        document::all(&mut *self.reader().await?, owner, kind).await
    }

    async fn owners_with(&self, owners: &[BareJid], kind: &str) -> Result<Vec<BareJid>> {
        if owners.is_empty() {
            return Ok(Vec::new());
        }
        document::owners_with(&mut *self.reader().await?, owners, kind).await
    }

    async fn of_each(
        &self,
        owners: &[BareJid],
        kind: &str,
        key: &str,
    ) -> Result<Vec<(BareJid, String)>> {
        if owners.is_empty() {
            return Ok(Vec::new());
        }
        document::of_each(&mut *self.reader().await?, owners, kind, key).await
    }

    async fn put(&self, owner: &BareJid, kind: &str, key: &str, xml: &str) -> Result<()> {
        let name = Name::new(owner, kind, key);
        self.writer.write(Put { name, xml: xml.to_owned(), within_quota: false }).await
    }

    async fn put_within_quota(
        &self,
        owner: &BareJid,
        kind: &str,
        key: &str,
        xml: &str,
    ) -> Result<()> {
        let name = Name::new(owner, kind, key);
        self.writer.write(Put { name, xml: xml.to_owned(), within_quota: true }).await
    }

    async fn remove(&self, owner: &BareJid, kind: &str, key: &str) -> Result<bool> {
        self.writer.write(Remove(Name::new(owner, kind, key))).await
    }
}

struct Name {
    owner: BareJid,
    kind: String,
    key: String,
}

impl Name {
    fn new(owner: &BareJid, kind: &str, key: &str) -> Self {
        Self { owner: owner.clone(), kind: kind.to_owned(), key: key.to_owned() }
    }
}

struct Put {
    name: Name,
    xml: String,
    within_quota: bool,
}

#[async_trait]
impl Change for Put {
    type Answer = ();

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<()> {
        let owner = on.owner(&self.name.owner).await?.number;
        let (kind, key) = (&self.name.kind, &self.name.key);
        let old = document::size(on.tx.connection().await?, owner, kind, key).await?;
        quota::charge(on, &self.name.owner, old, self.xml.len() as u64, self.within_quota).await?;
        document::put(on.tx.connection().await?, owner, kind, key, &self.xml).await
    }
}

struct Remove(Name);

#[async_trait]
impl Change for Remove {
    type Answer = bool;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<bool> {
        let Some(known) = on.owner_if_any(&self.0.owner).await? else { return Ok(false) };
        let was_there =
            document::remove(on.tx.connection().await?, known.number, &self.0.kind, &self.0.key)
                .await?;
        on.memory.freed(&self.0.owner);
        Ok(was_there)
    }
}
