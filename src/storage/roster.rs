//! RFC 6121 §2: contacts.

use async_trait::async_trait;

use super::Result;
use crate::jid::{BareJid, Jid};

/// Who sees whose presence (RFC 6121 §2.1.2.5).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Subscription {
    /// Both see each other.
    Both,
    /// The contact sees us.
    From,
    /// Nobody sees anybody.
    #[default]
    None,
    /// We see the contact.
    To,
}

/// A contact, or a request of somebody who is not one yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RosterItem {
    /// Who. Usually bare; a domain is possible.
    pub jid: Jid,
    /// The name given by the owner; empty if none.
    pub name: String,
    /// Groups, without doubles.
    pub groups: Vec<String>,
    /// Who sees whom.
    pub subscription: Subscription,
    /// We asked and wait for the answer (`ask='subscribe'`, RFC 6121 §3.1.2).
    pub pending_out: bool,
    /// They asked and wait: the whole `<presence type='subscribe'/>` as it came (RFC 6121 §3.1.3),
    /// to be shown at each login until it is answered.
    pub pending_in: Option<String>,
    /// Pre-approved by the owner (RFC 6121 §3.4).
    pub approved: bool,
    /// The owner has it in the roster. `false`: nothing but a request, never sent in a roster.
    pub listed: bool,
}

/// Grows with each change of a roster (RFC 6121 §2.6). 0: no roster yet.
pub type RosterVersion = u64;

/// Contacts.
#[async_trait]
pub trait RosterStore: Send + Sync {
    /// Everything of an owner: the version, and all items with requests, by JID.
    async fn load(&self, owner: &BareJid) -> Result<(RosterVersion, Vec<RosterItem>)>;
    /// One item.
    async fn find(&self, owner: &BareJid, jid: &Jid) -> Result<Option<RosterItem>>;
    /// Keeps an item in place of an older one, and raises the version.
    ///
    /// # Errors
    /// `StorageError::Limit` if it would be a new item and there are `limit` already. Items that are
    /// listed and those that are not count apart: requests of strangers never fill a roster.
    async fn put(&self, owner: &BareJid, item: &RosterItem, limit: u32) -> Result<RosterVersion>;
    /// Removes an item and raises the version; `None` if there is none.
    async fn remove(&self, owner: &BareJid, jid: &Jid) -> Result<Option<RosterVersion>>;
}
