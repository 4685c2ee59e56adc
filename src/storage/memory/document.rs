//! Documents in memory.

use async_trait::async_trait;

use super::state::State;
use super::storage::MemoryStorage;
use crate::jid::BareJid;
use crate::storage::{DocumentStore, Result};

#[async_trait]
impl DocumentStore for MemoryStorage {
    async fn get(&self, owner: &BareJid, kind: &str, key: &str) -> Result<Option<String>> {
        let state = self.state()?;
        let name = (kind.to_owned(), key.to_owned());
        Ok(state.owners.get(owner).and_then(|o| o.documents.get(&name)).cloned())
    }

    async fn all(&self, owner: &BareJid, kind: &str) -> Result<Vec<(String, String)>> {
        let state = self.state()?;
        let documents = state.owners.get(owner).into_iter().flat_map(|o| &o.documents);
        let of_kind = documents.filter(|((k, _), _)| k == kind);
        Ok(of_kind.map(|((_, key), xml)| (key.clone(), xml.clone())).collect())
    }

    async fn put(&self, owner: &BareJid, kind: &str, key: &str, xml: &str) -> Result<()> {
        self.state()?.put_document(owner, (kind, key), xml, false)
    }

    async fn put_within_quota(
        &self,
        owner: &BareJid,
        kind: &str,
        key: &str,
        xml: &str,
    ) -> Result<()> {
        self.state()?.put_document(owner, (kind, key), xml, true)
    }

    async fn remove(&self, owner: &BareJid, kind: &str, key: &str) -> Result<bool> {
        let mut state = self.state()?;
        let name = (kind.to_owned(), key.to_owned());
        let Some(owner) = state.owners.get_mut(owner) else { return Ok(false) };
        owner.room = owner.room.freed();
        Ok(owner.documents.remove(&name).is_some())
    }
}

impl State {
    fn put_document(
        &mut self,
        owner: &BareJid,
        (kind, key): (&str, &str),
        xml: &str,
        within_quota: bool,
    ) -> Result<()> {
        let default = self.default_quota;
        let owner = self.owner(owner);
        let name = (kind.to_owned(), key.to_owned());
        let old = owner.documents.get(&name).map_or(0, |old| old.len() as u64);
        owner.change(default, old, xml.len() as u64, within_quota)?;
        owner.documents.insert(name, xml.to_owned());
        Ok(())
    }
}
