//! Stream management of a session (XEP-0198): how it begins, moves to another connection, and ends.
//!
//! The loops of the owner share it. It moves with the session from connection to connection. What the client
//! sends is counted in `sm_inbound.rs`; what it is sent is numbered in `mailbox.rs`, and acknowledged in
//! `sm_outbound.rs`.

use std::collections::VecDeque;
use std::time::Duration;

use smol_str::SmolStr;
use tokio::time::Instant;

use super::delivery::Delivery;
use super::unacknowledged::{TooHigh, Unacknowledged};
use crate::storage::SessionNumber;

/// Stream management of a session.
#[derive(Debug, Default)]
pub struct SmState {
    /// `None` until the client enables it. Boxed, so that other sessions are small.
    pub(super) managed: Option<Box<Managed>>,
    /// How many `<failed/>` are to be written: a client that has a session cannot resume another one.
    pub(super) refusals_due: u8,
    /// How many `<failed/>` have been written.
    pub(super) refusals_written: u8,
}

/// How a session can be resumed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resumption {
    /// The id that the client uses. Nobody can guess it.
    pub id: SmolStr,
    /// For how long after its connection is lost, in whole seconds.
    pub max: Duration,
    /// The number of the session in the store; `None` if it cannot be resumed after a restart of the server.
    pub number: Option<SessionNumber>,
}

/// What is counted once stream management is enabled.
#[derive(Debug)]
pub(super) struct Managed {
    pub(super) resumption: Option<Resumption>,
    /// Stanzas of the client that have been received, modulo 2^32.
    pub(super) received: u32,
    /// Stanzas of the client that have been handled.
    pub(super) handled: u32,
    /// The count that is in the store, or will be there before anything that depends on it.
    pub(super) stored: u32,
    /// The count that the client was sent last.
    pub(super) acked: u32,
    pub(super) sent: Unacknowledged,
    /// What is to be written beside stanzas.
    pub(super) due: Due,
    /// When the server sent `<r/>`; `None` if no answer is awaited.
    pub(super) requested_at: Option<Instant>,
}

/// What is to be written beside stanzas, in this order.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Due {
    /// `<enabled/>`.
    pub(super) enabled: bool,
    /// `<a/>` unasked, if the count has changed.
    pub(super) ack: bool,
    /// How many `<a/>`: one for each `<r/>`.
    pub(super) answers: u32,
}

/// What is written beside stanzas, in this order.
#[derive(Debug, Default)]
pub struct Batch {
    /// `<enabled/>`, and how the session can be resumed, if it can.
    pub enabled: Option<Option<Resumption>>,
    /// How many `<failed/>`: one for each request to resume.
    pub refused: u8,
    /// `<a h=…/>`, and how often: each `<r/>` is answered (XEP-0198 §4).
    pub acknowledge: Option<(u32, u32)>,
    /// `<r/>`, behind the stanzas.
    pub request: bool,
}

impl SmState {
    /// Stream management begins (XEP-0198 §3). `false` if it has begun already.
    pub fn enable(&mut self, resumption: Option<Resumption>) -> bool {
        if self.managed.is_some() {
            return false;
        }
        let mut managed = Managed::with(resumption, 0, Unacknowledged::default());
        managed.due.enabled = true;
        self.managed = Some(Box::new(managed));
        true
    }

    /// `<enabled/>` need not be written: the client hears it in another way.
    pub fn enabled_is_told(&mut self) {
        if let Some(managed) = &mut self.managed {
            managed.due.enabled = false;
        }
    }

    /// Restores the state that the previous server has saved.
    pub(super) fn restore(&mut self, resumption: Resumption, handled: u32, sent: Unacknowledged) {
        self.managed = Some(Box::new(Managed::with(Some(resumption), handled, sent)));
    }

    /// For a snapshot: the stanzas that are not acknowledged, each with whether it is a request that the
    /// client has answered; how many were acknowledged before them; and how many of them were written to
    /// the last connection.
    pub(super) fn saved(&self) -> (Vec<(Delivery, bool)>, u32, usize) {
        let sent = self.managed.as_ref().map(|managed| &managed.sent);
        sent.map_or_else(Default::default, Unacknowledged::saved)
    }

    /// Stream management is enabled.
    #[must_use]
    pub fn is_managed(&self) -> bool {
        self.managed.is_some()
    }

    /// How it can be resumed, if it can.
    #[must_use]
    pub fn resumption(&self) -> Option<Resumption> {
        self.managed.as_ref()?.resumption.clone()
    }

    /// A new connection resumes the stream at `h` (XEP-0198 §5). Answers as [`SmState::acknowledge`].
    ///
    /// # Errors
    /// As [`SmState::acknowledge`].
    pub fn resume(&mut self, h: u32) -> Result<Vec<Delivery>, TooHigh> {
        let Some(managed) = &mut self.managed else { return Ok(Vec::new()) };
        managed.requested_at = None;
        managed.acked = managed.handled;
        managed.due = Due::default();
        managed.sent.resume(h)
    }

    /// The client is to be told that it cannot resume another session, now that it has one (XEP-0198 §6).
    /// `false` if it has been told 10 times.
    pub fn refuse(&mut self) -> bool {
        let is_told = self.refusals_due + self.refusals_written < REFUSALS;
        self.refusals_due += u8::from(is_told);
        is_told
    }

    /// Stream management ends. Answers what was never acknowledged, in order.
    #[must_use]
    pub fn end(&mut self) -> VecDeque<Delivery> {
        self.managed.take().map(|m| m.sent.into_deliveries()).unwrap_or_default()
    }
}

impl Managed {
    fn with(resumption: Option<Resumption>, handled: u32, sent: Unacknowledged) -> Self {
        Self {
            resumption,
            received: handled,
            handled,
            stored: handled,
            acked: handled,
            sent,
            due: Due::default(),
            requested_at: None,
        }
    }

    /// The count that a crash does not take back.
    pub(super) fn ackable(&self) -> u32 {
        let outlives = self.resumption.as_ref().is_some_and(|r| r.number.is_some());
        if outlives { self.stored } else { self.handled }
    }
}

/// Requests to resume that are refused before the stream ends.
const REFUSALS: u8 = 10;

#[cfg(test)]
mod tests {
    use super::{REFUSALS, SmState};

    #[test]
    fn requests_to_resume_are_refused_but_not_for_ever() {
        let mut sm = SmState::default();
        let refused = |sm: &mut SmState| sm.next_batch(std::collections::VecDeque::new()).0.refused;
        assert!(refused(&mut sm) == 0 && sm.refuse() && sm.refuse());
        assert!(refused(&mut sm) == 2 && refused(&mut sm) == 0);
        assert!(sm.enable(None) && (2..REFUSALS).all(|_| sm.refuse()) && !sm.refuse());
        assert!(refused(&mut sm) == REFUSALS - 2 && !sm.refuse());
    }
}
