//! What the two loops of a session share: stream management (XEP-0198), and what is due to be
//! written beside the stanzas. It moves with the session from connection to connection.
//!
//! A stanza of the client is *received* when we begin to carry it, *handled* when what was kept of it
//! is on the disk, in the order in which it was taken. The count of a session that can be resumed is
//! kept, too; the client hears of no count that a crash could take back (docs/delivery.md).

use std::collections::VecDeque;
use std::time::Duration;

use smol_str::SmolStr;
use tokio::time::Instant;

use super::Delivery;
use super::stream_management::{TooHigh, Unacknowledged};
use crate::jid::Jid;
use crate::storage::{Handled, SessionNumber};

/// Stream management of a session, as long as it is enabled.
#[derive(Debug, Default)]
pub struct SmState {
    /// Boxed: most of the clients that use it are on mobile networks, others hold no room for it.
    managed: Option<Box<Managed>>,
    /// So many `<failed/>` are to be written: who has a session cannot resume another one.
    refused: u8,
    /// Those that have been written.
    refusals: u8,
}

/// How a session can be resumed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resumption {
    /// What the client calls it: unguessable.
    pub id: SmolStr,
    /// For how long after its connection is lost.
    pub max: Duration,
    /// What the store calls it; `None` if it does not outlive the server.
    pub number: Option<SessionNumber>,
}

#[derive(Debug)]
struct Managed {
    resumption: Option<Resumption>,
    /// Stanzas of the client that we have begun to carry, modulo 2^32.
    received: u32,
    /// Those we have handled.
    handled: u32,
    /// The count that the store has, or will have before it can matter.
    kept: u32,
    /// As of which the client knows.
    acked: u32,
    sent: Unacknowledged,
    /// To be written before anything else.
    due: Due,
    /// We have asked, then, and wait for the answer.
    asked: Option<Instant>,
}

/// What is to be written beside stanzas, in this order.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Due {
    /// `<enabled/>`.
    enabled: bool,
    /// `<a/>` unasked, if there is more to tell than was told.
    acknowledge: bool,
    /// So many `<a/>`, for as many `<r/>`.
    answers: u32,
}

/// Something to write: in this order.
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

    /// As a server before left it.
    pub(super) fn restore(&mut self, resumption: Resumption, handled: u32, sent: Unacknowledged) {
        self.managed = Some(Box::new(Managed::with(Some(resumption), handled, sent)));
    }

    /// What was sent and not acknowledged, with the requests among it that were answered; behind how
    /// many that were; and how many of them were written to the last connection.
    pub(super) fn saved(&self) -> (Vec<(Delivery, bool)>, u32, usize) {
        let sent = self.managed.as_ref().map(|managed| &managed.sent);
        sent.map_or_else(Default::default, Unacknowledged::saved)
    }

    /// It is enabled.
    #[must_use]
    pub fn is_managed(&self) -> bool {
        self.managed.is_some()
    }

    /// How it can be resumed, if it can.
    #[must_use]
    pub fn resumption(&self) -> Option<Resumption> {
        self.managed.as_ref()?.resumption.clone()
    }

    /// We begin to carry a stanza of the client. Answers what is to be kept together with it.
    pub fn take(&mut self) -> Option<Handled> {
        let managed = self.managed.as_mut()?;
        managed.received = managed.received.wrapping_add(1);
        let session = managed.resumption.as_ref()?.number?;
        Some(Handled { session, count: managed.received })
    }

    /// The oldest stanza that was taken has been handled; `kept`: its count is in the store. `true`
    /// if so many have that the client should be told unasked.
    pub fn handled(&mut self, kept: bool) -> bool {
        let Some(managed) = &mut self.managed else { return false };
        managed.handled = managed.handled.wrapping_add(1);
        if kept {
            managed.kept = managed.handled;
        }
        managed.handled.wrapping_sub(managed.acked) >= ACK_AFTER
    }

    /// What is to be kept before the client can be told.
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

    /// The client does not know how many have been handled, or will have been when what it has sent
    /// is on the disk.
    #[must_use]
    pub fn has_unacked(&self) -> bool {
        self.managed.as_ref().is_some_and(|m| m.received != m.acked)
    }

    /// The client is to be told that it cannot resume another session, now that it has one
    /// (XEP-0198 §6). `false` if it does not learn.
    pub fn refuse(&mut self) -> bool {
        let learns = self.refused + self.refusals < REFUSALS;
        self.refused += u8::from(learns);
        learns
    }

    /// It is time to tell the client unasked. `false` if it knows all that can be told.
    pub fn acknowledge_due(&mut self) -> bool {
        let Some(managed) = &mut self.managed else { return false };
        managed.due.acknowledge = managed.ackable() != managed.acked;
        managed.due.acknowledge
    }

    /// The client asks (`<r/>`).
    pub fn answer_due(&mut self) {
        if let Some(managed) = &mut self.managed {
            managed.due.answers += 1;
        }
    }

    /// The client has asked and has not been answered.
    #[must_use]
    pub fn has_asked(&self) -> bool {
        self.managed.as_ref().is_some_and(|managed| managed.due.answers > 0)
    }

    /// How many stanzas of the client have been handled. A client that resumes is told this and no
    /// less, even if the store could not be told before: what it sends again would count twice.
    #[must_use]
    pub fn handled_count(&self) -> u32 {
        self.managed.as_ref().map_or(0, |m| m.handled)
    }

    /// The client has handled `h` stanzas (`<a/>`). Those are given back in order.
    ///
    /// # Errors
    /// If it was never sent so many.
    pub fn acknowledged(&mut self, h: u32) -> Result<Vec<Delivery>, TooHigh> {
        let Some(managed) = &mut self.managed else { return Ok(Vec::new()) };
        managed.asked = None;
        managed.sent.acknowledge(h)
    }

    /// A new connection resumes the stream at `h` (XEP-0198 §5). What the client has handled is
    /// given back in order.
    ///
    /// # Errors
    /// If the client was never sent so many.
    pub fn resumed(&mut self, h: u32) -> Result<Vec<Delivery>, TooHigh> {
        let Some(managed) = &mut self.managed else { return Ok(Vec::new()) };
        managed.asked = None;
        managed.acked = managed.handled;
        managed.due = Due::default();
        managed.sent.resume(h)
    }

    /// The client has answered a request that it got from `from`: nobody else needs to, should its
    /// acknowledgement never come.
    pub fn answered(&mut self, from: &Jid, id: &str) {
        if let Some(managed) = &mut self.managed {
            managed.sent.answered(from, id);
        }
    }

    /// Takes over stanzas that will be written later: the connection is gone for now.
    pub fn keep(&mut self, deliveries: VecDeque<Delivery>) {
        if let Some(managed) = &mut self.managed {
            deliveries.into_iter().for_each(|delivery| managed.sent.push(delivery));
        }
    }

    /// What is to be written now, together with `stanzas`, which are taken over until they are
    /// acknowledged; they are given back with those to be written again.
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

    /// The client does not acknowledge what it gets: more than `stanzas`, or more than `bytes` of
    /// them, wait, and it has been asked long ago; or many times as much. Its answers may stand behind
    /// questions of its own, whose answers are among what waits.
    #[must_use]
    pub fn is_unresponsive(&self, stanzas: usize, bytes: usize) -> bool {
        let Some(managed) = &self.managed else { return false };
        let (most, size) = (managed.sent.len(), managed.sent.bytes());
        let is_late = managed.asked.is_some_and(|asked| asked.elapsed() > PATIENCE);
        let is_much = most > stanzas || size > bytes;
        is_much && (is_late || most > stanzas * TOO_MUCH || size > bytes * TOO_MUCH)
    }

    /// How many stanzas, and about how many bytes, wait for an acknowledgement.
    #[must_use]
    pub fn unacknowledged(&self) -> (usize, usize) {
        self.managed.as_ref().map_or((0, 0), |m| (m.sent.len(), m.sent.bytes()))
    }

    /// What was never acknowledged, in order. Stream management ends.
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

    /// The count that no crash takes back.
    fn ackable(&self) -> u32 {
        let outlives = self.resumption.as_ref().is_some_and(|r| r.number.is_some());
        if outlives { self.kept } else { self.handled }
    }
}

/// For a client to answer when it is asked what it has handled.
const PATIENCE: Duration = Duration::from_secs(30);
/// So many times the bounds are too much in any case.
const TOO_MUCH: usize = 4;
/// Requests to resume that are refused, once there is a session.
const REFUSALS: u8 = 10;
/// Handled stanzas after which the client is told unasked.
const ACK_AFTER: u32 = 16;

#[cfg(test)]
mod tests {
    use super::{ACK_AFTER, PATIENCE, REFUSALS, Resumption, SmState, TOO_MUCH};

    /// The answer to a request.
    fn told(link: &mut SmState) -> Option<u32> {
        link.answer_due();
        link.write(std::collections::VecDeque::new()).0.acknowledge.map(|(h, _)| h)
    }

    #[test]
    fn a_client_hears_of_no_count_that_a_crash_takes_back() {
        let mut link = SmState::default();
        let number = Some(crate::storage::SessionNumber::for_tests(7));
        let max = std::time::Duration::from_secs(60);
        assert!(link.enable(Some(Resumption { id: "a".into(), max, number })));
        assert_eq!(link.take().map(|h| h.count), Some(1));
        assert_eq!(link.take().map(|h| h.count), Some(2));
        assert_eq!(told(&mut link), Some(0), "taken is not handled");
        link.handled(true);
        assert_eq!((told(&mut link), link.unkept()), (Some(1), None));
        link.handled(false);
        assert_eq!(link.unkept().map(|h| h.count), Some(2));
        assert_eq!(told(&mut link), Some(1), "handled is not kept");
        assert_eq!(link.handled_count(), 2, "but who resumes must not send it again");
        link.kept(2);
        assert_eq!((told(&mut link), link.unkept()), (Some(2), None));
    }

    #[test]
    fn each_request_is_answered_and_nothing_is_told_twice_unasked() {
        let mut link = SmState::default();
        let told = |link: &mut SmState| link.write(std::collections::VecDeque::new()).0.acknowledge;
        assert!(link.enable(None) && !link.acknowledge_due() && told(&mut link).is_none());
        link.take();
        (0..3).for_each(|_| link.answer_due());
        assert!(link.has_asked() && !link.acknowledge_due());
        assert_eq!(told(&mut link), Some((0, 3)), "at once, with what is safe");
        link.handled(false);
        assert!(!link.has_asked() && link.acknowledge_due());
        assert_eq!((told(&mut link), told(&mut link)), (Some((1, 1)), None));
        assert!(!link.acknowledge_due());
        link.answer_due();
        assert_eq!(told(&mut link), Some((1, 1)), "asked again, the same again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_has_time_to_acknowledge() {
        let mut link = SmState::default();
        assert!(link.enable(None));
        let send = |link: &mut SmState, count: usize| {
            let xml = crate::xml::Frame::from_bytes("<message/>").unwrap();
            let stanza = std::sync::Arc::new(crate::stanza::Stanza::read(xml).unwrap());
            let delivery = crate::session::Delivery { stanza, to: None, marker: None, read: None };
            drop(link.write(std::iter::repeat_n(delivery, count).collect()));
        };
        send(&mut link, 11);
        assert!(!link.is_unresponsive(10, usize::MAX / TOO_MUCH));
        tokio::time::advance(PATIENCE).await;
        assert!(
            !link.is_unresponsive(10, usize::MAX / TOO_MUCH) && !link.is_unresponsive(11, 20_000)
        );
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        assert!(
            link.is_unresponsive(10, usize::MAX / TOO_MUCH) && !link.is_unresponsive(11, 20_000)
        );
        assert!(link.is_unresponsive(20, 1_000), "by bytes");
        link.acknowledged(1).unwrap();
        assert!(!link.is_unresponsive(9, usize::MAX / TOO_MUCH), "it answers");
        send(&mut link, 40);
        assert!(link.is_unresponsive(10, usize::MAX / TOO_MUCH), "too much in any case");
    }

    #[test]
    fn what_is_handled_wraps() {
        let mut link = SmState::default();
        let max = std::time::Duration::from_secs(60);
        let resumption = Resumption { id: "a".into(), max, number: None };
        link.restore(resumption, u32::MAX, super::Unacknowledged::default());
        link.take();
        assert!(link.has_unacked() && !link.handled(false));
        assert_eq!((link.handled_count(), told(&mut link)), (0, Some(0)));
        assert!((1..ACK_AFTER).all(|_| link.take().is_none() && !link.handled(false)));
        link.take();
        assert!(link.handled(false) && told(&mut link) == Some(ACK_AFTER));
    }

    #[test]
    fn without_a_store_what_is_handled_counts() {
        let mut link = SmState::default();
        assert!(link.enable(None) && !link.enable(None));
        assert!((1..ACK_AFTER).all(|_| link.take().is_none() && !link.handled(false)));
        assert!(link.handled(false), "so many are told unasked");
        assert_eq!((told(&mut link), link.unkept()), (Some(ACK_AFTER), None));
    }

    #[test]
    fn a_client_is_to_be_told_of_what_is_on_its_way_to_the_disk() {
        let mut link = SmState::default();
        assert!(link.enable(None) && !link.has_unacked());
        link.take();
        assert!(link.has_unacked(), "taken, and soon handled");
        link.handled(false);
        assert!(link.has_unacked() && told(&mut link) == Some(1) && !link.has_unacked());
    }

    #[test]
    fn requests_to_resume_are_refused_but_not_for_ever() {
        let mut link = SmState::default();
        let refused = |link: &mut SmState| link.write(std::collections::VecDeque::new()).0.refused;
        assert!(refused(&mut link) == 0 && link.refuse() && link.refuse());
        assert!(refused(&mut link) == 2 && refused(&mut link) == 0);
        assert!(link.enable(None) && (2..REFUSALS).all(|_| link.refuse()) && !link.refuse());
        assert!(refused(&mut link) == REFUSALS - 2 && !link.refuse());
    }
}
