//! Accounts and the keys with which their owners log in.

use async_trait::async_trait;

use super::Result;
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;

/// A hash function of SCRAM.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ScramHash {
    /// RFC 5802. Many clients know nothing else.
    Sha1,
    /// RFC 7677.
    Sha256,
    /// draft-melnikov-scram-sha-512.
    Sha512,
}

/// What is stored in place of a password (RFC 5802 §3): nobody can log in with it.
#[derive(Clone, Eq, PartialEq)]
pub struct ScramKeys {
    /// Of which hash.
    pub hash: ScramHash,
    /// 16 random bytes.
    pub salt: Vec<u8>,
    /// Rounds of PBKDF2.
    pub iterations: u32,
    /// H(ClientKey).
    pub stored_key: Vec<u8>,
    /// HMAC(SaltedPassword, "Server Key").
    pub server_key: Vec<u8>,
}

impl std::fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ScramKeys({:?}, {} rounds)", self.hash, self.iterations)
    }
}

/// An account to be made.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Local part and domain, prepared.
    pub user: BareJid,
    /// One for each hash.
    pub keys: Vec<ScramKeys>,
    /// When.
    pub created: Timestamp,
    /// It is an administrator: it may give the administrator's commands by its chat clients.
    pub admin: bool,
}

/// What became of one of many accounts to be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Created {
    /// It was there already and is as it was.
    Exists,
    /// It is new.
    Made,
}

/// An account as an administrator sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Account {
    /// Whose.
    pub user: BareJid,
    /// Since when.
    pub created: Timestamp,
    /// The last login, if there was one.
    pub last_login: Option<Timestamp>,
    /// It is an administrator by its role.
    pub admin: bool,
}

/// Who may log in.
#[async_trait]
pub trait AccountStore: Send + Sync {
    /// Makes accounts, all in one transaction; answers for each in order.
    async fn create(&self, accounts: &[NewAccount]) -> Result<Vec<Created>>;
    /// The account, if there is one.
    async fn find(&self, user: &BareJid) -> Result<Option<Account>>;
    /// The keys of one hash; `None` if there is no such account, or it has none of this hash.
    async fn keys(&self, user: &BareJid, hash: ScramHash) -> Result<Option<ScramKeys>>;
    /// Replaces all keys. `false` if there is no such account.
    async fn set_keys(&self, user: &BareJid, keys: &[ScramKeys]) -> Result<bool>;
    /// Gives the account the role of an administrator, or takes it away. `false` if there is no such
    /// account.
    async fn set_admin(&self, user: &BareJid, admin: bool) -> Result<bool>;
    /// All accounts with the role of an administrator, in the order of their JIDs.
    async fn admins(&self) -> Result<Vec<BareJid>>;
    /// Notes a login. May be written late; it is not worth a wait.
    async fn note_login(&self, user: &BareJid, at: Timestamp) -> Result<()>;
    /// Removes the account with all that is kept for it. `false` if there is none.
    async fn remove(&self, user: &BareJid) -> Result<bool>;
    /// Accounts of `domain` (of all if `None`) in the order of their JIDs, from the one behind
    /// `after` on, `limit` at most.
    async fn list(
        &self,
        domain: Option<&str>,
        after: Option<&BareJid>,
        limit: usize,
    ) -> Result<Vec<Account>>;
    /// How many there are in a domain, or in all.
    async fn count(&self, domain: Option<&str>) -> Result<u64>;
    /// The server's own secret (32 random bytes, made on first use): salts of accounts that do
    /// not exist come from it, so they stay the same for ever.
    async fn secret(&self) -> Result<[u8; 32]>;
}
