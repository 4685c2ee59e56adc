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

impl Subscription {
    /// The contact sees us.
    #[must_use]
    pub fn is_from(self) -> bool {
        matches!(self, Self::Both | Self::From)
    }

    /// We see the contact.
    #[must_use]
    pub fn is_to(self) -> bool {
        matches!(self, Self::Both | Self::To)
    }
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

impl RosterItem {
    /// The groups as they are stored: a JSON array.
    pub(super) fn groups_text(&self) -> String {
        serde_json::Value::from(self.groups.clone()).to_string()
    }

    /// What it counts for in what an account keeps.
    pub(super) fn bytes(&self) -> u64 {
        let pending = self.pending_in.as_ref().map_or(0, String::len);
        (self.jid.as_str().len() + self.name.len() + self.groups_text().len() + pending) as u64
    }
}

/// Grows with each change of a roster (RFC 6121 §2.6). 0: no roster yet.
pub type RosterVersion = u64;

/// What has become of a contact since a version.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RosterChange {
    /// The version with which it got its present form, or went.
    pub version: RosterVersion,
    /// Who.
    pub jid: Jid,
    /// As it is now; `None` if it is not in the roster any more.
    pub item: Option<RosterItem>,
}

/// Contacts.
#[async_trait]
pub trait RosterStore: Send + Sync {
    /// Everything of an owner: the version, and all items with requests, by JID.
    async fn load(&self, owner: &BareJid) -> Result<(RosterVersion, Vec<RosterItem>)>;
    /// One item.
    async fn find(&self, owner: &BareJid, jid: &Jid) -> Result<Option<RosterItem>>;
    /// The version, and what has changed since another one, oldest first and each contact once:
    /// listed items, and those that were. `None` for the changes if they are more than `limit`, or
    /// the other version is not known (any more).
    async fn changes(
        &self,
        owner: &BareJid,
        since: RosterVersion,
        limit: usize,
    ) -> Result<(RosterVersion, Option<Vec<RosterChange>>)>;
    /// Keeps an item in place of an older one, and raises the version.
    ///
    /// # Errors
    /// `StorageError::Quota` if the account has no room for what it grows by, and `StorageError::Limit`
    /// if it would be a new item and there are `limit` already. Items that are
    /// listed and those that are not count apart: requests of strangers never fill a roster.
    async fn put(&self, owner: &BareJid, item: &RosterItem, limit: u32) -> Result<RosterVersion>;
    /// Removes an item and raises the version; `None` if there is none.
    async fn remove(&self, owner: &BareJid, jid: &Jid) -> Result<Option<RosterVersion>>;
    /// Puts `new` in the place of `old`, each of them `None` for no item, and raises the version.
    /// `None` if `old` is not what is there any more: who changes what he has read does it again.
    ///
    /// # Errors
    /// As [`RosterStore::put`].
    async fn replace(
        &self,
        owner: &BareJid,
        jid: &Jid,
        old: Option<&RosterItem>,
        new: Option<&RosterItem>,
        limit: u32,
    ) -> Result<Option<RosterVersion>>;
}
