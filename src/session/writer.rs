//! The writing loop of a session, as the session's other loops see it: whether one runs, who waits for it, and
//! what interrupts it. Only the loops of the session itself wait here, never the task of another session.

use std::time::Duration;

use tokio::time::Instant;

use super::mailbox::Mailbox;
use super::order::Order;
use super::spared::Spared;

impl Mailbox {
    /// Waits until at most `stanzas` are queued and at most half of the bytes that fit, or until nobody
    /// will write them any more. For the reading loop. May be dropped at any time.
    pub async fn wait_for_capacity(&self, stanzas: usize) {
        let shared = self.shared();
        loop {
            {
                let state = shared.state.lock();
                let is_below =
                    state.queue.len() <= stanzas && state.bytes <= shared.limits.bytes / 2;
                if state.has_no_writer || is_below {
                    return;
                }
            }
            shared.drained.notified().await;
        }
    }

    /// Sets whether a writing loop runs. If none does, [`Mailbox::wait_for_capacity`] does not wait.
    pub fn set_writer(&self, is_there: bool) {
        let mut state = self.shared().state.lock();
        state.has_no_writer = !is_there;
        state.sheds_transient &= !is_there;
        drop(state);
        self.shared().drained.notify_one();
    }

    /// A writing loop runs: there is a connection.
    #[must_use]
    pub fn has_writer(&self) -> bool {
        !self.shared().state.lock().has_no_writer
    }

    /// Wakes the writing loop: there is something to write that is not a stanza.
    pub fn wake_writer(&self) {
        self.shared().state.lock().is_writer_woken = true;
        self.shared().filled.notify_one();
    }

    /// Nobody looks at the client. What is queued already is written.
    pub fn set_inactive(&self, spared: Spared) {
        let shared = self.shared();
        let mut state = shared.state.lock();
        state.spared = spared;
        state.inactive_since.get_or_insert_with(Instant::now);
        state.is_due |= !state.queue.is_empty();
        drop(state);
        shared.filled.notify_one();
    }

    /// Somebody looks at the client. All that has waited is written, before what comes later (XEP-0352 §5.1).
    /// Each connection begins so (§5.2).
    pub fn set_active(&self) {
        let shared = self.shared();
        shared.state.lock().inactive_since = None;
        shared.filled.notify_one();
    }

    /// Sets how many bytes are being written to the client.
    pub fn set_writing(&self, bytes: usize) {
        self.shared().memory.in_writing(bytes);
    }

    /// An order waits for the owner.
    #[must_use]
    pub fn has_order(&self) -> bool {
        self.shared().state.lock().order.is_some()
    }

    /// Waits for an order that must not wait until a write is done. An order to leave the connection
    /// interrupts at once, because a client that resumes ignores a stanza that was cut in two. An order to
    /// close waits two seconds, so that no stanza is cut. May be dropped at any time.
    pub async fn interrupted(&self) {
        let shared = self.shared();
        loop {
            let is_to_close = match shared.state.lock().order {
                Some(Order::HandOver(_) | Order::Detach(_)) => return,
                Some(Order::Close(_)) => true,
                None => false,
            };
            if is_to_close {
                return tokio::time::sleep(GRACE).await;
            }
            shared.filled.notified().await;
        }
    }

    /// Refuses stanzas that are worthless later until a writing loop runs again: there is no connection,
    /// and much is queued already.
    pub fn shed_transient(&self) {
        self.shared().state.lock().sheds_transient = true;
    }

    /// The session ends because its client does not acknowledge.
    pub fn note_overrun(&self) {
        self.shared().state.lock().has_overrun = true;
    }
}

/// How long a write that has begun may take when the session is told to close.
const GRACE: Duration = Duration::from_secs(2);
