//! The state of a mailbox, which the owner of the session and all others share. What is done with it is in
//! `mailbox.rs`.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::catch_up_state::CatchUpState;
use super::delivery::Delivery;
use super::memory::Memory;
use super::order::{CloseReason, Order};
use super::spared::Spared;
use crate::storage::MessageId;

/// Bounds of a mailbox (`limits.inbox_stanzas`, `limits.inbox_bytes`).
#[derive(Clone, Copy, Debug)]
pub struct MailboxLimits {
    /// Stanzas.
    pub stanzas: usize,
    /// Bytes, about. One stanza always fits, however large it is.
    pub bytes: usize,
}

/// The state of a mailbox with its bounds, and who is woken when it changes.
///
/// An empty one holds no memory on the heap: there may be a hundred thousand idle sessions.
#[derive(Debug)]
pub(super) struct SharedMailbox {
    pub(super) limits: MailboxLimits,
    pub(super) state: Mutex<MailboxState>,
    /// Wakes the writing loop. A wake between two waits is not lost.
    pub(super) filled: Notify,
    /// Wakes the reading loop of the same session, which waits while the client's own answers pile up.
    pub(super) drained: Notify,
    /// Wakes the loop that catches up.
    pub(super) catch_up_changed: Notify,
    /// What the session holds, for its budget.
    pub(super) memory: Memory,
    /// Since when the client has been asked to acknowledge, without an answer.
    asked_since: Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
pub(super) struct MailboxState {
    pub(super) queue: VecDeque<Delivery>,
    /// About how many bytes the queue holds.
    pub(super) bytes: usize,
    /// Since when the first stanza waits to be written; `None` if no writing loop runs.
    pub(super) waiting_since: Option<Instant>,
    pub(super) order: Option<Order>,
    pub(super) catch_up: CatchUpState,
    /// The owner has something to write that is not a stanza.
    pub(super) is_writer_woken: bool,
    /// Since when nobody looks at the client (XEP-0352): stanzas that can wait do.
    pub(super) inactive_since: Option<Instant>,
    /// What the client is spared then.
    pub(super) spared: Spared,
    /// Something is queued that does not wait for the client to be active.
    pub(super) is_due: bool,
    /// Nobody writes: the connection is gone.
    pub(super) has_no_writer: bool,
    /// Stanzas that are worthless later are refused as long as nobody writes.
    pub(super) sheds_transient: bool,
    /// The session was told to close.
    pub(super) is_ending: bool,
    /// The client did not read, or did not acknowledge.
    pub(super) has_overrun: bool,
    /// The session has ended: it accepts neither stanzas nor orders.
    pub(super) is_closed: bool,
}

/// What is in a mailbox, all at one moment. Messages that are buffered while the session catches up are left
/// out: they have their markers, behind messages that have not been read from the store.
pub(super) struct Contents {
    /// The stanzas that are queued.
    pub(super) queue: Vec<Delivery>,
    /// Catching up was requested and has not ended.
    pub(super) is_catching_up: bool,
    /// The first message that was deferred and has not been read from the store, or was buffered.
    pub(super) first_unsaved: Option<MessageId>,
    /// Messages that the client has got since catching up was requested.
    pub(super) received: Vec<MessageId>,
}

impl MailboxState {
    /// There are stanzas to be written now.
    pub(super) fn has_stanzas_due(&self) -> bool {
        !self.queue.is_empty() && (self.is_due || self.inactive_since.is_none())
    }

    fn contents(&self) -> Contents {
        Contents {
            queue: self.queue.iter().cloned().collect(),
            is_catching_up: self.catch_up.is_requested(),
            first_unsaved: self.catch_up.first_unsaved(),
            received: self.catch_up.received(),
        }
    }
}

impl SharedMailbox {
    pub(super) fn new(limits: MailboxLimits, memory: Memory) -> Self {
        Self {
            limits,
            state: Mutex::default(),
            filled: Notify::new(),
            drained: Notify::new(),
            catch_up_changed: Notify::new(),
            memory,
            asked_since: Mutex::default(),
        }
    }

    /// Notes since when the client has been asked to acknowledge, without an answer.
    pub(super) fn note_asked(&self, since: Option<Instant>) {
        *self.asked_since.lock() = since;
    }

    /// Since when the client has been asked.
    pub(super) fn asked_since(&self) -> Option<Instant> {
        *self.asked_since.lock()
    }

    /// Gives the owner an order. If another one waits already, [`Order::is_replaced_by`] decides.
    pub(super) fn order(&self, order: Order) {
        let mut state = self.state.lock();
        state.is_ending |= matches!(order, Order::Close(_));
        state.has_overrun |= matches!(order, Order::Close(CloseReason::Overrun));
        let is_next = state.order.as_ref().is_none_or(|waiting| waiting.is_replaced_by(&order));
        if !state.is_closed && is_next {
            state.order = Some(order);
        }
        drop(state);
        self.filled.notify_one();
    }

    /// What is in the mailbox. It stays there.
    pub(super) fn contents(&self) -> Contents {
        self.state.lock().contents()
    }

    /// Closes the mailbox, and answers what was in it.
    pub(super) fn close(&self) -> Contents {
        let mut state = self.state.lock();
        let contents = state.contents();
        state.is_closed = true;
        state.bytes = 0;
        self.memory.in_mailbox(0);
        self.memory.in_writing(0);
        state.order = None;
        (state.queue, state.catch_up) = Default::default();
        contents
    }
}
