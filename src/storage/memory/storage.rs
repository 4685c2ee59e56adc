//! The storage in memory, as one node sees it. Each store is implemented for it in a file of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};

use super::pubsub_node::StoredNode;
use super::state::State;
use crate::jid::BareJid;
use crate::storage::{NodeNumber, Result, StorageError};

/// The storage in memory.
#[derive(Debug)]
pub struct MemoryStorage {
    shared: Arc<Shared>,
    pub(super) node: NodeNumber,
}

/// What all nodes of a store have in common.
#[derive(Debug)]
struct Shared {
    /// `None` when it is closed.
    state: Mutex<Option<State>>,
    /// The quota, in bytes, of accounts that have none of their own.
    quota: AtomicU64,
}

impl MemoryStorage {
    /// An empty storage.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let state = Mutex::new(Some(State::default()));
        let shared = Arc::new(Shared { state, quota: AtomicU64::new(u64::MAX) });
        let storage = Self { shared, node: NodeNumber::default() };
        Arc::new(storage.node(NodeNumber::default()))
    }

    /// Another node on the same storage. What one node writes, all read. Closing one closes all. For tests
    /// of what several nodes do.
    #[must_use]
    pub fn node(&self, node: NodeNumber) -> Self {
        if let Ok(mut state) = self.state() {
            state.ids(node);
        }
        Self { shared: Arc::clone(&self.shared), node }
    }

    /// All that is stored, for as long as it is locked.
    pub(super) fn state(&self) -> Result<MappedMutexGuard<'_, State>> {
        let mut state = MutexGuard::try_map(self.shared.state.lock(), Option::as_mut)
            .map_err(|_| StorageError::closed())?;
        state.default_quota = self.shared.quota.load(Ordering::Acquire);
        Ok(state)
    }

    /// Sets the quota, in bytes, of accounts that have none of their own. Returns whether it has changed.
    pub(super) fn replace_default_quota(&self, bytes: u64) -> bool {
        self.shared.quota.swap(bytes, Ordering::AcqRel) != bytes
    }

    pub(super) fn close_all_nodes(&self) {
        *self.shared.state.lock() = None;
    }
}

impl MemoryStorage {
    /// Does something with a node of an owner, if it is there.
    pub(super) fn of_node<T>(
        &self,
        owner: &BareJid,
        name: &str,
        act: impl FnOnce(&mut StoredNode) -> T,
    ) -> Result<Option<T>> {
        let mut state = self.state()?;
        let Some(owner) = state.owners.get_mut(owner) else { return Ok(None) };
        owner.room = owner.room.freed();
        Ok(owner.nodes.get_mut(name).map(act))
    }
}
