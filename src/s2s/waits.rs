//! How much waits for one domain of another server, from all domains of ours.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Stanzas that wait for one domain, and their bytes, in all queues for it.
#[derive(Debug, Default)]
pub(super) struct Waits {
    stanzas: AtomicUsize,
    bytes: AtomicUsize,
}

impl Waits {
    /// Whether one more stanza of this size may wait, if not more than `most` stanzas and `bytes` are to wait.
    pub(super) fn has_room(&self, size: usize, most: usize, bytes: usize) -> bool {
        self.stanzas.load(Ordering::Relaxed) < most
            && self.bytes.load(Ordering::Relaxed) + size <= bytes
    }

    /// Notes that one queue has changed: how many stanzas and bytes it had, and has now.
    pub(super) fn changed(&self, (stanzas, bytes): (usize, usize), now: (usize, usize)) {
        self.stanzas.fetch_add(now.0.wrapping_sub(stanzas), Ordering::Relaxed);
        self.bytes.fetch_add(now.1.wrapping_sub(bytes), Ordering::Relaxed);
    }
}
