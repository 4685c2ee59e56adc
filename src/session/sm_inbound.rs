//! What the client sends, as stream management counts it (XEP-0198 §4).
//!
//! A stanza of the client is *received* when the server begins to carry it. It is *handled* when all that
//! is stored of it is on the disk; stanzas are handled in the order in which they were received. It is
//! *acked* when the client has been sent that count. If the session can be resumed after a restart, its
//! count is stored, too: the client is sent no count that a crash could take back (docs/delivery.md).

use super::sm_state::SmState;
use crate::storage::Handled;

impl SmState {
    /// A stanza of the client is received. Answers the count that is to be stored together with it.
    pub fn receive(&mut self) -> Option<Handled> {
        let managed = self.managed.as_mut()?;
        managed.received = managed.received.wrapping_add(1);
        let session = managed.resumption.as_ref()?.number?;
        Some(Handled { session, count: managed.received })
    }

    /// The oldest stanza that was received has been handled. `is_stored`: its count is in the store. `true` if
    /// so many have been handled that the client should be sent the count unasked.
    pub fn note_handled(&mut self, is_stored: bool) -> bool {
        let Some(managed) = &mut self.managed else { return false };
        managed.handled = managed.handled.wrapping_add(1);
        if is_stored {
            managed.stored = managed.handled;
        }
        managed.handled.wrapping_sub(managed.acked) >= ACK_AFTER
    }

    /// The count that is to be stored before the client can be sent it.
    #[must_use]
    pub fn count_to_store(&self) -> Option<Handled> {
        let managed = self.managed.as_ref()?;
        let session = managed.resumption.as_ref()?.number?;
        let count = managed.handled;
        (managed.stored != count).then_some(Handled { session, count })
    }

    /// The store has this count.
    pub fn note_stored(&mut self, count: u32) {
        if let Some(managed) = &mut self.managed {
            managed.stored = count;
        }
    }

    /// The client has sent stanzas that were not acked. Some may not be on the disk yet.
    #[must_use]
    pub fn has_unacked(&self) -> bool {
        self.managed.as_ref().is_some_and(|m| m.received != m.acked)
    }

    /// The client is to be sent the count without a request. `false` if the client has it already.
    pub fn schedule_ack(&mut self) -> bool {
        let Some(managed) = &mut self.managed else { return false };
        managed.due.ack = managed.ackable() != managed.acked;
        managed.due.ack
    }

    /// The client has sent `<r/>`: an answer is to be written.
    pub fn schedule_answer(&mut self) {
        if let Some(managed) = &mut self.managed {
            managed.due.answers += 1;
        }
    }

    /// The client has sent `<r/>` and has not been answered.
    #[must_use]
    pub fn owes_answer(&self) -> bool {
        self.managed.as_ref().is_some_and(|managed| managed.due.answers > 0)
    }

    /// How many stanzas of the client have been handled. A client that resumes is sent this count, even if
    /// the store does not have it yet: with a lower one, the client would send stanzas twice.
    #[must_use]
    pub fn handled_count(&self) -> u32 {
        self.managed.as_ref().map_or(0, |m| m.handled)
    }
}

/// After so many handled stanzas the client is sent an ack without a request.
const ACK_AFTER: u32 = 16;

#[cfg(test)]
mod tests {
    use super::super::sm_state::{Resumption, SmState};
    use super::ACK_AFTER;

    /// The answer to a request.
    fn acked(sm: &mut SmState) -> Option<u32> {
        sm.schedule_answer();
        sm.next_batch(std::collections::VecDeque::new()).0.acknowledge.map(|(h, _)| h)
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
        sm.note_handled(true);
        assert_eq!((acked(&mut sm), sm.count_to_store()), (Some(1), None));
        sm.note_handled(false);
        assert_eq!(sm.count_to_store().map(|h| h.count), Some(2));
        assert_eq!(acked(&mut sm), Some(1), "handled is not kept");
        assert_eq!(sm.handled_count(), 2, "a client that resumes must not send it again");
        sm.note_stored(2);
        assert_eq!((acked(&mut sm), sm.count_to_store()), (Some(2), None));
    }

    #[test]
    fn each_request_is_answered_and_no_count_is_sent_twice_unasked() {
        let mut sm = SmState::default();
        let acked =
            |sm: &mut SmState| sm.next_batch(std::collections::VecDeque::new()).0.acknowledge;
        assert!(sm.enable(None) && !sm.schedule_ack() && acked(&mut sm).is_none());
        sm.receive();
        (0..3).for_each(|_| sm.schedule_answer());
        assert!(sm.owes_answer() && !sm.schedule_ack());
        assert_eq!(acked(&mut sm), Some((0, 3)), "at once, with what is safe");
        sm.note_handled(false);
        assert!(!sm.owes_answer() && sm.schedule_ack());
        assert_eq!((acked(&mut sm), acked(&mut sm)), (Some((1, 1)), None));
        assert!(!sm.schedule_ack());
        sm.schedule_answer();
        assert_eq!(acked(&mut sm), Some((1, 1)), "asked again, the same again");
    }

    #[test]
    fn what_is_handled_wraps() {
        let mut sm = SmState::default();
        let max = std::time::Duration::from_secs(60);
        let resumption = Resumption { id: "a".into(), max, number: None };
        sm.restore(resumption, u32::MAX, Default::default());
        sm.receive();
        assert!(sm.has_unacked() && !sm.note_handled(false));
        assert_eq!((sm.handled_count(), acked(&mut sm)), (0, Some(0)));
        assert!((1..ACK_AFTER).all(|_| sm.receive().is_none() && !sm.note_handled(false)));
        sm.receive();
        assert!(sm.note_handled(false) && acked(&mut sm) == Some(ACK_AFTER));
    }

    #[test]
    fn without_a_store_what_is_handled_counts() {
        let mut sm = SmState::default();
        assert!(sm.enable(None) && !sm.enable(None));
        assert!((1..ACK_AFTER).all(|_| sm.receive().is_none() && !sm.note_handled(false)));
        assert!(sm.note_handled(false), "so many are acked unasked");
        assert_eq!((acked(&mut sm), sm.count_to_store()), (Some(ACK_AFTER), None));
    }

    #[test]
    fn a_stanza_on_its_way_to_the_disk_is_not_acked() {
        let mut sm = SmState::default();
        assert!(sm.enable(None) && !sm.has_unacked());
        sm.receive();
        assert!(sm.has_unacked(), "received, and soon handled");
        sm.note_handled(false);
        assert!(sm.has_unacked() && acked(&mut sm) == Some(1) && !sm.has_unacked());
    }
}
