//! Who waits while a client does not read, and what is refused. Nobody waits for another user: only the
//! loops of the session itself wait here.

use super::mailbox::Mailbox;
use crate::stanza::{MessageKind, Stanza};

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

    /// Refuses stanzas that are worthless later until a writing loop runs again: there is no connection,
    /// and much is queued already.
    pub fn shed_transient(&self) {
        self.shared().state.lock().sheds_transient = true;
    }
}

/// It is worthless later, or its sender can be told: chat states, requests.
pub(super) fn is_transient(stanza: &Stanza) -> bool {
    match stanza {
        Stanza::Iq(iq) => iq.is_request(),
        Stanza::Message(message) => {
            !matches!(message.kind, MessageKind::Error | MessageKind::Groupchat)
        }
        Stanza::Presence(_) => false,
    }
}
