//! The stanzas that a client has been sent and has not acknowledged (XEP-0198 §4). Counters and a queue,
//! no I/O.
//!
//! Counters wrap at 2^32. Only differences are compared, so wrapping does no harm.

use std::collections::VecDeque;

use super::delivery::Delivery;
use crate::jid::Jid;
use crate::stanza::Stanza;

/// The stanzas that were sent since stream management was enabled.
#[derive(Debug, Default)]
pub(super) struct Unacknowledged {
    /// How many the client has acknowledged, modulo 2^32.
    acknowledged: u32,
    /// Those that it has not acknowledged, oldest first.
    queue: VecDeque<Unanswered>,
    /// How many of the oldest have been written to the present connection.
    written: usize,
    /// About how many bytes the queue holds.
    bytes: usize,
}

#[derive(Debug)]
struct Unanswered {
    delivery: Delivery,
    /// It is a request, and the client has answered it.
    answered: bool,
}

/// The client acknowledges more than it was sent (XEP-0198 §6).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("acknowledged {h} stanzas, but only {sent} were sent")]
pub struct TooHigh {
    /// How many it acknowledges.
    pub h: u32,
    /// How many it was sent.
    pub sent: u32,
}

impl Unacknowledged {
    /// As it is after `sent` stanzas, all of which are acknowledged.
    #[cfg(test)]
    #[must_use]
    pub(super) fn after(sent: u32) -> Self {
        Self { acknowledged: sent, ..Self::default() }
    }

    /// Adds a stanza that is to be sent. It stays until it is acknowledged.
    pub(super) fn push(&mut self, delivery: Delivery) {
        self.bytes += delivery.stanza.size();
        self.queue.push_back(Unanswered { delivery, answered: false });
    }

    /// The client has handled `h` stanzas in all. Removes and answers those it had not acknowledged
    /// before, in order: their undelivered markers can be removed.
    ///
    /// # Errors
    /// If it was sent fewer. An `h` below an earlier one is an error, too: with counters that wrap it is
    /// far above.
    pub(super) fn acknowledge(&mut self, h: u32) -> Result<Vec<Delivery>, TooHigh> {
        let count = h.wrapping_sub(self.acknowledged) as usize;
        if count > self.written {
            return Err(TooHigh { h, sent: self.sent() });
        }
        self.acknowledged = h;
        self.written -= count;
        let gone: Vec<_> = self.queue.drain(..count).map(|sent| sent.delivery).collect();
        self.bytes -= gone.iter().map(|d| d.stanza.size()).sum::<usize>();
        Ok(gone)
    }

    /// How many were written to the client in all, modulo 2^32.
    #[must_use]
    pub(super) fn sent(&self) -> u32 {
        self.acknowledged.wrapping_add(u32::try_from(self.written).unwrap_or(u32::MAX))
    }

    /// Those that have not been written to the present connection.
    pub(super) fn unwritten(&self) -> impl Iterator<Item = &Delivery> {
        self.queue.range(self.written..).map(|sent| &sent.delivery)
    }

    /// The client has answered the request with this id that it got from `from`.
    pub(super) fn answered(&mut self, from: &Jid, id: &str) {
        let is_it = |sent: &Unanswered| match &*sent.delivery.stanza {
            Stanza::Iq(iq) => {
                iq.is_request()
                    && iq.head.id.as_deref() == Some(id)
                    && iq.head.from.as_ref() == Some(from)
            }
            _ => false,
        };
        if let Some(sent) = self.queue.iter_mut().find(|sent| is_it(sent)) {
            sent.answered = true;
        }
    }

    /// For a snapshot: the arguments of [`Unacknowledged::restored`], the queue first.
    pub(super) fn saved(&self) -> (Vec<(Delivery, bool)>, u32, usize) {
        let queue = self.queue.iter().map(|sent| (sent.delivery.clone(), sent.answered));
        (queue.collect(), self.acknowledged, self.written)
    }

    /// Restores what [`Unacknowledged::saved`] has returned. `acknowledged` is how many stanzas were
    /// acknowledged. `queue` has the stanzas after them; the flag says that the stanza is a request which
    /// the client has answered. `written` is how many of the queue were written to the last connection.
    pub(super) fn restored(
        acknowledged: u32,
        queue: Vec<(Delivery, bool)>,
        written: usize,
    ) -> Self {
        let bytes = queue.iter().map(|(delivery, _)| delivery.stanza.size()).sum();
        let queue: VecDeque<_> = queue
            .into_iter()
            .map(|(delivery, answered)| Unanswered { delivery, answered })
            .collect();
        Self { acknowledged, written: written.min(queue.len()), queue, bytes }
    }

    /// All stanzas have been written to the present connection.
    pub(super) fn all_written(&mut self) {
        self.written = self.queue.len();
    }

    /// A new connection begins: what is not acknowledged is to be written again (XEP-0198 §5). Answers as
    /// [`Unacknowledged::acknowledge`].
    ///
    /// # Errors
    /// As [`Unacknowledged::acknowledge`].
    pub(super) fn resume(&mut self, h: u32) -> Result<Vec<Delivery>, TooHigh> {
        let acknowledged = self.acknowledge(h)?;
        self.written = 0;
        Ok(acknowledged)
    }

    /// How many are not acknowledged.
    #[must_use]
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// About how many bytes are not acknowledged.
    #[must_use]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Everything is acknowledged.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// What was never acknowledged, in order, without the requests that the client has answered: it is
    /// treated as for an offline user.
    #[must_use]
    pub(super) fn into_deliveries(self) -> VecDeque<Delivery> {
        self.queue.into_iter().filter(|sent| !sent.answered).map(|sent| sent.delivery).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::{Strategy, prop, prop_assert, prop_assert_eq, proptest};

    use super::{Delivery, TooHigh, Unacknowledged};
    use crate::jid::Jid;
    use crate::stanza::{Presence, PresenceKind, Stanza};

    fn delivery(number: u32) -> Delivery {
        let jid = Jid::parse(&format!("{number}@a.lit")).unwrap();
        let presence = Presence::bare(PresenceKind::Available, jid.clone(), jid);
        Delivery {
            stanza: Arc::new(Stanza::Presence(presence)),
            to: None,
            marker: None,
            read: None,
        }
    }

    fn number(delivery: &Delivery) -> u32 {
        delivery.stanza.head().from.as_ref().unwrap().local().unwrap().parse().unwrap()
    }

    #[test]
    fn what_was_never_sent_cannot_be_acknowledged() {
        let mut sent = Unacknowledged::after(7);
        sent.push(delivery(0));
        assert_eq!(sent.acknowledge(8).unwrap_err(), TooHigh { h: 8, sent: 7 }, "not written yet");
        sent.all_written();
        assert!(sent.acknowledge(9).is_err());
        assert!(sent.acknowledge(6).is_err(), "an earlier h");
        assert_eq!(sent.acknowledge(8).unwrap().len(), 1);
        assert!(sent.acknowledge(8).unwrap().is_empty(), "again the same");
    }

    #[test]
    fn a_resumed_stream_writes_again_what_was_not_acknowledged() {
        let mut sent = Unacknowledged::default();
        (0..4).for_each(|i| sent.push(delivery(i)));
        sent.all_written();
        sent.push(delivery(4));
        assert_eq!(sent.resume(2).unwrap().iter().map(number).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(sent.unwritten().map(number).collect::<Vec<_>>(), [2, 3, 4]);
    }

    #[derive(Clone, Debug)]
    enum Event {
        Acknowledge(prop::sample::Index),
        Resume(prop::sample::Index),
        Send(u8),
    }

    fn event() -> impl Strategy<Value = Event> {
        use proptest::prelude::{any, prop_oneof};
        prop_oneof![
            any::<prop::sample::Index>().prop_map(Event::Acknowledge),
            any::<prop::sample::Index>().prop_map(Event::Resume),
            (0..20u8).prop_map(Event::Send),
        ]
    }

    proptest! {
        /// Compares with a model that keeps everything and never wraps.
        #[test]
        fn counters_wrap_and_nothing_is_lost_or_doubled(
            start in (u32::MAX - 60)..=u32::MAX,
            events in prop::collection::vec(event(), 0..40),
        ) {
            let mut tried = Unacknowledged::after(start);
            let (mut pushed, mut forgotten) = (0u32, 0u32);
            for event in events {
                match event {
                    Event::Send(n) => {
                        for _ in 0..n {
                            tried.push(delivery(pushed));
                            pushed += 1;
                        }
                        tried.all_written();
                    }
                    Event::Acknowledge(i) | Event::Resume(i) => {
                        let count = i.index((pushed - forgotten) as usize + 1) as u32;
                        let h = start.wrapping_add(forgotten).wrapping_add(count);
                        let resume = matches!(event, Event::Resume(_));
                        let gone = if resume { tried.resume(h) } else { tried.acknowledge(h) };
                        let gone: Vec<_> = gone.unwrap().iter().map(number).collect();
                        prop_assert_eq!(gone, (forgotten..forgotten + count).collect::<Vec<_>>());
                        forgotten += count;
                        if resume {
                            let again: Vec<_> = tried.unwritten().map(number).collect();
                            prop_assert_eq!(again, (forgotten..pushed).collect::<Vec<_>>());
                            tried.all_written();
                        }
                    }
                }
                prop_assert_eq!(tried.len() as u32, pushed - forgotten);
                let beyond = start.wrapping_add(pushed).wrapping_add(1);
                prop_assert!(tried.acknowledge(beyond).is_err());
            }
        }
    }
}
