//! Devices: the clients that have logged in to an account (XEP-0494).

use async_trait::async_trait;

use super::Result;
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;

/// A client of an account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Device {
    /// The id of the installation (XEP-0388 §2.3). Empty: all clients that do not tell one.
    pub id: String,
    /// The name of the software, as the client told it.
    pub software: Option<String>,
    /// The name of the machine, as the client told it.
    pub device: Option<String>,
    /// The first login.
    pub first_seen: Timestamp,
    /// The last login.
    pub last_seen: Timestamp,
    /// It has proven the password that the account has now.
    pub knows_password: bool,
}

/// A login of a client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeviceLogin {
    /// As in [`Device`].
    pub id: String,
    /// As in [`Device`]. A client that tells none keeps the name that it told before.
    pub software: Option<String>,
    /// The same.
    pub device: Option<String>,
    /// The client has proven the password.
    pub by_password: bool,
}

/// The clients of accounts. An account has [`MOST_DEVICES`] at most: those that were not seen for longest are
/// forgotten. A new password takes `knows_password` from all of them.
#[async_trait]
pub trait DeviceStore: Send + Sync {
    /// Notes a login, of the account and of the client. It is written up to two seconds later, or lost in a crash;
    /// the answer comes when it is written. Whether the client is new and the account had others before. `false`
    /// if there is no such account.
    async fn note_device(&self, user: &BareJid, at: Timestamp, login: &DeviceLogin)
    -> Result<bool>;
    /// The clients of an account, in the order of their ids.
    async fn of(&self, user: &BareJid) -> Result<Vec<Device>>;
    /// Forgets a client. `false` if there is none with this id.
    async fn forget_device(&self, user: &BareJid, id: &str) -> Result<bool>;
    /// Forgets clients of all accounts that were last seen before this time, `limit` at most. Answers how many.
    async fn forget_unseen(&self, before: Timestamp, limit: usize) -> Result<u64>;
}

/// The clients of an account that are remembered.
pub const MOST_DEVICES: usize = 64;
