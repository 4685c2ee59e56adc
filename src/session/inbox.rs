//! The mailbox of a session: stanzas in order, bounded in number and bytes, and beside them one
//! order to close, which overtakes them.
//!
//! A message that carries a marker ("not yet delivered", `storage::archive`) is in the session's
//! in_flight from the mailbox on until its client has it. While the session reads what waits for its
//! account, newer messages are deferred: they have their markers, and come in their turn, in order
//! (docs/delivery.md). So they are, too, when the mailbox is full: a client that is slow gets its
//! messages from the store, at its pace.
//!
//! An empty mailbox holds no memory of its own, which matters for a hundred thousand idle ones;
//! and the writer takes all that waits at once, for one write.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::catch_up::CatchUp;
use super::memory::Memory;
use super::{CloseReason, Order, Undelivered};
use crate::jid::Jid;
use crate::stanza::{MessageKind, Stanza};
use crate::storage::MessageId;

/// A stanza on its way to one resource. The stanza is shared: a broadcast to a thousand sessions
/// is one stanza.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// What is delivered.
    pub stanza: Arc<Stanza>,
    /// Written as `to` in place of the stanza's own.
    pub to: Option<Jid>,
    /// The marker that falls when the client has it.
    pub marker: Option<MessageId>,
    /// Marks of other messages that fall then, too: those that the client has read in its archive.
    pub read: Option<Arc<[MessageId]>>,
}

impl Delivery {
    /// All markers that fall when the client has it.
    pub fn markers(&self) -> impl Iterator<Item = MessageId> {
        self.marker.into_iter().chain(self.read.iter().flat_map(|read| read.iter().copied()))
    }
}

/// Bounds of a mailbox (`limits.inbox_stanzas`, `limits.inbox_bytes`).
#[derive(Clone, Copy, Debug)]
pub struct InboxLimits {
    /// Stanzas.
    pub stanzas: usize,
    /// Bytes, about. One stanza is always taken, however large.
    pub bytes: usize,
}

#[derive(Debug)]
pub(super) struct Inbox {
    bounds: InboxLimits,
    state: Mutex<State>,
    /// Wakes the writer. One permit is kept, so that a wake between two waits is not lost.
    filled: Notify,
    /// Wakes the reader of the same session, which waits while its answers pile up.
    drained: Notify,
    /// Wakes who reads what waits for the account.
    backlog: Notify,
    /// What the session holds, for its budget.
    memory: Memory,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Delivery>,
    bytes: usize,
    order: Option<Order>,
    /// The owner has something to write which is no stanza.
    writer_woken: bool,
    /// Nobody writes what waits: the connection is gone.
    unwritten: bool,
    /// And there is so much of it that what is worthless later is refused.
    sheds_transient: bool,
    /// It was told to close.
    is_ending: bool,
    /// Its client did not read, or did not acknowledge.
    has_overrun: bool,
    /// The session has ended: it takes neither stanzas nor orders.
    closed: bool,
    /// What is in flight, and the reading of what waits for the account.
    backlog: CatchUp,
}

impl Inbox {
    pub(super) fn new(bounds: InboxLimits, memory: Memory) -> Self {
        Self {
            bounds,
            state: Mutex::default(),
            filled: Notify::new(),
            drained: Notify::new(),
            backlog: Notify::new(),
            memory,
        }
    }

    pub(super) fn offer(&self, delivery: Delivery) -> Result<(), Undelivered> {
        self.offer_from(delivery, false)
    }

    /// Offers a message that was read from what waits, in its turn.
    pub(super) fn offer_backlog(&self, delivery: Delivery) -> Result<(), Undelivered> {
        self.offer_from(delivery, true)
    }

    fn offer_from(&self, delivery: Delivery, from_backlog: bool) -> Result<(), Undelivered> {
        let size = delivery.stanza.size();
        let mut state = self.state.lock();
        if state.closed {
            return Err(Undelivered::Closed);
        }
        let full = state.queue.len() >= self.bounds.stanzas
            || (!state.queue.is_empty() && state.bytes + size > self.bounds.bytes);
        if let Some(marker) = delivery.marker {
            if state.backlog.has(marker) {
                return Ok(());
            }
            if !from_backlog && (full || state.backlog.is_closed() || self.memory.is_short()) {
                state.backlog.defer(delivery, marker);
                drop(state);
                self.backlog.notify_one();
                return Ok(());
            }
        } else if state.has_overrun && self.memory.is_over()
            || state.unwritten && state.sheds_transient && is_fleeting(&delivery.stanza)
        {
            return Err(Undelivered::Closed);
        }
        // What is read from the store is bounded by in_flight.
        if full && !from_backlog {
            (state.is_ending, state.has_overrun) = (true, true);
            state.order.get_or_insert(Order::Close(CloseReason::Overrun));
            drop(state);
            self.filled.notify_one();
            return Err(Undelivered::Overrun);
        }
        if let Some(marker) = delivery.marker {
            state.backlog.take(marker, size, from_backlog);
        }
        for marker in delivery.read.iter().flat_map(|read| read.iter()) {
            state.backlog.take(*marker, 0, false);
        }
        state.bytes += size;
        self.memory.in_mailbox(state.bytes);
        state.queue.push_back(delivery);
        let first = state.queue.len() == 1;
        drop(state);
        if first {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// The first order to close counts, and more than one to detach, and that more than one to go
    /// elsewhere; of those the last: a client that tries again has lost its earlier try. An order that is not carried out is dropped,
    /// and with it the sender of its answer, so that who gave it knows.
    pub(super) fn order(&self, order: Order) {
        let mut state = self.state.lock();
        state.is_ending |= matches!(order, Order::Close(_));
        state.has_overrun |= matches!(order, Order::Close(CloseReason::Overrun));
        let stays = match state.order {
            Some(Order::Close(_)) => true,
            Some(Order::Detach(_)) => matches!(order, Order::HandOver(_)),
            Some(Order::HandOver(_)) | None => false,
        };
        if !state.closed && !stays {
            state.order = Some(order);
        }
        drop(state);
        self.filled.notify_one();
    }

    pub(super) fn wake_writer(&self) {
        self.state.lock().writer_woken = true;
        self.filled.notify_one();
    }

    pub(super) fn len(&self) -> usize {
        self.state.lock().queue.len()
    }

    /// Waits until there is something. May be dropped at any time: it takes nothing.
    pub(super) async fn filled(&self) {
        loop {
            {
                let state = self.state.lock();
                if !state.queue.is_empty() || state.order.is_some() || state.writer_woken {
                    return;
                }
            }
            self.filled.notified().await;
        }
    }

    /// Waits for an order that must not wait for a write. To leave the connection cannot wait at
    /// all; to close waits a moment, so that a stanza is not cut in two. May be dropped at
    /// any time.
    pub(super) async fn interrupted(&self) {
        loop {
            let ordered = match self.state.lock().order {
                // A client that resumes takes half a stanza for none.
                Some(Order::HandOver(_) | Order::Detach(_)) => return,
                Some(Order::Close(_)) => true,
                None => false,
            };
            if ordered {
                return tokio::time::sleep(GRACE).await;
            }
            self.filled.notified().await;
        }
    }

    /// Waits until no more than `stanzas` are in it and no more than half of the bytes that may be,
    /// or nobody will take them any more. May be dropped at any time.
    pub(super) async fn wait_for_capacity(&self, stanzas: usize) {
        loop {
            {
                let state = self.state.lock();
                let is_below = state.queue.len() <= stanzas && state.bytes <= self.bounds.bytes / 2;
                if state.closed || state.unwritten || is_below {
                    return;
                }
            }
            self.drained.notified().await;
        }
    }

    /// A reader that waits for the writer is freed when there is none any more.
    pub(super) fn set_writer(&self, there: bool) {
        let mut state = self.state.lock();
        state.unwritten = !there;
        state.sheds_transient &= !there;
        drop(state);
        self.drained.notify_one();
    }

    pub(super) fn has_writer(&self) -> bool {
        !self.state.lock().unwritten
    }

    /// Takes all that waits, and the order if there is one.
    pub(super) fn take(&self) -> (VecDeque<Delivery>, Option<Order>) {
        let mut state = self.state.lock();
        state.bytes = 0;
        self.memory.in_mailbox(0);
        state.writer_woken = false;
        let taken = (std::mem::take(&mut state.queue), state.order.take());
        drop(state);
        self.drained.notify_one();
        taken
    }

    pub(super) fn has_order(&self) -> bool {
        self.state.lock().order.is_some()
    }

    /// All that waits, which stays.
    pub(super) fn queued(&self) -> Vec<Delivery> {
        self.state.lock().queue.iter().cloned().collect()
    }

    /// Puts back what was taken and not written.
    pub(super) fn put_back(&self, mut deliveries: VecDeque<Delivery>) {
        let mut state = self.state.lock();
        state.bytes += deliveries.iter().map(|d| d.stanza.size()).sum::<usize>();
        self.memory.in_mailbox(state.bytes);
        deliveries.append(&mut state.queue);
        state.queue = deliveries;
    }

    /// The client has these.
    pub(super) fn release(&self, markers: &[MessageId]) {
        let mut state = self.state.lock();
        state.backlog.release(markers);
        let is_read = state.backlog.is_closed();
        drop(state);
        if is_read {
            self.backlog.notify_one();
        }
    }

    pub(super) fn is_in_flight(&self, marker: MessageId) -> bool {
        self.state.lock().backlog.has(marker)
    }

    /// Nobody is there to write what comes, and much waits already: no more of what is worthless
    /// later, until there is.
    pub(super) fn shed_transient(&self) {
        self.state.lock().sheds_transient = true;
    }

    /// What the session holds, for its budget.
    pub(super) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// It has ended, or was told to close.
    pub(super) fn is_ending(&self) -> bool {
        let state = self.state.lock();
        state.closed || state.is_ending
    }

    /// Its client does not read, or does not acknowledge.
    pub(super) fn note_overrun(&self) {
        self.state.lock().has_overrun = true;
    }

    pub(super) fn has_overrun(&self) -> bool {
        self.state.lock().has_overrun
    }

    /// Looks at the reading of what waits, or changes it. The closure must be short.
    pub(super) fn backlog<T>(&self, act: impl FnOnce(&mut CatchUp) -> T) -> T {
        act(&mut self.state.lock().backlog)
    }

    /// Waits until at most so many messages, and so many bytes of them, are in in_flight, without those
    /// that are held; if memory is short, none. For who reads what waits; may be dropped at any time.
    pub(super) async fn in_flight_below(&self, messages: usize, bytes: usize) {
        loop {
            let (messages, bytes) = if self.memory.is_short() { (0, 0) } else { (messages, bytes) };
            if self.backlog(|backlog| backlog.is_below(messages, bytes)) {
                return;
            }
            self.backlog.notified().await;
        }
    }

    /// What waits for the account is to be read.
    pub(super) fn want_backlog(&self) {
        let mut state = self.state.lock();
        if !state.closed {
            state.backlog.want();
        }
        drop(state);
        self.backlog.notify_one();
    }

    /// The owner has told more about itself, which may matter to who reads what waits.
    pub(super) fn wake_backlog(&self) {
        self.backlog.notify_one();
    }

    /// Waits until something has changed for who reads what waits. May be dropped at any time.
    pub(super) async fn backlog_changed(&self) {
        self.backlog.notified().await;
    }

    /// Waits until what waits is to be read. For who reads it; may be dropped at any time.
    pub(super) async fn backlog_wanted(&self) {
        while !self.backlog(|backlog| backlog.is_wanted()) {
            self.backlog.notified().await;
        }
    }

    /// All that waits has been read: what was held comes now. `false` if it was too much, or what
    /// waits was asked for again: then it was deferred, and the reading begins anew.
    pub(super) fn end_backlog(&self) -> bool {
        let mut state = self.state.lock();
        let Some(held) = state.backlog.end() else { return false };
        state.bytes += held.iter().map(|delivery| delivery.stanza.size()).sum::<usize>();
        self.memory.in_mailbox(state.bytes);
        state.queue.extend(held);
        drop(state);
        self.filled.notify_one();
        true
    }

    /// What was held is not among what is left: it waits, behind what has not been read.
    pub(super) fn close(&self) -> Vec<Delivery> {
        let mut state = self.state.lock();
        state.closed = true;
        state.bytes = 0;
        self.memory.in_mailbox(0);
        state.order = None;
        state.backlog = CatchUp::default();
        std::mem::take(&mut state.queue).into()
    }
}

/// For a write that is under way when the session is told to close.
const GRACE: std::time::Duration = std::time::Duration::from_secs(2);
/// It is worthless later, or its sender can be told: chat states, requests.
fn is_fleeting(stanza: &Stanza) -> bool {
    match stanza {
        Stanza::Iq(iq) => iq.is_request(),
        Stanza::Message(message) => {
            !matches!(message.kind, MessageKind::Error | MessageKind::Groupchat)
        }
        Stanza::Presence(_) => false,
    }
}
