//! How much an account stores, and its quota.
//!
//! A message counts once for each account that holds it, with the bytes of its stanza: as archived, or as
//! undelivered if it is not in the archive. At the quota, messages of strangers are refused. Messages of
//! contacts, and of the account itself, remove the oldest delivered messages from its archive; if there
//! are none, they are refused.
//!
//! A room has no quota ([`super::RoomStore`]). If it is given one, it counts the messages of its archive. What
//! is said under an address of the room (`room@service/nickname`) counts as its own.
//!
//! What an account stores is not counted for each message. A message takes from the room that was left at
//! the last count ([`Room`]). When that is used up, it is counted again.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::Result;
use crate::jid::BareJid;

/// Bytes that an account stores, by kind.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Usage {
    /// Messages of the archive.
    pub archive: u64,
    /// Documents, by their kind: `vcard`, `private` and others.
    pub documents: BTreeMap<String, u64>,
    /// Push registrations.
    pub push: u64,
    /// Nodes with their items (XEP-0060).
    pub pubsub: u64,
    /// Items of the roster.
    pub roster: u64,
    /// Undelivered messages that are not in the archive.
    pub waiting: u64,
}

impl Usage {
    /// The sum.
    #[must_use]
    pub fn total(&self) -> u64 {
        let documents = self.documents.values().sum::<u64>();
        let features = self.push + self.pubsub;
        self.archive + documents + features + self.roster + self.waiting
    }
}

/// How much accounts store, and their quotas.
#[async_trait]
pub trait UsageStore: Send + Sync {
    /// What an account stores, counted now.
    async fn used(&self, owner: &BareJid) -> Result<Usage>;
    /// The quota of this account in bytes, if it was set for this account. `u64::MAX`: no bound.
    async fn quota(&self, owner: &BareJid) -> Result<Option<u64>>;
    /// Sets the quota of this account in bytes. `None`: the same as all others. What is stored already
    /// stays.
    async fn set_quota(&self, owner: &BareJid, bytes: Option<u64>) -> Result<()>;
    /// Sets the quota of all other accounts in bytes. Until this is called, there is no bound.
    fn set_default_quota(&self, bytes: u64);
}

/// The room that an account has left, as far as that is known.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Room {
    /// What the account stores was counted, and this many bytes are left.
    Counted(u64),
    /// This many bytes may come before it is counted. There may be more room than that.
    Granted(u64),
    /// It has to be counted.
    #[default]
    Unknown,
}

impl Room {
    /// For an account of which nothing is known yet. It gets a little room, so that not all accounts have
    /// to be counted after a start. An account with a quota of its own gets none. Without a bound, there is
    /// nothing to count.
    pub(super) fn first(own: Option<u64>, default: u64) -> Self {
        match own {
            Some(u64::MAX) => Self::Counted(u64::MAX),
            Some(_) => Self::Unknown,
            None => Self::Granted((default / 64).min(GRANT)),
        }
    }

    /// After a count.
    pub(super) fn left(quota: u64, used: u64) -> Self {
        Self::Counted(quota.saturating_sub(used))
    }

    /// There is room for this many bytes, as far as is known.
    pub(super) fn has(self, bytes: u64) -> bool {
        match self {
            Self::Counted(left) | Self::Granted(left) => left >= bytes,
            Self::Unknown => false,
        }
    }

    /// Takes this many bytes, whether there is room or not.
    pub(super) fn overdraw(&mut self, bytes: u64) {
        if let Self::Counted(left) | Self::Granted(left) = self {
            *left = left.saturating_sub(bytes);
        }
    }

    /// The account stores less than before. There is at least as much room as was known.
    pub(super) fn freed(self) -> Self {
        match self {
            Self::Counted(left) => Self::Granted(left),
            other => other,
        }
    }

    /// Another count would not find more room.
    pub(super) fn is_counted(self) -> bool {
        matches!(self, Self::Counted(_))
    }
}

/// Bytes that are freed at once beyond what is needed: a part of the quota.
pub(super) fn slack(quota: u64) -> u64 {
    quota / 32
}

/// Bytes that an account may get, at most, before it is counted.
const GRANT: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_until_it_is_used_up() {
        let mut room = Room::left(100, 90);
        assert!(room.has(10) && !room.has(11) && room.is_counted());
        room.overdraw(7);
        assert!(room.has(3) && !room.has(4));
        assert!(room.freed().has(3) && !room.freed().has(4) && !room.freed().is_counted());
        room.overdraw(5);
        assert_eq!(room, Room::Counted(0));
        assert_eq!(Room::left(10, 11), Room::Counted(0));
        let room = Room::first(None, 640);
        assert!(room.has(10) && !room.has(11) && !room.is_counted());
        assert!(!Room::first(Some(640), u64::MAX).has(1));
        assert_eq!(Room::first(None, u64::MAX), Room::Granted(1 << 20));
        assert!(Room::first(Some(u64::MAX), 640).freed().has(1 << 40));
    }
}
