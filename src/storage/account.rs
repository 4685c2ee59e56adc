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

/// What is stored instead of a password (RFC 5802 §3). Nobody can log in with it.
#[derive(Clone, Eq, PartialEq)]
pub struct ScramKeys {
    /// The hash function.
    pub hash: ScramHash,
    /// The salt: 16 random bytes.
    pub salt: Vec<u8>,
    /// How many rounds of PBKDF2.
    pub iterations: u32,
    /// `H(ClientKey)`.
    pub stored_key: Vec<u8>,
    /// `HMAC(SaltedPassword, "Server Key")`.
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
    /// Its address, prepared.
    pub user: BareJid,
    /// Keys, one for each hash.
    pub keys: Vec<ScramKeys>,
    /// When it is made.
    pub created: Timestamp,
    /// Whether it is an administrator: it may run administration commands from chat clients.
    pub admin: bool,
}

/// What happened to one of the accounts to be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Created {
    /// It existed already, and is unchanged.
    Exists,
    /// It was made.
    Made,
}

/// An account as an administrator sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Account {
    /// Its address.
    pub user: BareJid,
    /// When it was made.
    pub created: Timestamp,
    /// The last login, if there was any.
    pub last_login: Option<Timestamp>,
    /// Whether it is an administrator by its role.
    pub admin: bool,
}

/// Accounts, and the keys with which users log in.
#[async_trait]
pub trait AccountStore: Send + Sync {
    /// Makes accounts, all in one transaction. Returns what happened to each, in the same order.
    async fn create(&self, accounts: &[NewAccount]) -> Result<Vec<Created>>;
    /// The account, if there is one.
    async fn find(&self, user: &BareJid) -> Result<Option<Account>>;
    /// The keys of one hash. `None` if there is no such account, or it has no keys of this hash.
    async fn keys(&self, user: &BareJid, hash: ScramHash) -> Result<Option<ScramKeys>>;
    /// The keys of the hash that is cheapest to compute, of those that the account has: SHA-1 first, SHA-512
    /// last. `None` if there is no such account.
    async fn cheapest_keys(&self, user: &BareJid) -> Result<Option<ScramKeys>>;
    /// The hashes of which the account has keys, the cheapest first; none if there is no such account.
    async fn hashes(&self, user: &BareJid) -> Result<Vec<ScramHash>>;
    /// Replaces all keys. `false` if there is no such account.
    async fn set_keys(&self, user: &BareJid, keys: &[ScramKeys]) -> Result<bool>;
    /// Adds keys of a hash for which the account has none. `proven`: keys that the account must have, as it had when
    /// the client proved its password. Existing keys stay. `false` if the account has other keys by now, or was removed.
    async fn add_keys(
        &self,
        user: &BareJid,
        proven: (ScramHash, &[u8]),
        keys: &ScramKeys,
    ) -> Result<bool>;
    /// Gives or takes the role of an administrator. `false` if there is no such
    /// account.
    async fn set_admin(&self, user: &BareJid, admin: bool) -> Result<bool>;
    /// All accounts with the role of an administrator, in the order of their addresses.
    async fn admins(&self) -> Result<Vec<BareJid>>;
    /// Notes a login. It is written up to two seconds later, or lost in a crash.
    async fn note_login(&self, user: &BareJid, at: Timestamp) -> Result<()>;
    /// Removes the account with all that is stored for it. `false` if there is no such account. A room with this
    /// address stays as it is.
    async fn remove(&self, user: &BareJid) -> Result<bool>;
    /// Accounts of `domain` (of all domains if `None`) in the order of their addresses, after `after`,
    /// `limit` at most.
    async fn list(
        &self,
        domain: Option<&str>,
        after: Option<&BareJid>,
        limit: usize,
    ) -> Result<Vec<Account>>;
    /// How many accounts there are in a domain, or in all.
    async fn count(&self, domain: Option<&str>) -> Result<u64>;
    /// The server's secret: 32 random bytes, made on first use. It never changes, so what is derived from
    /// it stays the same: salts of accounts that do not exist, and archive ids for clients.
    async fn secret(&self) -> Result<[u8; 32]>;
}
