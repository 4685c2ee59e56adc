//! Small XML documents of an account: vCard, private XML, block list, preferences.
//! A feature which needs no more than this needs no SQL at all.

use async_trait::async_trait;

use super::Result;
use crate::jid::BareJid;

/// Small XML documents of an account.
#[async_trait]
pub trait DocumentStore: Send + Sync {
    /// The document of this kind and key.
    async fn get(&self, owner: &BareJid, kind: &str, key: &str) -> Result<Option<String>>;
    /// All documents of a kind, by key.
    async fn all(&self, owner: &BareJid, kind: &str) -> Result<Vec<(String, String)>>;
    /// Keeps a document in place of any older one of the same kind and key, whatever the account keeps
    /// already: what an account needs to defend itself, and what an administrator sets.
    async fn put(&self, owner: &BareJid, kind: &str, key: &str, xml: &str) -> Result<()>;
    /// The same, for what users keep at will.
    ///
    /// # Errors
    /// `StorageError::Quota` if it would grow and the account has no room left.
    async fn put_within_quota(
        &self,
        owner: &BareJid,
        kind: &str,
        key: &str,
        xml: &str,
    ) -> Result<()>;
    /// Removes a document; `false` if there is none.
    async fn remove(&self, owner: &BareJid, kind: &str, key: &str) -> Result<bool>;
}
