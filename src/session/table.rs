//! Who is online. Hands out copies, never guards.

use std::collections::VecDeque;
use std::hash::{BuildHasher, BuildHasherDefault};

use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHasher};
use smallvec::SmallVec;
use smol_str::SmolStr;

use super::{CloseReason, SessionHandle};
use crate::jid::{BareJid, FullJid};

/// The sessions of one account, oldest first.
type Sessions = SmallVec<[SessionHandle; 2]>;

/// Who is online.
#[derive(Debug)]
pub struct SessionTable {
    /// Sessions that can be resumed, and those of which nothing is left but how many stanzas they
    /// handled.
    resumable: Mutex<Resumable>,
    shards: Box<[Mutex<FxHashMap<BareJid, Sessions>>]>,
}

impl Default for SessionTable {
    fn default() -> Self {
        Self {
            resumable: Mutex::default(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }
}

impl SessionTable {
    pub(super) fn enter(&self, handle: &SessionHandle, limit: usize) {
        let user = handle.jid().to_bare();
        let mut shard = self.shard(&user).lock();
        let sessions = shard.entry(user).or_default();
        let mut replaced = Sessions::new();
        if let Some(i) = sessions.iter().position(|s| s.jid() == handle.jid()) {
            replaced.push(sessions.remove(i));
        }
        while sessions.len() >= limit.max(1) {
            replaced.push(sessions.remove(0));
        }
        sessions.push(handle.clone());
        drop(shard);
        for old in replaced {
            old.close(CloseReason::Conflict);
        }
    }

    /// Only if it is this very session: a newer one of the same address stays.
    pub(super) fn leave(&self, handle: &SessionHandle) {
        let user = handle.jid().to_bare();
        let mut shard = self.shard(&user).lock();
        if let Some(sessions) = shard.get_mut(&user) {
            sessions.retain(|s| s != handle);
            if sessions.is_empty() {
                shard.remove(&user);
            }
        }
        if shard.capacity() > 1024 && shard.len() < shard.capacity() / 4 {
            shard.shrink_to_fit();
        }
    }

    pub(super) fn resumable(&self, id: SmolStr, handle: &SessionHandle) {
        self.resumable.lock().alive.insert(id, handle.clone());
    }

    /// It has ended. How many stanzas it handled is remembered for a while (XEP-0198 §5).
    pub(super) fn not_resumable(&self, id: &SmolStr, handle: &SessionHandle, handled: u32) {
        let mut resumable = self.resumable.lock();
        if resumable.alive.remove(id).is_none() {
            return;
        }
        if resumable.ended.len() >= MAX_ENDED {
            resumable.ended.pop_front();
        }
        resumable.ended.push_back((id.clone(), handle.jid().to_bare(), handled));
    }

    /// The session of `user` that can be resumed under this id; else how many stanzas it handled,
    /// if that is still known.
    ///
    /// # Errors
    /// Those of another account are as unknown as those that never were.
    pub fn find_resumable(&self, user: &BareJid, id: &str) -> Result<SessionHandle, Option<u32>> {
        let resumable = self.resumable.lock();
        match resumable.alive.get(id).filter(|handle| handle.jid().to_bare() == *user) {
            Some(handle) => Ok(handle.clone()),
            None => Err(resumable
                .ended
                .iter()
                .rev()
                .find(|(ended, of, _)| ended == id && of == user)
                .map(|(_, _, handled)| *handled)),
        }
    }

    /// The sessions of an account, oldest first.
    #[must_use]
    pub fn of(&self, user: &BareJid) -> SmallVec<[SessionHandle; 2]> {
        self.shard(user).lock().get(user).cloned().unwrap_or_default()
    }

    /// The session with this address.
    #[must_use]
    pub fn find(&self, jid: &FullJid) -> Option<SessionHandle> {
        let user = jid.to_bare();
        self.shard(&user).lock().get(&user)?.iter().find(|s| s.jid() == jid).cloned()
    }

    /// All of them, in no order.
    #[must_use]
    pub fn all(&self) -> Vec<SessionHandle> {
        self.shards
            .iter()
            .flat_map(|shard| shard.lock().values().flatten().cloned().collect::<Vec<_>>())
            .collect()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shards.iter().map(|s| s.lock().values().map(SmallVec::len).sum::<usize>()).sum()
    }

    fn shard(&self, user: &BareJid) -> &Mutex<FxHashMap<BareJid, Sessions>> {
        let hash = BuildHasherDefault::<FxHasher>::default().hash_one(user);
        &self.shards[(hash >> 32) as usize % SHARDS]
    }
}

#[derive(Debug, Default)]
struct Resumable {
    alive: FxHashMap<SmolStr, SessionHandle>,
    ended: VecDeque<(SmolStr, BareJid, u32)>,
}

/// Ended sessions whose count of stanzas is remembered.
const MAX_ENDED: usize = 4096;
/// Enough that two cores rarely meet.
const SHARDS: usize = 64;
