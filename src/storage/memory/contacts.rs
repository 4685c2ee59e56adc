//! The contacts of an owner in memory.

use std::collections::BTreeMap;

use crate::jid::{BareJid, Jid};
use crate::storage::{RosterItem, RosterVersion, Subscription};

/// The roster of an owner.
#[derive(Debug, Default)]
pub(super) struct Contacts {
    /// Items, each with the version in which it got its present form.
    pub(super) items: BTreeMap<Jid, (RosterVersion, RosterItem)>,
    /// Addresses of removed items, by the version in which they were removed.
    pub(super) removed: BTreeMap<RosterVersion, Jid>,
    pub(super) version: RosterVersion,
    /// The oldest version since which all changes are known.
    pub(super) since: RosterVersion,
}

impl Contacts {
    /// Bytes that count for the quota of the account.
    pub(super) fn bytes(&self) -> u64 {
        self.items.values().map(|(_, item)| item.bytes()).sum()
    }

    /// The user is in the roster, or one of the two sees the presence of the other.
    pub(super) fn is_contact(&self, user: &BareJid) -> bool {
        let item = self.items.get(&Jid::from(user.clone()));
        item.is_some_and(|(_, i)| i.listed || i.subscription != Subscription::None)
    }
}
