//! What a change works with: a connection within a transaction, and what the writer remembers.

use std::sync::atomic::AtomicI64;

use rustc_hash::FxHashMap;

use super::Connection;
use super::segment::Segment;
use crate::jid::BareJid;
use crate::storage::{Result, StorageError};

/// What a change works with.
pub(in crate::storage) struct Writing<'a> {
    /// Within a transaction.
    pub(in crate::storage) connection: &'a mut Connection,
    /// What the writer remembers.
    pub(in crate::storage) memory: &'a mut Memory,
    /// How far ids ever ran ahead of time, for those who read.
    pub(in crate::storage) lag: &'a AtomicI64,
}

/// What the writer remembers, as nobody else writes. Forgotten when a transaction fails.
pub(in crate::storage) struct Memory {
    /// Two generations: when the young are too many, the old ones are dropped.
    young: FxHashMap<BareJid, Known>,
    old: FxHashMap<BareJid, Known>,
    /// How far ids ran ahead of time, as far as it is written down.
    pub(in crate::storage) lag: i64,
    pub(super) segment: Option<Segment>,
}

/// What is remembered of an owner.
#[derive(Clone, Copy, Debug)]
pub(in crate::storage) struct Known {
    /// The number.
    pub(in crate::storage) number: i64,
    /// How many messages wait, if they were counted.
    pub(in crate::storage) waiting: Option<u32>,
}

/// How many owners are remembered, in each generation.
const REMEMBERED: usize = 32_768;

impl Memory {
    /// Nothing yet, but `lag`.
    pub(super) fn new(lag: i64) -> Self {
        Self { young: FxHashMap::default(), old: FxHashMap::default(), lag, segment: None }
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

    pub(in crate::storage) fn forget(&mut self, jid: &BareJid) {
        self.young.remove(jid);
        self.old.remove(jid);
    }
}

impl Writing<'_> {
    /// The number of an owner, who is made if there is none.
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

    /// Makes an owner; `None` if there is one.
    pub(super) async fn new_owner(&mut self, jid: &BareJid) -> Result<Option<Known>> {
        let row = sqlx::query_as::<_, (i64,)>(
            "INSERT INTO owner (jid, domain) VALUES ($1, $2) \
             ON CONFLICT (jid) DO NOTHING RETURNING number",
        )
        .bind(jid.as_str())
        .bind(jid.domain())
        .fetch_optional(&mut *self.connection)
        .await?;
        let known = row.map(|(number,)| Known { number, waiting: Some(0) });
        if let Some(known) = known {
            self.memory.remember(jid, known);
        }
        Ok(known)
    }

    /// The number of an owner, if there is one.
    pub(super) async fn owner_if_any(&mut self, jid: &BareJid) -> Result<Option<Known>> {
        if let Some(known) = self.memory.known(jid) {
            return Ok(Some(known));
        }
        let row = sqlx::query_as::<_, (i64,)>("SELECT number FROM owner WHERE jid = $1")
            .bind(jid.as_str())
            .fetch_optional(&mut *self.connection)
            .await?;
        let known = row.map(|(number,)| Known { number, waiting: None });
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
            memory.remember(&jid(n), Known { number: n as i64, waiting: None });
        }
        assert!(memory.young.len() + memory.old.len() <= 2 * REMEMBERED);
        assert!(memory.known(&jid(0)).is_none());
        assert_eq!(memory.known(&jid(3 * REMEMBERED - 1)).unwrap().number, 98_303);
    }
}
