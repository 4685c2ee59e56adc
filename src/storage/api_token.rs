//! Tokens for the HTTP API: programs act for an account with them.

use async_trait::async_trait;

use super::Result;
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;

/// A token of an account. Its secret is not stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ApiToken {
    /// The id by which its owner names it. It is no secret.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// What may be done with it: words, separated by spaces.
    pub scopes: String,
    /// When it was made.
    pub created: Timestamp,
    /// Until when it is valid. `None`: until it is revoked.
    pub expires: Option<Timestamp>,
    /// When it was used, to some minutes. `None`: never.
    pub last_used: Option<Timestamp>,
}

impl ApiToken {
    /// Whether it is no longer valid.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }
}

/// SHA-256 of the secret of a token. The secret is as long as a key, so nothing slower is needed.
pub type ApiTokenHash = [u8; 32];

/// Tokens of accounts for the HTTP API. They go with their account.
#[async_trait]
pub trait ApiTokenStore: Send + Sync {
    /// Adds a token. Those of the account that are over at the time of its making are removed. `false` if there is no
    /// such account.
    ///
    /// # Errors
    /// `StorageError::Limit` if the account has `limit` tokens already.
    async fn add_api_token(
        &self,
        owner: &BareJid,
        hash: ApiTokenHash,
        token: &ApiToken,
        limit: u64,
    ) -> Result<bool>;
    /// The token with this hash, and its account. It may be over.
    async fn find_api_token(&self, hash: ApiTokenHash) -> Result<Option<(BareJid, ApiToken)>>;
    /// The tokens of an account, in the order in which they were made.
    async fn api_tokens(&self, owner: &BareJid) -> Result<Vec<ApiToken>>;
    /// Notes that a token was used. Does nothing if it is not there any more.
    async fn note_api_token(&self, hash: ApiTokenHash, at: Timestamp) -> Result<()>;
    /// Removes a token. `false` if the account has none with this id.
    async fn remove_api_token(&self, owner: &BareJid, id: &str) -> Result<bool>;
}

/// The limit on the tokens of an account, as `StorageError::Limit` names it.
pub const API_TOKENS: &str = "tokens for the HTTP API";
