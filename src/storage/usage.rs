//! How much an account keeps, and how much it may keep.
//!
//! A message counts for each account that keeps it, with the bytes of its stanza, once: in the archive,
//! or as waiting if it is in no archive. At the quota, what strangers send is refused. What contacts send,
//! and what the account itself sends, pushes the oldest messages out of its archive that have been
//! delivered; if there are none, it is refused.
//!
//! What an account keeps is not counted with each message: a message takes from the room that was left
//! when it was counted last ([`Room`]), and only when that is used up is it counted again.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::Result;
use crate::jid::BareJid;

/// Bytes that an account keeps, by kind.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Usage {
    /// Messages of the archive.
    pub archive: u64,
    /// Documents, by their kind: `vcard`, `private` and others.
    pub documents: BTreeMap<String, u64>,
    /// Items of the roster.
    pub roster: u64,
    /// Messages that wait and are not in the archive.
    pub waiting: u64,
}

impl Usage {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.archive + self.documents.values().sum::<u64>() + self.roster + self.waiting
    }
}

/// How much accounts keep, and how much they may keep.
#[async_trait]
pub trait UsageStore: Send + Sync {
    /// What an account keeps, counted now.
    async fn used(&self, owner: &BareJid) -> Result<Usage>;
    /// How many bytes this account may keep, if that was said for it alone. `u64::MAX`: no bound.
    async fn quota(&self, owner: &BareJid) -> Result<Option<u64>>;
    /// Says how many bytes this account may keep; `None`: as all others. What is there already stays.
    async fn set_quota(&self, owner: &BareJid, bytes: Option<u64>) -> Result<()>;
    /// Says how many bytes all others may keep. Without that, there is no bound.
    fn set_default_quota(&self, bytes: u64);
}

/// The room that an account has, as far as it was counted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Room {
    /// What the account keeps was counted, and so many bytes are left.
    Counted(u64),
    /// So many bytes may come before it is counted. There may be more room than that.
    Granted(u64),
    /// It has to be counted.
    #[default]
    Unknown,
}

impl Room {
    /// For an account of which nothing is known yet. It gets a little, so that not all accounts have to
    /// be counted when the server starts. An account with a quota of its own gets nothing.
    pub(super) fn first(own: Option<u64>, default: u64) -> Self {
        match own {
            Some(_) => Self::Unknown,
            None => Self::Granted((default / 64).min(GRANT)),
        }
    }

    /// After it was counted.
    pub(super) fn left(quota: u64, used: u64) -> Self {
        Self::Counted(quota.saturating_sub(used))
    }

    /// There is room for so many bytes, as far as is known.
    pub(super) fn has(self, bytes: u64) -> bool {
        match self {
            Self::Counted(left) | Self::Granted(left) => left >= bytes,
            Self::Unknown => false,
        }
    }

    /// Takes so many bytes, whether there is room or not.
    pub(super) fn overdraw(&mut self, bytes: u64) {
        if let Self::Counted(left) | Self::Granted(left) = self {
            *left = left.saturating_sub(bytes);
        }
    }

    /// The account keeps less than before. There is at least as much room as was known.
    pub(super) fn freed(self) -> Self {
        match self {
            Self::Counted(left) => Self::Granted(left),
            other => other,
        }
    }

    /// To count again is of no use.
    pub(super) fn is_counted(self) -> bool {
        matches!(self, Self::Counted(_))
    }
}

/// So much is made free at once if anything is: a part of the quota.
pub(super) fn slack(quota: u64) -> u64 {
    quota / 32
}

/// Bytes at most that come to an account before they are counted.
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
    }
}
