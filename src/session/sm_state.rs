//! Stream management of a session (XEP-0198): what is counted, and what is due to be written beside the
//! stanzas. The loops of the owner share it. It moves with the session from connection to connection.
//!
//! A stanza of the client is *received* when the server begins to carry it. It is *handled* when all that
//! is stored of it is on the disk; stanzas are handled in the order in which they were received. It is
//! *acked* when the client has been sent that count. If the session can be resumed after a restart, its
//! count is stored, too: the client is sent no count that a crash could take back (docs/delivery.md).

use std::collections::VecDeque;
use std::time::Duration;

use smol_str::SmolStr;
use tokio::time::Instant;

use super::Delivery;
use super::unacknowledged::{TooHigh, Unacknowledged};
use crate::jid::Jid;
use crate::storage::{Handled, SessionNumber};

/// Stream management of a session.
#[derive(Debug, Default)]
pub struct SmState {
    /// `None` until the client enables it. Boxed, so that other sessions are small.
    managed: Option<Box<Managed>>,
    /// So many `<failed/>` are to be written: a client that has a session cannot resume another one.
    refused: u8,
    /// So many have been written.
    refusals: u8,
}

/// How a session can be resumed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resumption {
    /// What the client calls it: unguessable.
    pub id: SmolStr,
    /// For how long after its connection is lost, in whole seconds.
    pub max: Duration,
    /// What the store calls it; `None` if it cannot be resumed after a restart of the server.
    pub number: Option<SessionNumber>,
}

#[derive(Debug)]
struct Managed {
    resumption: Option<Resumption>,
    /// Stanzas of the client that have been received, modulo 2^32.
    received: u32,
    /// Stanzas that have been handled.
    handled: u32,
    /// The count that the store has, or will have before a crash can matter.
    kept: u32,
    /// The count that the client was sent last.
    acked: u32,
    sent: Unacknowledged,
    /// What is to be written beside stanzas.
    due: Due,
    /// When the server sent `<r/>`; `None` if no answer is awaited.
    asked: Option<Instant>,
}

/// What is to be written beside stanzas, in this order.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Due {
    /// `<enabled/>`.
    enabled: bool,
    /// `<a/>` unasked, if the count has changed.
    acknowledge: bool,
    /// So many `<a/>`, one for each `<r/>`.
    answers: u32,
}

/// What is written beside stanzas, in this order.
#[derive(Debug, Default)]
pub struct Batch {
    /// `<enabled/>`, and how the session can be resumed, if it can.
    pub enabled: Option<Option<Resumption>>,
    /// So many `<failed/>`, for requests to resume.
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

    /// As it was when the server before ended.
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

    /// A stanza of the client is received. Answers the count that is to be stored together with it.
    pub fn receive(&mut self) -> Option<Handled> {
        let managed = self.managed.as_mut()?;
        managed.received = managed.received.wrapping_add(1);
        let session = managed.resumption.as_ref()?.number?;
        Some(Handled { session, count: managed.received })
    }

    /// The oldest stanza that was received has been handled. `kept`: its count is in the store. `true` if
    /// so many have been handled that the client should be sent the count unasked.
    pub fn handled(&mut self, kept: bool) -> bool {
        let Some(managed) = &mut self.managed else { return false };
        managed.handled = managed.handled.wrapping_add(1);
        if kept {
            managed.kept = managed.handled;
        }
        managed.handled.wrapping_sub(managed.acked) >= ACK_AFTER
    }

    /// The count that is to be stored before the client can be sent it.
    #[must_use]
    pub fn unkept(&self) -> Option<Handled> {
        let managed = self.managed.as_ref()?;
        let session = managed.resumption.as_ref()?.number?;
        let count = managed.handled;
        (managed.kept != count).then_some(Handled { session, count })
    }

    /// The store has this count.
    pub fn kept(&mut self, count: u32) {
        if let Some(managed) = &mut self.managed {
            managed.kept = count;
        }
    }

    /// The client has sent stanzas that were not acked. Some may not be on the disk yet.
    #[must_use]
    pub fn has_unacked(&self) -> bool {
        self.managed.as_ref().is_some_and(|m| m.received != m.acked)
    }

    /// The client is to be told that it cannot resume another session, now that it has one (XEP-0198 §6).
    /// `false` if it has been told 10 times.
    pub fn refuse(&mut self) -> bool {
        let is_told = self.refused + self.refusals < REFUSALS;
        self.refused += u8::from(is_told);
        is_told
    }

    /// It is time to ack unasked. `false` if the client knows the count.
    pub fn acknowledge_due(&mut self) -> bool {
        let Some(managed) = &mut self.managed else { return false };
        managed.due.acknowledge = managed.ackable() != managed.acked;
        managed.due.acknowledge
    }

    /// The client has sent `<r/>`.
    pub fn answer_due(&mut self) {
        if let Some(managed) = &mut self.managed {
            managed.due.answers += 1;
        }
    }

    /// The client has sent `<r/>` and has not been answered.
    #[must_use]
    pub fn has_asked(&self) -> bool {
        self.managed.as_ref().is_some_and(|managed| managed.due.answers > 0)
    }

    /// How many stanzas of the client have been handled. A client that resumes is sent this count, even if
    /// the store does not have it yet: with a lower one, the client would send stanzas twice.
    #[must_use]
    pub fn handled_count(&self) -> u32 {
        self.managed.as_ref().map_or(0, |m| m.handled)
    }

    /// The client has handled `h` stanzas (`<a/>`). Answers those that it had not acknowledged before, in
    /// order.
    ///
    /// # Errors
    /// If it was sent fewer.
    pub fn acknowledged(&mut self, h: u32) -> Result<Vec<Delivery>, TooHigh> {
        let Some(managed) = &mut self.managed else { return Ok(Vec::new()) };
        managed.asked = None;
        managed.sent.acknowledge(h)
    }

    /// A new connection resumes the stream at `h` (XEP-0198 §5). Answers as [`SmState::acknowledged`].
    ///
    /// # Errors
    /// As [`SmState::acknowledged`].
    pub fn resumed(&mut self, h: u32) -> Result<Vec<Delivery>, TooHigh> {
        let Some(managed) = &mut self.managed else { return Ok(Vec::new()) };
        managed.asked = None;
        managed.acked = managed.handled;
        managed.due = Due::default();
        managed.sent.resume(h)
    }

    /// The client has answered the request with this id that it got from `from`. The server need not
    /// answer it, should the acknowledgement never come.
    pub fn answered(&mut self, from: &Jid, id: &str) {
        if let Some(managed) = &mut self.managed {
            managed.sent.answered(from, id);
        }
    }

    /// Keeps stanzas that will be written later: there is no connection.
    pub fn keep(&mut self, deliveries: VecDeque<Delivery>) {
        if let Some(managed) = &mut self.managed {
            deliveries.into_iter().for_each(|delivery| managed.sent.push(delivery));
        }
    }

    /// What is to be written now: beside stanzas, and the stanzas themselves. These are `stanzas`, behind
    /// those that are to be written again. They are kept here until they are acknowledged.
    pub fn write(&mut self, stanzas: VecDeque<Delivery>) -> (Batch, VecDeque<Delivery>) {
        let refused = std::mem::take(&mut self.refused);
        self.refusals += refused;
        let Some(managed) = &mut self.managed else {
            return (Batch { refused, ..Batch::default() }, stanzas);
        };
        stanzas.into_iter().for_each(|delivery| managed.sent.push(delivery));
        let stanzas: VecDeque<_> = managed.sent.unwritten().cloned().collect();
        managed.sent.all_written();
        let due = std::mem::take(&mut managed.due);
        let unasked = due.acknowledge && managed.ackable() != managed.acked;
        let times = due.answers.max(u32::from(unasked));
        let acknowledge = (times > 0).then(|| {
            managed.acked = managed.ackable();
            (managed.acked, times)
        });
        let request = managed.asked.is_none() && !managed.sent.is_empty();
        if request {
            managed.asked = Some(Instant::now());
        }
        let enabled = due.enabled.then(|| managed.resumption.clone());
        (Batch { enabled, refused, acknowledge, request }, stanzas)
    }

    /// The client does not acknowledge: more than `stanzas`, or more than `bytes` of them, are not
    /// acknowledged, and `<r/>` was sent more than 30 seconds ago; or four times as many. Its `<a/>` may be
    /// behind requests of its own, whose answers are among the stanzas.
    #[must_use]
    pub fn is_unresponsive(&self, stanzas: usize, bytes: usize) -> bool {
        let Some(managed) = &self.managed else { return false };
        let (most, size) = (managed.sent.len(), managed.sent.bytes());
        let is_late = managed.asked.is_some_and(|asked| asked.elapsed() > PATIENCE);
        let is_much = most > stanzas || size > bytes;
        is_much && (is_late || most > stanzas * TOO_MUCH || size > bytes * TOO_MUCH)
    }

    /// How many stanzas, and about how many bytes, are not acknowledged.
    #[must_use]
    pub fn unacknowledged(&self) -> (usize, usize) {
        self.managed.as_ref().map_or((0, 0), |m| (m.sent.len(), m.sent.bytes()))
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
            kept: handled,
            acked: handled,
            sent,
            due: Due::default(),
            asked: None,
        }
    }

    /// The count that a crash does not take back.
    fn ackable(&self) -> u32 {
        let outlives = self.resumption.as_ref().is_some_and(|r| r.number.is_some());
        if outlives { self.kept } else { self.handled }
    }
}

/// For a client to answer `<r/>`.
const PATIENCE: Duration = Duration::from_secs(30);
/// So many times the bounds are too much at any time.
const TOO_MUCH: usize = 4;
/// Requests to resume that are refused before the stream ends.
const REFUSALS: u8 = 10;
/// Handled stanzas after which the client is sent an ack unasked.
const ACK_AFTER: u32 = 16;

#[cfg(test)]
mod tests {
    use super::{ACK_AFTER, PATIENCE, REFUSALS, Resumption, SmState, TOO_MUCH};

    /// The answer to a request.
    fn acked(sm: &mut SmState) -> Option<u32> {
        sm.answer_due();
        sm.write(std::collections::VecDeque::new()).0.acknowledge.map(|(h, _)| h)
    }

    #[test]
    fn a_client_is_sent_no_count_that_a_crash_takes_back() {
        let mut sm = SmState::default();
        let number = Some(crate::storage::SessionNumber::for_tests(7));
        let max = std::time::Duration::from_secs(60);
        assert!(sm.enable(Some(Resumption { id: "a".into(), max, number })));
        assert_eq!(sm.receive().map(|h| h.count), Some(1));
        assert_eq!(sm.receive().map(|h| h.count), Some(2));
        assert_eq!(acked(&mut sm), Some(0), "received is not handled");
        sm.handled(true);
        assert_eq!((acked(&mut sm), sm.unkept()), (Some(1), None));
        sm.handled(false);
        assert_eq!(sm.unkept().map(|h| h.count), Some(2));
        assert_eq!(acked(&mut sm), Some(1), "handled is not kept");
        assert_eq!(sm.handled_count(), 2, "a client that resumes must not send it again");
        sm.kept(2);
        assert_eq!((acked(&mut sm), sm.unkept()), (Some(2), None));
    }

    #[test]
    fn each_request_is_answered_and_no_count_is_sent_twice_unasked() {
        let mut sm = SmState::default();
        let acked = |sm: &mut SmState| sm.write(std::collections::VecDeque::new()).0.acknowledge;
        assert!(sm.enable(None) && !sm.acknowledge_due() && acked(&mut sm).is_none());
        sm.receive();
        (0..3).for_each(|_| sm.answer_due());
        assert!(sm.has_asked() && !sm.acknowledge_due());
        assert_eq!(acked(&mut sm), Some((0, 3)), "at once, with what is safe");
        sm.handled(false);
        assert!(!sm.has_asked() && sm.acknowledge_due());
        assert_eq!((acked(&mut sm), acked(&mut sm)), (Some((1, 1)), None));
        assert!(!sm.acknowledge_due());
        sm.answer_due();
        assert_eq!(acked(&mut sm), Some((1, 1)), "asked again, the same again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_has_time_to_acknowledge() {
        let mut sm = SmState::default();
        assert!(sm.enable(None));
        let send = |sm: &mut SmState, count: usize| {
            let xml = crate::xml::Frame::from_bytes("<message/>").unwrap();
            let stanza = std::sync::Arc::new(crate::stanza::Stanza::read(xml).unwrap());
            let delivery = crate::session::Delivery { stanza, to: None, marker: None, read: None };
            drop(sm.write(std::iter::repeat_n(delivery, count).collect()));
        };
        send(&mut sm, 11);
        assert!(!sm.is_unresponsive(10, usize::MAX / TOO_MUCH));
        tokio::time::advance(PATIENCE).await;
        assert!(!sm.is_unresponsive(10, usize::MAX / TOO_MUCH) && !sm.is_unresponsive(11, 20_000));
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        assert!(sm.is_unresponsive(10, usize::MAX / TOO_MUCH) && !sm.is_unresponsive(11, 20_000));
        assert!(sm.is_unresponsive(20, 1_000), "by bytes");
        sm.acknowledged(1).unwrap();
        assert!(!sm.is_unresponsive(9, usize::MAX / TOO_MUCH), "it answers");
        send(&mut sm, 40);
        assert!(sm.is_unresponsive(10, usize::MAX / TOO_MUCH), "too much in any case");
    }

    #[test]
    fn what_is_handled_wraps() {
        let mut sm = SmState::default();
        let max = std::time::Duration::from_secs(60);
        let resumption = Resumption { id: "a".into(), max, number: None };
        sm.restore(resumption, u32::MAX, super::Unacknowledged::default());
        sm.receive();
        assert!(sm.has_unacked() && !sm.handled(false));
        assert_eq!((sm.handled_count(), acked(&mut sm)), (0, Some(0)));
        assert!((1..ACK_AFTER).all(|_| sm.receive().is_none() && !sm.handled(false)));
        sm.receive();
        assert!(sm.handled(false) && acked(&mut sm) == Some(ACK_AFTER));
    }

    #[test]
    fn without_a_store_what_is_handled_counts() {
        let mut sm = SmState::default();
        assert!(sm.enable(None) && !sm.enable(None));
        assert!((1..ACK_AFTER).all(|_| sm.receive().is_none() && !sm.handled(false)));
        assert!(sm.handled(false), "so many are acked unasked");
        assert_eq!((acked(&mut sm), sm.unkept()), (Some(ACK_AFTER), None));
    }

    #[test]
    fn a_stanza_on_its_way_to_the_disk_is_not_acked() {
        let mut sm = SmState::default();
        assert!(sm.enable(None) && !sm.has_unacked());
        sm.receive();
        assert!(sm.has_unacked(), "received, and soon handled");
        sm.handled(false);
        assert!(sm.has_unacked() && acked(&mut sm) == Some(1) && !sm.has_unacked());
    }

    #[test]
    fn requests_to_resume_are_refused_but_not_for_ever() {
        let mut sm = SmState::default();
        let refused = |sm: &mut SmState| sm.write(std::collections::VecDeque::new()).0.refused;
        assert!(refused(&mut sm) == 0 && sm.refuse() && sm.refuse());
        assert!(refused(&mut sm) == 2 && refused(&mut sm) == 0);
        assert!(sm.enable(None) && (2..REFUSALS).all(|_| sm.refuse()) && !sm.refuse());
        assert!(refused(&mut sm) == REFUSALS - 2 && !sm.refuse());
    }
}
