//! Stanzas of a client that were carried to the end, until they are on the disk. Only then they are handled
//! (XEP-0198 §4), in the order in which they came (docs/delivery.md).
//!
//! The reading loop does not wait for the disk, and the client is not sent a count too early. The queue is
//! bounded: when too many stanzas are on their way to the disk, the reading loop waits.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::host::ServerState;
use crate::router::{self, Processed};
use crate::session::Session;

/// The stanzas that are on their way to the disk, in order. The loops of one connection share them.
#[derive(Debug, Default)]
pub(super) struct PendingAcks {
    queue: Mutex<Queue>,
    /// Answers to `<r/>` that are to be written.
    answers: AtomicUsize,
    filled: Notify,
    drained: Notify,
    /// Wakes the task that waits for `answer_by`.
    asked: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    entries: VecDeque<Entry>,
    /// The first entry was taken out, and its receipts are awaited.
    is_busy: bool,
    /// The last entry is [`Entry::SendAck`].
    ends_with_ack: bool,
    is_closed: bool,
    /// When requests (`<r/>`) that wait for the disk must be answered.
    answer_by: Option<Instant>,
}

#[derive(Debug)]
enum Entry {
    /// A stanza. The flag says whether stream management counts it: not if it was enabled later. It waits since then.
    Stanza(Box<Processed>, bool, Instant),
    /// The client is to be sent how many stanzas have been handled.
    SendAck,
}

impl PendingAcks {
    /// Adds a stanza that was carried to the end. It counts as handled after those before it.
    pub(super) fn add(&self, session: &Session, taken: Processed, counts: bool) {
        let mut queue = self.queue.lock();
        let waits = queue.is_busy || !queue.entries.is_empty() || !taken.receipts.is_empty();
        if waits {
            queue.entries.push_back(Entry::Stanza(Box::new(taken), counts, Instant::now()));
            queue.ends_with_ack = false;
            self.filled.notify_one();
            return;
        }
        let is_ack_due = counts && session.sm(|sm| sm.note_handled(taken.is_counted));
        drop(queue);
        if is_ack_due {
            self.send_ack();
        }
    }

    /// Answers a request of the client (`<r/>`). Each one is answered (XEP-0198 §4). The answer comes at once if nothing
    /// is on its way to the disk. Otherwise it comes when all that came before the request is on the disk, but
    /// after [`ANSWER_WITHIN`] at the latest: then it has the count that is safe by then, and another `<a/>`
    /// follows when the rest is on the disk. So the client gets one `<a/>` if the disk is fast, and not two.
    ///
    /// An answer that is not written yet is only counted. If a client asks and does not read, nothing more is
    /// read from it, see [`PendingAcks::wait_for_capacity`].
    pub(super) fn answer(&self, session: &Session) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        let has_unacked = session.sm(|sm| {
            sm.schedule_answer();
            sm.has_unacked()
        });
        if has_unacked {
            self.send_ack();
        }
        let mut queue = self.queue.lock();
        if !queue.is_busy && queue.entries.is_empty() {
            drop(queue);
            session.mailbox().wake_writer();
        } else if queue.answer_by.is_none() {
            queue.answer_by = Some(Instant::now() + ANSWER_WITHIN);
            drop(queue);
            self.asked.notify_one();
        }
    }

    /// All answers that were due are about to be written.
    pub(super) fn answered(&self) {
        if self.answers.swap(0, Ordering::Relaxed) > 0 {
            self.queue.lock().answer_by = None;
            self.drained.notify_one();
        }
    }

    /// Waits until a request has waited for its answer as long as it may.
    async fn overdue(&self) {
        loop {
            let answer_by = self.queue.lock().answer_by;
            match answer_by {
                None => self.asked.notified().await,
                Some(at) if Instant::now() < at => sleep_until(at).await,
                Some(_) => {
                    self.queue.lock().answer_by = None;
                    return;
                }
            }
        }
    }

    /// Sends the client the count when all that was added before is on the disk.
    pub(super) fn send_ack(&self) {
        let mut queue = self.queue.lock();
        if !queue.ends_with_ack {
            queue.ends_with_ack = true;
            queue.entries.push_back(Entry::SendAck);
        }
        drop(queue);
        self.filled.notify_one();
    }

    /// Waits until no more than `most` are on their way, and not too many answers wait to be written.
    /// May be dropped at any time.
    pub(super) async fn wait_for_capacity(&self, most: usize) {
        let is_full = || self.queue.lock().entries.len() > most;
        while self.answers.load(Ordering::Relaxed) >= ANSWERS || is_full() {
            self.drained.notified().await;
        }
    }

    /// Nothing will be added: [`PendingAcks::settle`] ends when everything is on the disk.
    pub(super) fn close(&self) {
        self.queue.lock().is_closed = true;
        self.filled.notify_one();
    }

    /// Waits until one stanza after the other is on the disk, and has the counts written. Each receipt
    /// resolves, good or bad, so this ends.
    pub(super) async fn settle(&self, server: &ServerState, session: &Session) {
        loop {
            let next = {
                let mut queue = self.queue.lock();
                let next = queue.entries.pop_front();
                queue.ends_with_ack &= !matches!(next, Some(Entry::SendAck));
                queue.is_busy = next.is_some();
                if next.is_none() && queue.is_closed {
                    return;
                }
                next
            };
            match next {
                // Boxed: most of the time the queue is empty.
                Some(entry) => Box::pin(self.settle_one(server, session, entry)).await,
                None => self.filled.notified().await,
            }
            self.drained.notify_one();
        }
    }

    /// Waits until one entry is done. Meanwhile, has the writing loop answer the requests whose time is over.
    async fn settle_one(&self, server: &ServerState, session: &Session, entry: Entry) {
        let settling = settle(server, session, entry);
        tokio::pin!(settling);
        loop {
            tokio::select! {
                biased;
                () = &mut settling => return,
                () = self.overdue() => session.mailbox().wake_writer(),
            }
        }
    }
}

/// Waits until a stanza is on the disk. Then it is handled, or the client gets an error.
async fn settle(server: &ServerState, session: &Session, entry: Entry) {
    let is_ack_due = match entry {
        Entry::SendAck => true,
        Entry::Stanza(taken, counts, since) => {
            let Processed { stanza, receipts, is_counted, .. } = *taken;
            let (mut is_kept, is_stored) = (is_counted, !receipts.is_empty());
            for receipt in receipts {
                if let Err(error) = receipt.await {
                    // A refusal by the store is foreseen: the store has the count all the same.
                    is_kept &= error.is_refusal();
                    router::not_kept(server, session.handle(), &stanza, error);
                }
            }
            if is_stored {
                server.metrics.handled(since.elapsed());
            }
            counts && session.sm(|sm| sm.note_handled(is_kept))
        }
    };
    if is_ack_due {
        keep_count(server, session).await;
        if session.sm(|sm| sm.schedule_ack() || sm.owes_answer()) {
            session.mailbox().wake_writer();
        }
    }
}

/// Stores the count of a session that can be resumed. If that fails, the client is sent the count that the
/// store has.
pub(super) async fn keep_count(server: &ServerState, session: &Session) {
    let Some(handled) = session.sm(|sm| sm.count_to_store()) else { return };
    let kept = async { server.storage.resumption().handled(handled).await?.await };
    match kept.await {
        Ok(()) => session.sm(|sm| sm.note_stored(handled.count)),
        // The store has logged the failure, once for all stanzas.
        Err(error) => tracing::debug!(%error, "cannot store how many stanzas were handled"),
    }
}

/// Answers to `<r/>` that may wait to be written.
const ANSWERS: usize = 64;
/// How long an answer to `<r/>` may wait for the disk. XEP-0198 §4: it may be withheld for a timeout.
const ANSWER_WITHIN: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use futures_util::FutureExt as _;
    use proptest::prelude::*;
    use smallvec::SmallVec;
    use tokio::sync::oneshot;

    use super::{PendingAcks, Processed};
    use crate::c2s::fixtures::{server, session};
    use crate::session::Session;
    use crate::stanza::Stanza;
    use crate::storage::{Receipt, Result, StorageError};
    use crate::xml::Frame;

    fn message(number: usize) -> Stanza {
        let xml = format!("<message id='{number}' from='romeo@localhost/orchard' to='a@b'/>");
        Stanza::read(Frame::from_bytes(xml).unwrap()).unwrap()
    }

    /// Ids of the stanzas that were answered with an error, in order.
    fn refused(session: &Session) -> Vec<usize> {
        let (queue, _) = session.mailbox().take();
        let ids = queue.iter().map(|d| (d.stanza.is_error(), d.stanza.head().id.clone()));
        ids.map(|(is_error, id)| {
            assert!(is_error);
            id.unwrap().parse().unwrap()
        })
        .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_waits_for_the_disk_a_moment_and_is_answered_again_when_it_has_caught_up() {
        let server = server();
        let (session, unsettled) = (session(&server), PendingAcks::default());
        let written = |session: &Session| {
            unsettled.answered();
            session.sm(|sm| sm.next_batch(VecDeque::new()).0.acknowledge)
        };
        let settling = unsettled.settle(&server, &session);
        tokio::pin!(settling);
        let (disk, receipt) = oneshot::channel();
        session.sm(|sm| sm.receive());
        let receipts = smallvec::smallvec![Receipt::waiting(receipt)];
        let taken =
            Processed { stanza: message(1), receipts, is_counted: false, archived: None, steps: 0 };
        unsettled.add(&session, taken, true);
        (0..2).for_each(|_| unsettled.answer(&session));
        let woken = |session: &Session| session.mailbox().filled().now_or_never().is_some();
        assert!(settling.as_mut().now_or_never().is_none());
        assert!(!woken(&session), "the disk may be fast");
        tokio::time::advance(super::ANSWER_WITHIN).await;
        assert!(settling.as_mut().now_or_never().is_none());
        assert!(woken(&session), "it is not");
        assert_eq!(written(&session), Some((0, 2)), "each");
        assert!(settling.as_mut().now_or_never().is_none());
        assert_eq!(written(&session), None, "nothing new");
        disk.send(Ok(())).unwrap();
        assert!(settling.as_mut().now_or_never().is_none());
        assert_eq!(written(&session), Some((1, 1)), "unasked");
        drop(session.mailbox().take());
        unsettled.answer(&session);
        assert!(woken(&session), "nothing is on its way to the disk");
        assert!(settling.as_mut().now_or_never().is_none());
        assert_eq!((written(&session), written(&session)), (Some((1, 1)), None), "once is enough");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_answered_once_if_the_disk_is_fast() {
        let server = server();
        let (session, unsettled) = (session(&server), PendingAcks::default());
        let settling = unsettled.settle(&server, &session);
        tokio::pin!(settling);
        let (disk, receipt) = oneshot::channel();
        session.sm(|sm| sm.receive());
        let receipts = smallvec::smallvec![Receipt::waiting(receipt)];
        let taken =
            Processed { stanza: message(1), receipts, is_counted: false, archived: None, steps: 0 };
        unsettled.add(&session, taken, true);
        unsettled.answer(&session);
        assert!(settling.as_mut().now_or_never().is_none());
        disk.send(Ok(())).unwrap();
        assert!(settling.as_mut().now_or_never().is_none());
        assert!(session.mailbox().filled().now_or_never().is_some());
        unsettled.answered();
        let told = session.sm(|sm| sm.next_batch(VecDeque::new()).0.acknowledge);
        assert_eq!(told, Some((1, 1)));
        drop(session.mailbox().take());
        tokio::time::advance(super::ANSWER_WITHIN * 2).await;
        assert!(settling.as_mut().now_or_never().is_none());
        assert!(session.mailbox().filled().now_or_never().is_none(), "nothing is due");
    }

    #[test]
    fn a_client_that_asks_and_does_not_read_is_not_read() {
        let server = server();
        let (session, unsettled) = (session(&server), PendingAcks::default());
        (1..super::ANSWERS).for_each(|_| unsettled.answer(&session));
        assert!(unsettled.wait_for_capacity(0).now_or_never().is_some());
        unsettled.answer(&session);
        let reading = unsettled.wait_for_capacity(0);
        tokio::pin!(reading);
        assert!(reading.as_mut().now_or_never().is_none());
        unsettled.answered();
        assert!(reading.as_mut().now_or_never().is_some());
    }

    proptest! {
        /// Receipts come in any order, good or bad. Stanzas are handled in the order in which they came, each when its last
        /// receipt is there; the sender of a stanza that could not be stored is told that first.
        #[test]
        fn stanzas_are_handled_in_order_when_their_receipts_are_there(
            receipts in prop::collection::vec(0..3_usize, 1..20),
            order in prop::collection::vec(any::<prop::sample::Index>(), 40),
            bad in prop::collection::vec(any::<bool>(), 40),
        ) {
            tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
                let server = server();
                let (session, unsettled) = (session(&server), PendingAcks::default());
                let mut open: Vec<(usize, oneshot::Sender<Result<()>>)> = Vec::new();
                let settling = unsettled.settle(&server, &session);
                tokio::pin!(settling);
                for (number, count) in receipts.iter().enumerate() {
                    let waiting = (0..*count).map(|_| {
                        let (answer, receipt) = oneshot::channel();
                        open.push((number, answer));
                        Receipt::waiting(receipt)
                    });
                    let receipts: SmallVec<_> = waiting.collect();
                    session.sm(|sm| sm.receive());
                    let taken =
                        Processed { stanza: message(number), receipts, is_counted: false, archived: None, steps: 1 };
                    unsettled.add(&session, taken, true);
                }
                let mut failed = vec![0; receipts.len()];
                let mut told = Vec::new();
                for (index, bad) in order.iter().zip(&bad) {
                    assert!(settling.as_mut().now_or_never().is_none(), "it is not closed");
                    let first = open.iter().map(|(number, _)| *number).min();
                    let first = first.unwrap_or(receipts.len());
                    assert_eq!(session.sm(|sm| sm.handled_count()) as usize, first);
                    told.extend(refused(&session));
                    let due = failed[..first].iter().enumerate();
                    let due: Vec<usize> =
                        due.flat_map(|(n, times)| std::iter::repeat_n(n, *times)).collect();
                    assert!(told.len() >= due.len() && told.starts_with(&due), "{told:?} {due:?}");
                    if open.is_empty() {
                        break;
                    }
                    let (number, answer) = open.remove(index.index(open.len()));
                    failed[number] += usize::from(*bad);
                    let outcome = if *bad { Err(StorageError::Database("full".into())) } else { Ok(()) };
                    answer.send(outcome).unwrap();
                }
                // Those that nobody answers have failed, too.
                drop(open);
                unsettled.close();
                settling.await;
                assert_eq!(session.sm(|sm| sm.handled_count()) as usize, receipts.len());
            });
        }
    }
}
