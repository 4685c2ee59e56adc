//! What the writer and the readers know of messages that are not on the disk yet.

use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;

use crate::jid::BareJid;
use crate::metrics::Metrics;
use crate::storage::{End, NewMessage, ReadCache};

/// What is not durable yet, and what is known of owners until something becomes so.
#[derive(Debug)]
pub(super) struct UnderWay {
    /// Messages.
    pub(super) messages: AtomicUsize,
    /// Removals of markers.
    pub(super) markers: AtomicUsize,
    /// Owners for whom no message waits, on the disk or on the way there: nearly all who log in. It is told when a
    /// message that waits is handed over, and again when it is on the disk: what was read in between does not count.
    pub(super) quiet: ReadCache<BareJid, ()>,
    /// The ends of archives. It is told in the same way of messages that go into an archive, and of archives that have
    /// become shorter.
    pub(super) ends: ReadCache<BareJid, Option<(End, End)>>,
    /// The metrics in which commits are counted.
    pub(super) metrics: OnceLock<Metrics>,
}

impl Default for UnderWay {
    fn default() -> Self {
        let (messages, markers, metrics) = Default::default();
        let (quiet, ends) = (ReadCache::new(QUIET_BYTES), ReadCache::new(ENDS_BYTES));
        Self { messages, markers, quiet, ends, metrics }
    }
}

impl UnderWay {
    /// Notes that a message waits for some of its holders now, and is in the archives of some.
    pub(super) fn disturb(&self, message: &NewMessage) {
        for holder in &message.holders {
            if holder.waiting {
                self.quiet.forget(&holder.owner);
            }
            if holder.archive {
                self.ends.forget(&holder.owner);
            }
        }
    }
}

/// Bytes of addresses for which no message waits: some 40,000.
const QUIET_BYTES: usize = 4 << 20;
/// Bytes of the ends of archives: some 30,000.
const ENDS_BYTES: usize = 4 << 20;
