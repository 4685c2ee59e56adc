//! Documents in the storage of the conversations: a removal may be slow, all else is passed on.

use async_trait::async_trait;
use waxwing::jid::BareJid;
use waxwing::storage::{DocumentStore, Result};

use super::Faulty;

#[async_trait]
impl DocumentStore for Faulty {
    async fn get(&self, owner: &BareJid, kind: &str, key: &str) -> Result<Option<String>> {
        self.inner().documents().get(owner, kind, key).await
    }

    async fn all(&self, owner: &BareJid, kind: &str) -> Result<Vec<(String, String)>> {
        self.inner().documents().all(owner, kind).await
    }

    async fn put(&self, owner: &BareJid, kind: &str, key: &str, xml: &str) -> Result<()> {
        self.inner().documents().put(owner, kind, key, xml).await
    }

    async fn put_within_quota(
        &self,
        owner: &BareJid,
        kind: &str,
        key: &str,
        xml: &str,
    ) -> Result<()> {
        self.inner().documents().put_within_quota(owner, kind, key, xml).await
    }

    async fn remove(&self, owner: &BareJid, kind: &str, key: &str) -> Result<bool> {
        self.for_removal().await.documents().remove(owner, kind, key).await
    }
}
