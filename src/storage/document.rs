//! Small XML documents of an account: vCard, private XML, block list, preferences.
//! A feature that stores only such documents needs no SQL.

use async_trait::async_trait;

use super::Result;
use crate::jid::BareJid;

/// Small XML documents of an account.
#[async_trait]
pub trait DocumentStore: Send + Sync {
    /// The document of this kind and key, if there is one.
    async fn get(&self, owner: &BareJid, kind: &str, key: &str) -> Result<Option<String>>;
    /// All documents of a kind, in the order of their keys.
    async fn all(&self, owner: &BareJid, kind: &str) -> Result<Vec<(String, String)>>;
    /// Those of these owners that have documents of a kind.
    async fn owners_with(&self, owners: &[BareJid], kind: &str) -> Result<Vec<BareJid>> {
        let mut found = Vec::new();
        for owner in owners {
            if !self.all(owner, kind).await?.is_empty() {
                found.push(owner.clone());
            }
        }
        Ok(found)
    }
    /// The document of this kind and key of each of these owners that has one. All are in memory at once: for small
    /// ones, and not too many owners.
    async fn of_each(
        &self,
        owners: &[BareJid],
        kind: &str,
        key: &str,
    ) -> Result<Vec<(BareJid, String)>> {
        let mut found = Vec::new();
        for owner in owners {
            found.extend(self.get(owner, kind, key).await?.map(|xml| (owner.clone(), xml)));
        }
        Ok(found)
    }
    /// Stores a document in place of an older one of the same kind and key, even if the account has used
    /// up its quota: for what an account needs to protect itself, and for what an administrator sets.
    async fn put(&self, owner: &BareJid, kind: &str, key: &str, xml: &str) -> Result<()>;
    /// The same within the quota, for what users store as they like.
    ///
    /// # Errors
    /// `StorageError::Quota` if the document grows and the account has no room left.
    async fn put_within_quota(
        &self,
        owner: &BareJid,
        kind: &str,
        key: &str,
        xml: &str,
    ) -> Result<()>;
    /// Removes a document. `false` if there is none.
    async fn remove(&self, owner: &BareJid, kind: &str, key: &str) -> Result<bool>;
}
