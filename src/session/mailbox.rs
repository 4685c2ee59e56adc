//! The mailbox of a session: stanzas in order, bounded in number and in bytes, and beside them one
//! order, which overtakes them (`order.rs`).
//!
//! Whoever holds a [`SessionRef`] can put a stanza in, and never waits. Only the task that owns the
//! session can take stanzas out: a [`Mailbox`] is reached through the [`Session`](super::Session) alone.
//!
//! A message that carries an undelivered marker ("not yet delivered", `storage::archive`) is *in flight*
//! from the mailbox on until the client has it. While the session catches up, and while the mailbox is
//! full, such messages are *deferred*: they keep their markers, and the session reads them from the
//! store in their turn, at the client's pace (`catch_up.rs`, docs/delivery.md).
//!
//! An empty mailbox holds no memory on the heap: there may be a hundred thousand idle ones. The writer
//! takes all stanzas at once, and writes them with one system call.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::backpressure::is_transient;
use super::catch_up::CatchUp;
use super::memory::Memory;
use super::{CloseReason, Order, SessionRef};
use crate::jid::Jid;
use crate::stanza::Stanza;
use crate::storage::MessageId;

/// A stanza on its way to one session. The stanza is shared: a broadcast to a thousand sessions is one
/// stanza.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The stanza.
    pub stanza: Arc<Stanza>,
    /// Written as `to` in place of the stanza's own.
    pub to: Option<Jid>,
    /// The undelivered marker that is removed when the client has the stanza.
    pub marker: Option<MessageId>,
    /// Undelivered markers of other messages that are removed then, too: the client has read these
    /// messages in its archive.
    pub read: Option<Arc<[MessageId]>>,
}

impl Delivery {
    /// All markers that are removed when the client has it.
    pub fn markers(&self) -> impl Iterator<Item = MessageId> {
        self.marker.into_iter().chain(self.read.iter().flat_map(|read| read.iter().copied()))
    }
}

/// Bounds of a mailbox (`limits.inbox_stanzas`, `limits.inbox_bytes`).
#[derive(Clone, Copy, Debug)]
pub struct MailboxLimits {
    /// Stanzas.
    pub stanzas: usize,
    /// Bytes, about. One stanza always fits, however large it is.
    pub bytes: usize,
}

/// How a session accepted a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Accepted {
    /// The session reads it from the store later: it catches up, or its mailbox is full.
    Deferred,
    /// It is in the mailbox, or in flight already.
    Queued,
}

/// Why a session did not accept a stanza. Then the stanza is treated as for an offline user.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Undelivered {
    /// The session has ended, or sheds what is worthless later.
    Closed,
    /// The client does not read, and the session is being closed.
    Overrun,
}

impl Undelivered {
    /// The reason as text, for the log.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Closed => "the session has ended",
            Self::Overrun => "the mailbox is full: the session is closed",
        }
    }
}

/// The mailbox as the owner of the session sees it. No other task has one.
#[derive(Debug)]
pub struct Mailbox(pub(super) SessionRef);

/// What a [`SessionRef`] and a [`Mailbox`] share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) limits: MailboxLimits,
    pub(super) state: Mutex<State>,
    /// Wakes the writing loop. A wake between two waits is not lost.
    pub(super) filled: Notify,
    /// Wakes the reading loop of the same session, which waits while the client's own answers pile up.
    pub(super) drained: Notify,
    /// Wakes the loop that catches up.
    pub(super) catch_up_changed: Notify,
    /// What the session holds, for its budget.
    pub(super) memory: Memory,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) queue: VecDeque<Delivery>,
    pub(super) bytes: usize,
    pub(super) order: Option<Order>,
    pub(super) catch_up: CatchUp,
    /// The owner has something to write that is not a stanza.
    pub(super) writer_woken: bool,
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

/// What a mailbox held when it was closed.
pub(super) struct Closed {
    /// The stanzas that were queued.
    pub(super) queue: Vec<Delivery>,
    /// Catching up was requested and had not ended.
    pub(super) was_catching_up: bool,
    /// The first message that was deferred and has not been read from the store.
    pub(super) first_unread: Option<MessageId>,
}

impl Shared {
    pub(super) fn new(limits: MailboxLimits, memory: Memory) -> Self {
        Self {
            limits,
            state: Mutex::default(),
            filled: Notify::new(),
            drained: Notify::new(),
            catch_up_changed: Notify::new(),
            memory,
        }
    }

    /// Queues a stanza, or defers it. `is_stored`: the session has read it from the store in its turn.
    pub(super) fn offer(
        &self,
        delivery: Delivery,
        is_stored: bool,
    ) -> Result<Accepted, Undelivered> {
        let size = delivery.stanza.size();
        let mut state = self.state.lock();
        if state.is_closed {
            return Err(Undelivered::Closed);
        }
        let is_full = state.queue.len() >= self.limits.stanzas
            || (!state.queue.is_empty() && state.bytes + size > self.limits.bytes);
        if let Some(marker) = delivery.marker {
            if state.catch_up.is_in_flight(marker) {
                return Ok(Accepted::Queued);
            }
            if !is_stored && (is_full || !state.catch_up.is_live() || self.memory.is_short()) {
                state.catch_up.defer(delivery, marker);
                drop(state);
                self.catch_up_changed.notify_one();
                return Ok(Accepted::Deferred);
            }
        } else if state.has_overrun && self.memory.is_over()
            || state.has_no_writer && state.sheds_transient && is_transient(&delivery.stanza)
        {
            return Err(Undelivered::Closed);
        }
        // How much the session reads from the store is bounded by what is in flight.
        if is_full && !is_stored {
            (state.is_ending, state.has_overrun) = (true, true);
            state.order.get_or_insert(Order::Close(CloseReason::Overrun));
            drop(state);
            self.filled.notify_one();
            return Err(Undelivered::Overrun);
        }
        if let Some(marker) = delivery.marker {
            state.catch_up.sent(marker, size, is_stored);
        }
        for marker in delivery.read.iter().flat_map(|read| read.iter()) {
            state.catch_up.sent(*marker, 0, false);
        }
        state.bytes += size;
        self.memory.in_mailbox(state.bytes);
        state.queue.push_back(delivery);
        let is_first = state.queue.len() == 1;
        drop(state);
        if is_first {
            self.filled.notify_one();
        }
        Ok(Accepted::Queued)
    }

    /// Closes the mailbox. What was buffered is not answered: those messages keep their markers, behind
    /// messages that have not been read from the store.
    pub(super) fn close(&self) -> Closed {
        let mut state = self.state.lock();
        state.is_closed = true;
        state.bytes = 0;
        self.memory.in_mailbox(0);
        state.order = None;
        let catch_up = std::mem::take(&mut state.catch_up);
        Closed {
            queue: std::mem::take(&mut state.queue).into(),
            was_catching_up: catch_up.is_requested(),
            first_unread: catch_up.first_unread(),
        }
    }
}

impl SessionRef {
    /// Queues a stanza. Never waits.
    ///
    /// # Errors
    /// If the session has ended, or if its client does not read; then the session is told to close.
    pub fn deliver(&self, stanza: Arc<Stanza>) -> Result<(), Undelivered> {
        let delivery = Delivery { stanza, to: None, marker: None, read: None };
        self.mailbox().offer(delivery, false).map(drop)
    }

    /// Queues a shared stanza, to be written with this session's address as `to`.
    ///
    /// # Errors
    /// As [`SessionRef::deliver`].
    pub fn deliver_addressed(&self, stanza: Arc<Stanza>) -> Result<(), Undelivered> {
        let to = Some(self.jid().clone().into_jid());
        let delivery = Delivery { stanza, to, marker: None, read: None };
        self.mailbox().offer(delivery, false).map(drop)
    }

    /// Queues a message with an undelivered marker, which is removed when the client has the message.
    /// Does nothing if the message is in flight already. While the session catches up, or if the
    /// mailbox is full, the message is deferred.
    ///
    /// # Errors
    /// If the session has ended: the marker stays.
    pub fn deliver_with_marker(
        &self,
        stanza: Arc<Stanza>,
        marker: MessageId,
    ) -> Result<Accepted, Undelivered> {
        let marker = Some(marker);
        self.mailbox().offer(Delivery { stanza, to: None, marker, read: None }, false)
    }

    /// How many stanzas wait to be written.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.mailbox().state.lock().queue.len()
    }
}

impl Mailbox {
    /// Queues a message that the session has read from the store, in its turn.
    ///
    /// # Errors
    /// As [`SessionRef::deliver_with_marker`].
    pub fn deliver_stored(
        &self,
        stanza: Arc<Stanza>,
        marker: MessageId,
    ) -> Result<(), Undelivered> {
        let delivery = Delivery { stanza, to: None, marker: Some(marker), read: None };
        self.shared().offer(delivery, true).map(drop)
    }

    /// Queues a message of the archive. When the client has it, it has read all messages with these
    /// markers: the markers are removed then, and the messages are not delivered to it again.
    ///
    /// # Errors
    /// As [`SessionRef::deliver`]: the markers stay.
    pub fn deliver_read(
        &self,
        stanza: Arc<Stanza>,
        markers: Arc<[MessageId]>,
    ) -> Result<(), Undelivered> {
        let delivery = Delivery { stanza, to: None, marker: None, read: Some(markers) };
        self.shared().offer(delivery, false).map(drop)
    }

    /// Waits until there is something to write, or an order. May be dropped at any time: it takes
    /// nothing.
    pub async fn filled(&self) {
        let shared = self.shared();
        loop {
            {
                let state = shared.state.lock();
                if !state.queue.is_empty() || state.order.is_some() || state.writer_woken {
                    return;
                }
            }
            shared.filled.notified().await;
        }
    }

    /// Takes all stanzas, and the order if there is one.
    #[must_use]
    pub fn take(&self) -> (VecDeque<Delivery>, Option<Order>) {
        let shared = self.shared();
        let mut state = shared.state.lock();
        state.bytes = 0;
        shared.memory.in_mailbox(0);
        state.writer_woken = false;
        let taken = (std::mem::take(&mut state.queue), state.order.take());
        drop(state);
        shared.drained.notify_one();
        taken
    }

    /// Puts back stanzas that were taken and not written.
    pub fn put_back(&self, mut deliveries: VecDeque<Delivery>) {
        let shared = self.shared();
        let mut state = shared.state.lock();
        state.bytes += deliveries.iter().map(|d| d.stanza.size()).sum::<usize>();
        shared.memory.in_mailbox(state.bytes);
        deliveries.append(&mut state.queue);
        state.queue = deliveries;
    }

    /// Wakes the writing loop: there is something to write that is not a stanza.
    pub fn wake_writer(&self) {
        self.shared().state.lock().writer_woken = true;
        self.shared().filled.notify_one();
    }

    /// All that is queued; it stays queued.
    pub(super) fn queue(&self) -> Vec<Delivery> {
        self.shared().state.lock().queue.iter().cloned().collect()
    }

    pub(super) fn shared(&self) -> &Shared {
        self.0.mailbox()
    }
}
