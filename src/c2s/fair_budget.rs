//! How much one client may set going before others have their turn.
//!
//! A task that has bytes to read does not yield by itself for a long time, and those that it wakes
//! wait for this very thread. Without turns, a burst of stanzas fills the mailbox of a client that
//! reads all the time, and closes it.

use crate::config::LimitsConfig;

/// What may still be done in this turn.
#[derive(Debug)]
pub(super) struct FairBudget {
    stanzas: usize,
    bytes: usize,
    left: (usize, usize),
}

impl FairBudget {
    /// A turn is a small part of a mailbox.
    pub(super) fn new(limits: &LimitsConfig) -> Self {
        let (stanzas, bytes) = (limits.inbox_stanzas / PART, limits.inbox_bytes / PART);
        Self { stanzas, bytes, left: (stanzas, bytes) }
    }

    /// A stanza of so many bytes was carried to the end. Lets others run if that was enough.
    pub(super) async fn spend(&mut self, bytes: usize) {
        self.left = (self.left.0.saturating_sub(1), self.left.1.saturating_sub(bytes));
        if self.left.0 == 0 || self.left.1 == 0 {
            self.left = (self.stanzas, self.bytes);
            tokio::task::yield_now().await;
        }
    }
}

/// Several may write to one mailbox at the same time.
const PART: usize = 8;
