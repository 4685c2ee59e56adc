//! What a stanza passes on its way to a client: any task puts it into the mailbox of a session, the writing
//! loop takes it out, and stream management numbers it (XEP-0198 §4).
//!
//! The mailbox is a queue, bounded in stanzas and in bytes. A task that has a [`SessionRef`] can put a stanza
//! in, and never waits. Only the task that owns the session can take stanzas out: it reaches the [`Mailbox`]
//! through the [`Session`](super::Session). The writing loop takes all stanzas at once and writes them with
//! one system call. An order to the owner overtakes all stanzas.
//!
//! A message with an undelivered marker is *in flight* from the mailbox on until the client has it. While
//! the session catches up, and while the mailbox is full, such messages are *deferred*: they keep their
//! markers, and the session reads them from the store in their turn, as fast as the client reads
//! (`catch_up.rs`, docs/delivery.md).

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;

use super::client_state::{Urgency, note_replaced};
use super::delivery::{Accepted, Delivery, Undelivered};
use super::mailbox_state::SharedMailbox;
use super::order::{CloseReason, Order};
use super::session_ref::SessionRef;
use super::sm_state::{Batch, SmState};
use crate::jid::FullJid;
use crate::stanza::{MessageKind, Stanza};
use crate::storage::MessageId;

/// The mailbox as the owner of the session sees it. No other task has one.
#[derive(Debug)]
pub struct Mailbox(pub(super) SessionRef);

/// What was taken out of a mailbox.
#[derive(Debug)]
pub struct Taken {
    /// The stanzas, in their order.
    pub stanzas: VecDeque<Delivery>,
    /// The order, if there is one.
    pub order: Option<Order>,
    /// Since when the first of the stanzas has waited. `None` if there is none, or if it was queued while nobody
    /// could write it, or while nobody looked at the client (XEP-0352).
    pub waiting_since: Option<Instant>,
}

impl SessionRef {
    /// Queues a stanza. Never waits.
    ///
    /// # Errors
    /// If the session has ended, or if its client does not read; then the session is told to close.
    pub fn deliver(&self, stanza: Arc<Stanza>) -> Result<Accepted, Undelivered> {
        let delivery = Delivery { stanza, to: None, marker: None, read: None };
        self.mailbox().offer(self.jid(), delivery, false)
    }

    /// Queues a shared stanza, to be written with this session's address as `to`.
    ///
    /// # Errors
    /// As [`SessionRef::deliver`].
    pub fn deliver_addressed(&self, stanza: Arc<Stanza>) -> Result<Accepted, Undelivered> {
        let to = Some(self.jid().clone().into_jid());
        let delivery = Delivery { stanza, to, marker: None, read: None };
        self.mailbox().offer(self.jid(), delivery, false)
    }

    /// Queues a message with an undelivered marker, which is removed when the client has the message.
    /// Does nothing if the message is in flight already, or if the client has got it since catching up was
    /// requested. While the session catches up, or if the mailbox is full, the message is deferred.
    ///
    /// # Errors
    /// If the session has ended: the marker stays.
    pub fn deliver_with_marker(
        &self,
        stanza: Arc<Stanza>,
        marker: MessageId,
    ) -> Result<Accepted, Undelivered> {
        let marker = Some(marker);
        let delivery = Delivery { stanza, to: None, marker, read: None };
        self.mailbox().offer(self.jid(), delivery, false)
    }

    /// Whether the message with this marker is on its way to the client.
    #[must_use]
    pub fn has_in_flight(&self, marker: MessageId) -> bool {
        self.mailbox().state.lock().catch_up.is_in_flight(marker)
    }

    /// Since when its client has been asked to acknowledge what it was sent (XEP-0198 §4), without an answer. `None` without
    /// stream management.
    #[must_use]
    pub fn asked_since(&self) -> Option<Instant> {
        self.mailbox().asked_since()
    }

    /// How many stanzas wait to be written.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.mailbox().state.lock().queue.len()
    }
}

impl SharedMailbox {
    /// Queues a stanza for the session with the address `of`, or defers it. `is_stored`: the session has read it from
    /// the store in its turn.
    fn offer(
        &self,
        of: &FullJid,
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
            if state.catch_up.has(marker) {
                return Ok(Accepted::Queued);
            }
            if !is_stored && (is_full || !state.catch_up.is_live() || self.memory.is_short()) {
                state.catch_up.defer(delivery, marker);
                drop(state);
                self.catch_up_changed.notify_one();
                return Ok(Accepted::Deferred);
            }
        } else if state.has_overrun && self.memory.is_over() {
            return Err(Undelivered::NoMemory);
        } else if state.has_no_writer && state.sheds_transient && is_transient(&delivery.stanza) {
            return Err(Undelivered::Shed);
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
        let (was_due, mut replaced) = (state.has_stanzas_due(), None);
        if state.inactive_since.is_some() {
            match Urgency::of(&delivery, state.spared) {
                Urgency::Never => return Ok(Accepted::Shed),
                Urgency::Later => replaced = state.hold_back(&delivery, self.limits),
                Urgency::Now => state.is_due = true,
            }
        }
        if !state.has_no_writer && state.inactive_since.is_none() {
            state.waiting_since.get_or_insert_with(Instant::now);
        }
        state.bytes += size;
        self.memory.in_mailbox(state.bytes);
        state.queue.push_back(delivery);
        let is_due = state.has_stanzas_due();
        drop(state);
        if is_due && !was_due {
            self.filled.notify_one();
        }
        if let Some(old) = replaced {
            note_replaced(of, &old.stanza);
        }
        Ok(Accepted::Queued)
    }
}

/// Whether a stanza is worthless later (a chat state), or its sender can be told that it was not delivered
/// (a request).
fn is_transient(stanza: &Stanza) -> bool {
    match stanza {
        Stanza::Iq(iq) => iq.is_request(),
        Stanza::Message(message) => {
            !matches!(message.kind, MessageKind::Error | MessageKind::Groupchat)
        }
        Stanza::Presence(_) => false,
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
    ) -> Result<Accepted, Undelivered> {
        let delivery = Delivery { stanza, to: None, marker: Some(marker), read: None };
        self.shared().offer(self.0.jid(), delivery, true)
    }

    /// Queues a message of the archive. When the client has it, the client has read all messages with
    /// these markers: the markers are removed then, and the messages are not delivered to it again.
    ///
    /// # Errors
    /// As [`SessionRef::deliver`]: the markers stay.
    pub fn deliver_read(
        &self,
        stanza: Arc<Stanza>,
        markers: Arc<[MessageId]>,
    ) -> Result<Accepted, Undelivered> {
        let delivery = Delivery { stanza, to: None, marker: None, read: Some(markers) };
        self.shared().offer(self.0.jid(), delivery, false)
    }

    /// Waits until there is something to write, or an order. May be dropped at any time: it takes
    /// nothing.
    pub async fn filled(&self) {
        let shared = self.shared();
        loop {
            {
                let state = shared.state.lock();
                if state.has_stanzas_due() || state.order.is_some() || state.is_writer_woken {
                    return;
                }
            }
            shared.filled.notified().await;
        }
    }

    /// Takes all stanzas, and the order if there is one.
    #[must_use]
    pub fn take(&self) -> (VecDeque<Delivery>, Option<Order>) {
        let Taken { stanzas, order, .. } = self.take_to_write();
        (stanzas, order)
    }

    /// The same, with the time for which the first stanza has waited.
    #[must_use]
    pub fn take_to_write(&self) -> Taken {
        let shared = self.shared();
        let mut state = shared.state.lock();
        state.bytes = 0;
        shared.memory.in_mailbox(0);
        state.is_writer_woken = false;
        state.is_due = false;
        let taken = Taken {
            stanzas: std::mem::take(&mut state.queue),
            order: state.order.take(),
            waiting_since: state.waiting_since.take(),
        };
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
        state.is_due = true;
    }

    /// All that is queued; it stays queued.
    pub(super) fn queue(&self) -> Vec<Delivery> {
        self.shared().state.lock().queue.iter().cloned().collect()
    }

    pub(super) fn shared(&self) -> &SharedMailbox {
        self.0.mailbox()
    }
}

impl SmState {
    /// What is to be written now: what stream management adds, and the stanzas. The stanzas are those that
    /// are to be written again, and behind them `taken`, which come from the mailbox. With stream
    /// management they are numbered, and kept here until the client acknowledges them.
    pub fn next_batch(&mut self, taken: VecDeque<Delivery>) -> (Batch, VecDeque<Delivery>) {
        let refused = std::mem::take(&mut self.refusals_due);
        self.refusals_written += refused;
        let Some(managed) = &mut self.managed else {
            return (Batch { refused, ..Batch::default() }, taken);
        };
        taken.into_iter().for_each(|delivery| managed.sent.push(delivery));
        let stanzas: VecDeque<_> = managed.sent.unwritten().cloned().collect();
        managed.sent.all_written();
        let due = std::mem::take(&mut managed.due);
        let unasked = due.ack && managed.ackable() != managed.acked;
        let times = due.answers.max(u32::from(unasked));
        let acknowledge = (times > 0).then(|| {
            managed.acked = managed.ackable();
            (managed.acked, times)
        });
        let request = managed.requested_at.is_none() && !managed.sent.is_empty();
        managed.requested_at = managed.requested_at.or_else(|| request.then(Instant::now));
        let enabled = due.enabled.then(|| managed.resumption.clone());
        (Batch { enabled, refused, acknowledge, request }, stanzas)
    }
}
