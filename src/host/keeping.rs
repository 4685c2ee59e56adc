//! What is stored because of the stanza that is handled, and what the stanza costs.

use crate::stanza::{IqKind, Stanza};
use crate::storage::{Handled, MessageId, Receipts};

/// What is stored because of the stanza that is handled, and because of the stanzas that it causes.
#[derive(Debug, Default)]
pub struct Keeping {
    /// How many stanzas its client has sent, with this one; stored together with the first message
    /// that is stored (XEP-0198 §4). `None` if nothing is to be stored, or if it was stored already.
    pub handled: Option<Handled>,
    /// These resolve when what was stored is on the disk.
    pub receipts: Receipts,
    /// The message is in the archive of its sender, under this number.
    pub archived: Option<MessageId>,
    /// What it has cost so far, in steps of the budget `work`.
    pub steps: u32,
}

impl Keeping {
    /// For a stanza of a client. Nothing is stored yet; a request that sets something counts as a
    /// write.
    #[must_use]
    pub fn of(stanza: &Stanza, handled: Option<Handled>) -> Self {
        let mut this = Self { handled, steps: 1, ..Self::default() };
        if matches!(stanza, Stanza::Iq(iq) if iq.kind == IqKind::Set) {
            this.count_writes(1);
        }
        this
    }

    /// Counts deliveries to `count` sessions or accounts.
    pub fn count_deliveries(&mut self, count: usize) {
        self.steps = self.steps.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// Counts `count` writes to the store.
    pub fn count_writes(&mut self, count: usize) {
        self.count_deliveries(count.saturating_mul(STEPS_OF_A_WRITE));
    }
}

/// For whom a message was stored. It is stored once, under one number: that is its id in both
/// archives, and its undelivered marker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Kept {
    /// The number.
    pub id: MessageId,
    /// Whether it is in the archive of its sender.
    pub in_sender: bool,
    /// Whether it is in the archive of its recipient.
    pub in_recipient: bool,
    /// The recipient has an undelivered marker for it, until a client has the message.
    pub has_marker: bool,
}

impl Kept {
    /// The undelivered marker, if there is one.
    #[must_use]
    pub fn marker(&self) -> Option<MessageId> {
        self.has_marker.then_some(self.id)
    }
}

/// A write costs about as much as this number of deliveries.
const STEPS_OF_A_WRITE: usize = 4;
