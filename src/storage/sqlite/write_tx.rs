//! A transaction that writes: its connection, and what the writer remembers.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use rustc_hash::FxHashMap;

use super::growing_segment::GrowingSegment;
use crate::jid::BareJid;
use crate::storage::sender_shares::Senders;
use crate::storage::sql::owner;
use crate::storage::sql::transaction::Transaction;
use crate::storage::usage::Room;
use crate::storage::{Result, StorageError};

/// A transaction that writes.
pub(in crate::storage) struct WriteTx<'a> {
    /// The statements that are to be committed.
    pub(in crate::storage) tx: Transaction<'a>,
    /// What the writer remembers.
    pub(in crate::storage) memory: &'a mut Memory,
    /// How far ids are ahead of time at most; readers need it, too.
    pub(in crate::storage) lag: &'a AtomicI64,
    /// The quota, in bytes, of owners that have none of their own.
    pub(super) quota: &'a AtomicU64,
}

/// What the writer shares with the readers.
#[derive(Debug)]
pub(in crate::storage) struct Shared {
    /// How far ids are ahead of time at most, as it is stored.
    pub(in crate::storage) lag: Arc<AtomicI64>,
    /// The quota, in bytes, of accounts that have none of their own.
    pub(in crate::storage) quota: Arc<AtomicU64>,
}

/// What the writer remembers of the database. That is safe because no other task writes to the file. It is forgotten
/// when a transaction fails.
pub(in crate::storage) struct Memory {
    /// Owners in two generations: when there are too many young ones, the old ones are dropped.
    young: FxHashMap<BareJid, Known>,
    old: FxHashMap<BareJid, Known>,
    /// How far ids are ahead of time at most, as it is stored.
    pub(in crate::storage) lag: i64,
    pub(super) segment: Option<GrowingSegment>,
    /// The senders of undelivered messages, for a few owners that have many.
    senders: FxHashMap<i64, Senders>,
    /// The quota of owners that have none of their own, when it was read last.
    quota: u64,
    /// Owners whose archives have become shorter in this transaction.
    shortened: Vec<BareJid>,
}

/// What is remembered of an owner.
#[derive(Clone, Copy, Debug)]
pub(in crate::storage) struct Known {
    /// The number.
    pub(in crate::storage) number: i64,
    /// How many messages are undelivered, if they were counted.
    pub(in crate::storage) waiting: Option<u32>,
    /// Its own quota in bytes, if it has one.
    pub(super) quota: Option<u64>,
    /// How much of its quota is left.
    pub(super) room: Room,
}

/// How many owners are remembered, in each generation.
const REMEMBERED: usize = 32_768;
/// For how many owners the senders of undelivered messages are remembered.
const SENDERS: usize = 64;

impl Memory {
    /// Nothing but `lag`.
    pub(super) fn new(lag: i64) -> Self {
        Self {
            young: FxHashMap::default(),
            old: FxHashMap::default(),
            lag,
            segment: None,
            senders: FxHashMap::default(),
            quota: u64::MAX,
            shortened: Vec::new(),
        }
    }

    pub(in crate::storage) fn known(&self, jid: &BareJid) -> Option<Known> {
        self.young.get(jid).or_else(|| self.old.get(jid)).copied()
    }

    pub(in crate::storage) fn remember(&mut self, jid: &BareJid, known: Known) {
        if self.young.len() >= REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(jid.clone(), known);
    }

    /// The archive of an owner becomes shorter.
    pub(super) fn shorten(&mut self, jid: &BareJid) {
        self.shortened.push(jid.clone());
    }

    /// The owners whose archives have become shorter, when the transaction is committed.
    pub(super) fn take_shortened(&mut self) -> Vec<BareJid> {
        std::mem::take(&mut self.shortened)
    }

    /// An owner stores less than before.
    pub(super) fn freed(&mut self, jid: &BareJid) {
        if let Some(known) = self.known(jid) {
            self.remember(jid, Known { room: known.room.freed(), ..known });
        }
    }

    /// The quota of owners that have none of their own may have changed.
    fn notice_quota(&mut self, bytes: u64) {
        if std::mem::replace(&mut self.quota, bytes) == bytes {
            return;
        }
        for known in self.young.values_mut().chain(self.old.values_mut()) {
            known.room = Room::first(known.quota, bytes);
        }
    }

    /// Takes the senders of an owner's undelivered messages out of the memory. The caller puts them back
    /// if they are still right.
    pub(super) fn take_senders(&mut self, owner: i64) -> Option<Senders> {
        if self.senders.is_empty() { None } else { self.senders.remove(&owner) }
    }

    pub(super) fn remember_senders(&mut self, owner: i64, senders: Senders) {
        if self.senders.len() >= SENDERS {
            self.senders.clear();
        }
        self.senders.insert(owner, senders);
    }

    pub(in crate::storage) fn forget(&mut self, jid: &BareJid) {
        self.young.remove(jid);
        self.old.remove(jid);
    }
}

impl<'a> WriteTx<'a> {
    pub(super) fn new(tx: Transaction<'a>, memory: &'a mut Memory, shared: &'a Shared) -> Self {
        Self { tx, memory, lag: &shared.lag, quota: &shared.quota }
    }

    /// Called at the beginning of a transaction.
    pub(super) fn refresh(&mut self) {
        self.memory.notice_quota(self.quota.load(Ordering::Acquire));
    }

    /// The quota of an owner in bytes.
    pub(super) fn quota_of(&self, owner: &Known) -> u64 {
        owner.quota.unwrap_or_else(|| self.quota.load(Ordering::Acquire))
    }

    /// An owner, which is made if it does not exist.
    pub(super) async fn owner(&mut self, jid: &BareJid) -> Result<Known> {
        if let Some(known) = self.owner_if_any(jid).await? {
            return Ok(known);
        }
        self.new_owner(jid).await?.ok_or_else(|| StorageError::Inconsistent {
            table: "owner",
            key: jid.to_string(),
            problem: "not there, and cannot be made".into(),
        })
    }

    /// Makes an owner. `None` if it exists already.
    pub(super) async fn new_owner(&mut self, jid: &BareJid) -> Result<Option<Known>> {
        let number = owner::insert(self.tx.connection().await?, jid).await?;
        let room = Room::first(None, self.quota.load(Ordering::Acquire));
        let known = number.map(|number| Known { number, waiting: Some(0), quota: None, room });
        if let Some(known) = known {
            self.memory.remember(jid, known);
        }
        Ok(known)
    }

    /// An owner, if it exists.
    pub(super) async fn owner_if_any(&mut self, jid: &BareJid) -> Result<Option<Known>> {
        if let Some(known) = self.memory.known(jid) {
            return Ok(Some(known));
        }
        let row = owner::find(self.tx.connection().await?, jid).await?;
        let known = row.map(|(number, quota)| {
            let room = Room::first(quota, self.quota.load(Ordering::Acquire));
            Known { number, waiting: None, quota, room }
        });
        if let Some(known) = known {
            self.memory.remember(jid, known);
        }
        Ok(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jid::Jid;

    fn user(text: &str) -> BareJid {
        Jid::parse(text).unwrap().to_bare()
    }

    #[test]
    fn the_memory_is_bounded_and_keeps_the_newest() {
        let mut memory = Memory::new(0);
        let jid = |n: usize| user(&format!("u{n}@localhost"));
        for n in 0..3 * REMEMBERED {
            let room = Room::Unknown;
            let known = Known { number: n as i64, waiting: None, quota: None, room };
            memory.remember(&jid(n), known);
        }
        assert!(memory.young.len() + memory.old.len() <= 2 * REMEMBERED);
        assert!(memory.known(&jid(0)).is_none());
        assert_eq!(memory.known(&jid(3 * REMEMBERED - 1)).unwrap().number, 98_303);
    }
}
