//! Tokens for the HTTP API in memory.

use async_trait::async_trait;

use super::storage::MemoryStorage;
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::{API_TOKENS, ApiToken, ApiTokenHash, ApiTokenStore, Result, StorageError};

#[async_trait]
impl ApiTokenStore for MemoryStorage {
    async fn add_api_token(
        &self,
        owner: &BareJid,
        hash: ApiTokenHash,
        token: &ApiToken,
        limit: u64,
    ) -> Result<bool> {
        let mut state = self.state()?;
        let Some(owner) = state.owners.get_mut(owner) else { return Ok(false) };
        if owner.account.is_none() {
            return Ok(false);
        }
        owner.api_tokens.retain(|(_, old)| !old.is_over(token.created));
        if owner.api_tokens.len() as u64 >= limit {
            return Err(StorageError::Limit(API_TOKENS));
        }
        owner.api_tokens.push((hash, token.clone()));
        owner.api_tokens.sort_by(|(_, a), (_, b)| (a.created, &a.id).cmp(&(b.created, &b.id)));
        Ok(true)
    }

    async fn find_api_token(&self, hash: ApiTokenHash) -> Result<Option<(BareJid, ApiToken)>> {
        let state = self.state()?;
        Ok(state.owners.iter().find_map(|(jid, owner)| {
            let (_, token) = owner.api_tokens.iter().find(|(known, _)| *known == hash)?;
            Some((jid.clone(), token.clone()))
        }))
    }

    async fn api_tokens(&self, owner: &BareJid) -> Result<Vec<ApiToken>> {
        let state = self.state()?;
        let tokens = state.owners.get(owner).into_iter().flat_map(|owner| &owner.api_tokens);
        Ok(tokens.map(|(_, token)| token.clone()).collect())
    }

    async fn note_api_token(&self, hash: ApiTokenHash, at: Timestamp) -> Result<()> {
        let mut state = self.state()?;
        let tokens = state.owners.values_mut().flat_map(|owner| &mut owner.api_tokens);
        for (_, token) in tokens.filter(|(known, _)| *known == hash) {
            token.last_used = Some(at);
        }
        Ok(())
    }

    async fn remove_api_token(&self, owner: &BareJid, id: &str) -> Result<bool> {
        let mut state = self.state()?;
        let Some(owner) = state.owners.get_mut(owner) else { return Ok(false) };
        let before = owner.api_tokens.len();
        owner.api_tokens.retain(|(_, token)| token.id != id);
        Ok(owner.api_tokens.len() < before)
    }
}
