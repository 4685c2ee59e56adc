//! The table of sessions: who is online. A lookup returns copies of references, and holds no lock after it.

use std::hash::{BuildHasher, BuildHasherDefault};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHasher};
use smallvec::SmallVec;
use smol_str::SmolStr;
use tokio::sync::Notify;

use super::ended::DroppedSession;
use super::memory::Memory;
use super::order::CloseReason;
use super::session_ref::SessionRef;
use crate::auth::Revocations;
use crate::jid::{BareJid, FullJid, Jid};
use crate::limit::Level;

/// The sessions of one account, oldest first.
type Sessions = SmallVec<[SessionRef; 2]>;

/// The sessions of this node: who is online.
#[derive(Debug)]
pub struct SessionTable {
    /// Wakes the tasks that wait until sessions have left.
    left: Notify,
    /// Sessions that can be resumed, by the ids that their clients know.
    resumable: Mutex<FxHashMap<SmolStr, SessionRef>>,
    shards: Box<[Mutex<FxHashMap<BareJid, Sessions>>]>,
    /// Logins that must not get a session.
    revocations: Arc<Revocations>,
    /// Sessions that were dropped, until [`SessionTable::dropped`] answers them. There is one for each task
    /// that has panicked.
    dropped: Mutex<Vec<DroppedSession>>,
    /// Wakes when a session was dropped.
    dropped_changed: Notify,
    /// The budget of what all sessions hold; `None`: nothing is counted.
    memory: Option<Level>,
}

impl Default for SessionTable {
    fn default() -> Self {
        Self {
            left: Notify::new(),
            resumable: Mutex::default(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            revocations: Arc::default(),
            dropped: Mutex::default(),
            dropped_changed: Notify::new(),
            memory: None,
        }
    }
}

impl SessionTable {
    /// A table with a budget for what sessions hold for their clients.
    #[must_use]
    pub fn with_memory(memory: Level) -> Self {
        Self { memory: Some(memory), ..Self::default() }
    }

    /// The account of a new session in the budget.
    pub(super) fn memory(&self, jid: &FullJid) -> Memory {
        let level = self.memory.as_ref();
        level.map_or_else(Memory::default, |level| Memory::of(level, jid.bare_str()))
    }

    pub(super) fn enter(&self, handle: &SessionRef, limit: usize) {
        let user = handle.jid().to_bare();
        let mut shard = self.shard(user.as_str()).lock();
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

    /// Removes this session. A newer one of the same full JID stays.
    pub(super) fn leave(&self, handle: &SessionRef) {
        let user = handle.jid().to_bare();
        let mut shard = self.shard(user.as_str()).lock();
        if let Some(sessions) = shard.get_mut(&user) {
            sessions.retain(|s| s != handle);
            if sessions.is_empty() {
                shard.remove(&user);
            }
        }
        if shard.capacity() > 1024 && shard.len() < shard.capacity() / 4 {
            shard.shrink_to_fit();
        }
        drop(shard);
        self.left.notify_waiters();
    }

    /// Closes the sessions of an account whose password was changed, or that was removed, but not `except`.
    /// Logins that have begun give no session. Answers how many sessions were closed.
    pub fn revoke(
        &self,
        user: &BareJid,
        except: Option<&SessionRef>,
        reason: &CloseReason,
    ) -> usize {
        self.revocations.record(user, None);
        let sessions = self.of(user);
        let others = sessions.iter().filter(|session| except != Some(session));
        others.map(|session| session.close(reason.clone())).count()
    }

    /// Logins that must not get a session.
    #[must_use]
    pub fn revocations(&self) -> &Arc<Revocations> {
        &self.revocations
    }

    /// Waits until there is no session for which `which` holds.
    pub async fn emptied(&self, which: impl Fn(&SessionRef) -> bool) {
        loop {
            let left = self.left.notified();
            if !self.all().iter().any(&which) {
                return;
            }
            left.await;
            // Sessions leave one after another: do not look at all of them for each.
            tokio::time::sleep(PAUSE).await;
        }
    }

    pub(super) fn note_dropped(&self, session: DroppedSession) {
        self.dropped.lock().push(session);
        self.dropped_changed.notify_one();
    }

    /// Waits for a session that was dropped and not closed, and answers it once. For one task, which ends
    /// it. May be dropped at any time.
    pub async fn dropped(&self) -> DroppedSession {
        loop {
            if let Some(session) = self.dropped.lock().pop() {
                return session;
            }
            self.dropped_changed.notified().await;
        }
    }

    pub(super) fn resumable(&self, id: SmolStr, handle: &SessionRef) {
        handle.change_facts(|facts| facts.resumable = true);
        self.resumable.lock().insert(id, handle.clone());
    }

    /// The session with this id cannot be resumed any more: it has ended.
    pub(super) fn not_resumable(&self, id: &SmolStr) {
        self.resumable.lock().remove(id);
    }

    /// The session of `user` that can be resumed under this id. `None` also if it is another account's.
    #[must_use]
    pub fn find_resumable(&self, user: &BareJid, id: &str) -> Option<SessionRef> {
        let resumable = self.resumable.lock();
        resumable.get(id).filter(|handle| handle.jid().to_bare() == *user).cloned()
    }

    /// The sessions of an account, oldest first.
    #[must_use]
    pub fn of(&self, user: &BareJid) -> SmallVec<[SessionRef; 2]> {
        self.shard(user.as_str()).lock().get(user).cloned().unwrap_or_default()
    }

    /// The available sessions of an account (RFC 6121 §4), oldest first: those that have sent available
    /// presence and not taken it back.
    #[must_use]
    pub fn available(&self, user: &BareJid) -> SmallVec<[SessionRef; 2]> {
        let mut sessions = self.of(user);
        sessions.retain(|session| session.available().is_some());
        sessions
    }

    /// The session with this address.
    #[must_use]
    pub fn find(&self, jid: &Jid) -> Option<SessionRef> {
        let user = jid.bare_str();
        self.shard(user).lock().get(user)?.iter().find(|s| s.jid() == jid).cloned()
    }

    /// All sessions, in no order.
    #[must_use]
    pub fn all(&self) -> Vec<SessionRef> {
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

    fn shard(&self, user: &str) -> &Mutex<FxHashMap<BareJid, Sessions>> {
        let hash = BuildHasherDefault::<FxHasher>::default().hash_one(user);
        &self.shards[(hash >> 32) as usize % SHARDS]
    }
}

/// Between two checks which sessions are left.
const PAUSE: Duration = Duration::from_millis(20);
/// Enough that two cores rarely need the same one at the same time.
const SHARDS: usize = 64;
