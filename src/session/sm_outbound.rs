//! What the client was sent, as stream management counts it (XEP-0198 §4): what the client acknowledges, and
//! how long it may take. Stanzas are numbered in `mailbox.rs`, and kept in `unacknowledged.rs`.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::delivery::Delivery;
use super::sm_state::SmState;
use super::unacknowledged::TooHigh;
use crate::jid::Jid;

impl SmState {
    /// The client has handled `h` stanzas (`<a/>`). Answers those that it had not acknowledged before, in
    /// order.
    ///
    /// # Errors
    /// If it was sent fewer.
    pub fn acknowledge(&mut self, h: u32) -> Result<Vec<Delivery>, TooHigh> {
        let Some(managed) = &mut self.managed else { return Ok(Vec::new()) };
        managed.requested_at = None;
        managed.sent.acknowledge(h)
    }

    /// The client has answered the request with this id from `from`. So the server does not answer it when
    /// the session ends without an acknowledgement.
    pub fn note_answer(&mut self, from: &Jid, id: &str) {
        if let Some(managed) = &mut self.managed {
            managed.sent.answered(from, id);
        }
    }

    /// Keeps stanzas that will be written later: there is no connection.
    pub fn push(&mut self, deliveries: VecDeque<Delivery>) {
        if let Some(managed) = &mut self.managed {
            deliveries.into_iter().for_each(|delivery| managed.sent.push(delivery));
        }
    }

    /// The client does not acknowledge: more than `stanzas`, or more than `bytes` of them, are not
    /// acknowledged, and `<r/>` was sent more than 30 seconds ago; or four times as many. Its `<a/>` may be
    /// behind requests of its own, whose answers are among the stanzas.
    #[must_use]
    pub fn is_unresponsive(&self, stanzas: usize, bytes: usize) -> bool {
        let Some(managed) = &self.managed else { return false };
        let (most, size) = (managed.sent.len(), managed.sent.bytes());
        let is_late = managed.requested_at.is_some_and(|asked| asked.elapsed() > PATIENCE);
        let is_much = most > stanzas || size > bytes;
        is_much && (is_late || most > stanzas * TOO_MUCH || size > bytes * TOO_MUCH)
    }

    /// Since when an answer to `<r/>` is awaited.
    #[must_use]
    pub fn asked_since(&self) -> Option<Instant> {
        self.managed.as_ref()?.requested_at
    }

    /// How many stanzas, and about how many bytes, are not acknowledged.
    #[must_use]
    pub fn unacknowledged(&self) -> (usize, usize) {
        self.managed.as_ref().map_or((0, 0), |m| (m.sent.len(), m.sent.bytes()))
    }
}

/// The time that a client has to answer `<r/>`.
const PATIENCE: Duration = Duration::from_secs(30);
/// More than this multiple of the bounds is too much at any time.
const TOO_MUCH: usize = 4;

#[cfg(test)]
mod tests {
    use super::super::sm_state::SmState;
    use super::{PATIENCE, TOO_MUCH};

    #[tokio::test(start_paused = true)]
    async fn a_client_has_time_to_acknowledge() {
        let mut sm = SmState::default();
        assert!(sm.enable(None));
        let send = |sm: &mut SmState, count: usize| {
            let xml = crate::xml::Frame::from_bytes("<message/>").unwrap();
            let stanza = std::sync::Arc::new(crate::stanza::Stanza::read(xml).unwrap());
            let delivery = crate::session::Delivery { stanza, to: None, marker: None, read: None };
            drop(sm.next_batch(std::iter::repeat_n(delivery, count).collect()));
        };
        send(&mut sm, 11);
        assert!(!sm.is_unresponsive(10, usize::MAX / TOO_MUCH));
        tokio::time::advance(PATIENCE).await;
        assert!(!sm.is_unresponsive(10, usize::MAX / TOO_MUCH) && !sm.is_unresponsive(11, 20_000));
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        assert!(sm.is_unresponsive(10, usize::MAX / TOO_MUCH) && !sm.is_unresponsive(11, 20_000));
        assert!(sm.is_unresponsive(20, 1_000), "by bytes");
        sm.acknowledge(1).unwrap();
        assert!(!sm.is_unresponsive(9, usize::MAX / TOO_MUCH), "it answers");
        send(&mut sm, 40);
        assert!(sm.is_unresponsive(10, usize::MAX / TOO_MUCH), "too much in any case");
    }
}
