//! RFC 6121 §2: contacts.

use async_trait::async_trait;

use super::Result;
use crate::jid::{BareJid, Jid};

/// Who sees whose presence (RFC 6121 §2.1.2.5).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Subscription {
    /// The user and the contact see each other's presence.
    Both,
    /// The contact sees the presence of the user.
    From,
    /// Neither sees the presence of the other.
    #[default]
    None,
    /// The user sees the presence of the contact.
    To,
}

impl Subscription {
    /// The contact sees the presence of the user.
    #[must_use]
    pub fn is_from(self) -> bool {
        matches!(self, Self::Both | Self::From)
    }

    /// The user sees the presence of the contact.
    #[must_use]
    pub fn is_to(self) -> bool {
        matches!(self, Self::Both | Self::To)
    }
}

/// A contact, or a subscription request of somebody who is not a contact yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RosterItem {
    /// The address. Usually bare; a domain is possible.
    pub jid: Jid,
    /// The name that the user gave to the contact; empty if none.
    pub name: String,
    /// Groups, each once.
    pub groups: Vec<String>,
    /// Who sees whose presence.
    pub subscription: Subscription,
    /// The user has asked for a subscription and has no answer yet (`ask='subscribe'`, RFC 6121 §3.1.2).
    pub pending_out: bool,
    /// The contact has asked for a subscription: the whole `<presence type='subscribe'/>` as it came. It
    /// is delivered at each login until the user answers it (RFC 6121 §3.1.3).
    pub pending_in: Option<String>,
    /// Pre-approved by the user (RFC 6121 §3.4).
    pub approved: bool,
    /// Whether it is in the user's roster. `false`: it is only a request, and never sent in a roster.
    pub listed: bool,
}

impl RosterItem {
    /// The groups as they are stored: a JSON array.
    pub(super) fn groups_text(&self) -> String {
        serde_json::Value::from(self.groups.clone()).to_string()
    }

    /// Bytes that count for the quota of the account.
    pub(super) fn bytes(&self) -> u64 {
        let pending = self.pending_in.as_ref().map_or(0, String::len);
        (self.jid.as_str().len() + self.name.len() + self.groups_text().len() + pending) as u64
    }
}

/// Grows with each change of a roster (RFC 6121 §2.6). 0 if there is no roster yet.
pub type RosterVersion = u64;

/// The version of a roster after its first change. It depends on the owner's number, which is never used
/// again. So a client that remembers the roster of a removed account does not take it for the roster of a
/// new account of the same address (RFC 6121 §2.6).
pub(super) fn first_version(owner: i64) -> RosterVersion {
    (owner.unsigned_abs() << 32) | 1
}

/// How many removed items are remembered for each owner, so that clients learn what was removed.
pub(super) const MAX_REMOVED: usize = 256;

/// How a contact has changed since a version.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RosterChange {
    /// The version in which it got its present form, or was removed.
    pub version: RosterVersion,
    /// The address of the contact.
    pub jid: Jid,
    /// The item as it is now. `None` if it was removed.
    pub item: Option<RosterItem>,
}

/// Rosters.
#[async_trait]
pub trait RosterStore: Send + Sync {
    /// The version, and all items in the order of their addresses. Requests are among them.
    async fn load(&self, owner: &BareJid) -> Result<(RosterVersion, Vec<RosterItem>)>;
    /// One item.
    async fn find(&self, owner: &BareJid, jid: &Jid) -> Result<Option<RosterItem>>;
    /// The item with this address of each of these owners that has one. All are in memory at once: for not too many
    /// owners.
    async fn find_in_each(
        &self,
        owners: &[BareJid],
        jid: &Jid,
    ) -> Result<Vec<(BareJid, RosterItem)>> {
        let mut found = Vec::new();
        for owner in owners {
            found.extend(self.find(owner, jid).await?.map(|item| (owner.clone(), item)));
        }
        Ok(found)
    }
    /// The version, and what has changed since `since`, oldest first and each contact once: items that
    /// are listed, and items that were. `None` for the changes if there are more than `limit`, or if
    /// `since` was never known or is too old.
    async fn changes(
        &self,
        owner: &BareJid,
        since: RosterVersion,
        limit: usize,
    ) -> Result<(RosterVersion, Option<Vec<RosterChange>>)>;
    /// Stores an item in place of an older one, and raises the version.
    ///
    /// # Errors
    /// `StorageError::Quota` if the item grows and the account has no room left. `StorageError::Limit` if
    /// the item is new and there are `limit` already. Items that are listed and items that are not are
    /// counted apart, so requests of strangers never fill a roster.
    async fn put(&self, owner: &BareJid, item: &RosterItem, limit: u32) -> Result<RosterVersion>;
    /// Removes an item and raises the version. `None` if there is no such item.
    async fn remove(&self, owner: &BareJid, jid: &Jid) -> Result<Option<RosterVersion>>;
    /// Replaces `old` by `new`, where `None` means no item, and raises the version. Returns `None` and
    /// changes nothing if `old` is not what is stored: another task, or another node, was faster, and
    /// the caller reads the item again.
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
