//! Messages in flight: the session was given them, and its client does not have them yet.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::storage::MessageId;

/// Messages in flight, by their undelivered markers.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    /// The size of each, in bytes.
    sizes: FxHashMap<MessageId, usize>,
    /// The sum of the sizes.
    bytes: usize,
}

impl InFlight {
    pub(super) fn insert(&mut self, marker: MessageId, size: usize) {
        if self.sizes.insert(marker, size).is_none() {
            self.bytes += size;
        }
    }

    /// Removes a message. When the last one is removed, the memory on the heap is freed.
    pub(super) fn remove(&mut self, marker: MessageId) {
        if let Some(size) = self.sizes.remove(&marker) {
            self.bytes -= size;
        }
        if self.sizes.is_empty() {
            self.sizes = FxHashMap::default();
        }
    }

    pub(super) fn contains(&self, marker: MessageId) -> bool {
        self.sizes.contains_key(&marker)
    }

    pub(super) fn markers(&self) -> FxHashSet<MessageId> {
        self.sizes.keys().copied().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.sizes.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
