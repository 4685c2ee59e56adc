//! The queue of stanzas from one domain of ours to one domain of another server. What may wait is bounded for the other domain,
//! over all these queues.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use smol_str::SmolStr;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::backoff::Remote;
use super::pair::Pair;
use crate::limit::Held;
use crate::stanza::Stanza;

/// A stanza that waits, or is being written.
pub(super) struct Waiting {
    pub(super) stanza: Stanza,
    /// Its bytes in the budget. `None` if they are not counted.
    pub(super) held: Option<Held>,
}

/// The queue of one pair.
pub(super) struct Link {
    pub(super) pair: Pair,
    /// The account that has addressed the domain first. `None`: this server.
    by: Option<SmolStr>,
    remote: Arc<Remote>,
    queue: Mutex<Queue>,
    filled: Notify,
    /// An administrator wants the stream to end.
    closing: Notify,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// The stanzas and bytes that are counted for the domain.
    counted: (usize, usize),
    /// Nothing more is taken: its task ends.
    is_closed: bool,
    /// How many streams in a row made no progress.
    failed_streams: u32,
    /// The previous stream, if not all stanzas were acknowledged on it.
    previous: Option<Previous>,
    /// The address of the other server, and since when the stream has been open; `None` if it is not.
    opened: Option<(SocketAddr, Instant)>,
}

/// What is known of a stream that was cut. The first waiting stanzas were sent on it.
pub(super) struct Previous {
    /// The id that the other server has given to it.
    pub(super) id: SmolStr,
    /// How many stanzas were acknowledged on it.
    pub(super) acked: u32,
    /// How many were not.
    pub(super) unacked: usize,
    /// How many stanzas of the other server had come on it.
    pub(super) heard: u32,
}

/// Why a stanza was not taken.
#[expect(clippy::large_enum_variant, reason = "it is looked at where it comes from")]
pub(super) enum NotTaken {
    /// The link has ended: another one is needed.
    Closed(Waiting),
    /// Too much waits.
    Full,
}

impl Link {
    /// `remote`: what is known of the other domain.
    pub(super) fn new(pair: Pair, by: Option<SmolStr>, remote: Arc<Remote>) -> Self {
        let (filled, closing) = (Notify::new(), Notify::new());
        Self { pair, by, remote, queue: Mutex::default(), filled, closing }
    }

    /// Counts what waits now for the domain.
    fn recount(&self, queue: &mut Queue) {
        let now = (queue.waiting.len(), queue.bytes);
        self.remote.waits.changed(std::mem::replace(&mut queue.counted, now), now);
    }

    /// The account whose quota of attempts this link uses; empty: the server's.
    pub(super) fn by(&self) -> &str {
        self.by.as_deref().unwrap_or_default()
    }

    /// How many attempts that account may have at once.
    pub(super) fn turns(&self) -> usize {
        if self.by.is_some() { TURNS_OF_ACCOUNT } else { TURNS_OF_SERVER }
    }

    /// Queues a stanza, unless more than `most` stanzas or more than `bytes` would wait for the domain, in the name of whatever
    /// domain of ours. An empty queue takes any stanza.
    #[expect(
        clippy::result_large_err,
        reason = "a stanza that was not taken is offered to the next link"
    )]
    pub(super) fn push(&self, waiting: Waiting, most: usize, bytes: usize) -> Result<(), NotTaken> {
        let mut queue = self.queue.lock();
        if queue.is_closed {
            return Err(NotTaken::Closed(waiting));
        }
        let size = waiting.stanza.size();
        if !queue.waiting.is_empty() && !self.remote.waits.has_room(size, most, bytes) {
            return Err(NotTaken::Full);
        }
        queue.bytes += size;
        queue.waiting.push_back(waiting);
        self.recount(&mut queue);
        drop(queue);
        self.filled.notify_one();
        Ok(())
    }

    /// Takes stanzas out, in order: about as many bytes as given.
    pub(super) fn take(&self, bytes: usize) -> Vec<Waiting> {
        let mut queue = self.queue.lock();
        let (mut taken, mut size) = (Vec::new(), 0);
        while size < bytes
            && let Some(waiting) = queue.waiting.pop_front()
        {
            let own = waiting.stanza.size();
            size += own;
            queue.bytes -= own;
            taken.push(waiting);
        }
        self.recount(&mut queue);
        taken
    }

    /// Puts back what was taken out and not sent, in front of all else.
    pub(super) fn put_back(&self, unsent: Vec<Waiting>) {
        let mut queue = self.queue.lock();
        for waiting in unsent.into_iter().rev() {
            queue.bytes += waiting.stanza.size();
            queue.waiting.push_front(waiting);
        }
        self.recount(&mut queue);
    }

    /// Notes the end of a stream. `progress`: stanzas were taken on it, or none were waiting. `true` if this is the
    /// second stream in a row that made no progress.
    pub(super) fn note_progress(&self, progress: bool) -> bool {
        let mut queue = self.queue.lock();
        queue.failed_streams = if progress { 0 } else { queue.failed_streams.saturating_add(1) };
        queue.failed_streams > 1
    }

    /// Notes the stream that was cut, if there was one.
    pub(super) fn set_previous(&self, previous: Option<Previous>) {
        self.queue.lock().previous = previous;
    }

    /// The id of the stream that was cut, and how much had come on it.
    pub(super) fn previous(&self) -> Option<(SmolStr, u32)> {
        let queue = self.queue.lock();
        queue.previous.as_ref().map(|previous| (previous.id.clone(), previous.heard))
    }

    /// Forgets what the other server has handled on the stream that was cut: `h` stanzas in all. Whether it was any. If it does not
    /// say so, it may have all that was sent there: what must not come twice is taken out, and returned.
    pub(super) fn forget_handled(
        &self,
        h: Option<u32>,
        is_once_only: impl Fn(&Stanza) -> bool,
    ) -> (bool, Vec<Waiting>) {
        let mut queue = self.queue.lock();
        let Some(previous) = queue.previous.take() else { return (false, Vec::new()) };
        let handled = h.map(|h| h.wrapping_sub(previous.acked) as usize);
        let (mut doubtful, mut rest) = (Vec::new(), VecDeque::new());
        match handled.filter(|handled| *handled <= previous.unacked) {
            Some(handled) => rest.extend(queue.waiting.drain(..).skip(handled)),
            None => {
                for (place, waiting) in queue.waiting.drain(..).enumerate() {
                    match place < previous.unacked && is_once_only(&waiting.stanza) {
                        true => doubtful.push(waiting),
                        false => rest.push_back(waiting),
                    }
                }
            }
        }
        queue.bytes = rest.iter().map(|waiting| waiting.stanza.size()).sum();
        queue.waiting = rest;
        self.recount(&mut queue);
        (handled.is_some_and(|handled| (1..=previous.unacked).contains(&handled)), doubtful)
    }

    /// Ends the link, if nothing waits. Returns whether it has ended.
    pub(super) fn close_if_empty(&self) -> bool {
        let mut queue = self.queue.lock();
        queue.is_closed |= queue.waiting.is_empty();
        queue.is_closed
    }

    /// Ends the link. Returns what waits.
    pub(super) fn close(&self) -> Vec<Waiting> {
        let mut queue = self.queue.lock();
        queue.is_closed = true;
        queue.bytes = 0;
        let waiting = std::mem::take(&mut queue.waiting);
        self.recount(&mut queue);
        waiting.into()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.queue.lock().is_closed
    }

    /// Whether stanzas are written as they come, so that none waits.
    pub(super) fn is_flowing(&self) -> bool {
        let queue = self.queue.lock();
        queue.opened.is_some() && queue.waiting.is_empty()
    }

    /// Where the other server is, and since when the stream has been open; `None` if it is not.
    pub(super) fn opened(&self) -> Option<(SocketAddr, Instant)> {
        self.queue.lock().opened
    }

    pub(super) fn set_opened(&self, peer: Option<SocketAddr>) {
        self.queue.lock().opened = peer.map(|peer| (peer, Instant::now()));
    }

    /// How many stanzas wait.
    pub(super) fn waiting(&self) -> usize {
        self.queue.lock().waiting.len()
    }

    /// Waits until something was pushed. For one task only.
    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Asks for the end of the stream.
    pub(super) fn end(&self) {
        self.closing.notify_one();
    }

    /// Waits until the stream is to end. For one task only.
    pub(super) async fn to_end(&self) {
        self.closing.notified().await;
    }
}

impl Link {
    /// As [`Link::filled`], if there is a link.
    pub(super) async fn filled_if(link: Option<&Self>) {
        if let Some(link) = link {
            link.filled().await;
        }
    }

    /// As [`Link::to_end`], if there is a link.
    pub(super) async fn to_end_if(link: Option<&Self>) {
        if let Some(link) = link {
            link.to_end().await;
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.remote.waits.changed(self.queue.get_mut().counted, (0, 0));
    }
}

/// How many attempts one account may have at once.
const TURNS_OF_ACCOUNT: usize = 8;
/// How many attempts this server itself may have at once: for its services, and for answers.
const TURNS_OF_SERVER: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jid::Jid;
    use crate::stanza::{Presence, PresenceKind};

    fn stanza(number: usize) -> Waiting {
        let (from, to) = (Jid::parse("a.example"), Jid::parse(&format!("{number}@c.example")));
        let presence = Presence::bare(PresenceKind::Probe, from.unwrap(), to.unwrap());
        Waiting { stanza: Stanza::Presence(presence), held: None }
    }

    fn numbers(waiting: &[Waiting]) -> Vec<String> {
        let number = |one: &Waiting| one.stanza.head().to.as_ref()?.local().map(str::to_owned);
        waiting.iter().filter_map(number).collect()
    }

    #[test]
    fn a_queue_keeps_the_order_and_is_bounded() {
        let pair = Pair { local: "a.example".into(), remote: "c.example".into() };
        let remote = Arc::new(Remote::default());
        let link = Link::new(pair, None, Arc::clone(&remote));
        for number in 0..3 {
            assert!(link.push(stanza(number), 3, 10_000).is_ok());
        }
        assert!(matches!(link.push(stanza(3), 3, 10_000), Err(NotTaken::Full)));
        assert!(matches!(link.push(stanza(3), 9, 500), Err(NotTaken::Full)));
        // What other domains of ours have sent counts, too. An empty queue takes one.
        let pair = Pair { local: "b.example".into(), remote: "c.example".into() };
        let other = Link::new(pair, None, Arc::clone(&remote));
        assert!(other.push(stanza(0), 3, 10_000).is_ok());
        assert!(matches!(other.push(stanza(1), 3, 10_000), Err(NotTaken::Full)));
        assert!(other.push(stanza(1), 5, 10_000).is_ok());
        assert!(matches!(link.push(stanza(3), 5, 10_000), Err(NotTaken::Full)));
        drop(other);
        assert!(!remote.waits.has_room(0, 3, 10_000) && remote.waits.has_room(0, 4, 10_000));
        let first = link.take(1);
        assert_eq!(numbers(&first), ["0"]);
        link.put_back(first);
        assert_eq!(numbers(&link.take(10_000)), ["0", "1", "2"]);
        // Two of three were handled, of which one was not acknowledged.
        link.put_back((0..3).map(stanza).collect());
        let previous =
            |unacked| Some(Previous { id: "s".into(), acked: u32::MAX, unacked, heard: 7 });
        link.set_previous(previous(3));
        assert_eq!(link.previous(), Some(("s".into(), 7)));
        let forget = |h, is_once_only| {
            let (any, doubtful) = link.forget_handled(h, |_| is_once_only);
            (any, numbers(&doubtful).len())
        };
        assert_eq!(forget(Some(1), true), (true, 0));
        assert_eq!(forget(Some(1), true), (false, 0), "once");
        link.set_previous(previous(1));
        assert_eq!(forget(Some(9), false), (false, 0), "so many were not sent");
        link.set_previous(previous(1));
        assert_eq!(forget(None, false), (false, 0), "the other server does not know");
        assert_eq!(numbers(&link.take(10_000)), ["2"]);
        link.put_back((2..4).map(stanza).collect());
        link.set_previous(previous(1));
        assert_eq!(forget(None, true), (false, 1), "it may have the first one");
        assert_eq!(numbers(&link.take(10_000)), ["3"]);
        assert!(link.push(stanza(4), 3, 1).is_ok(), "at least one");
        assert!(!link.close_if_empty());
        assert_eq!(numbers(&link.close()), ["4"]);
        assert!(link.is_closed() && remote.waits.has_room(0, 1, 0));
        assert!(matches!(link.push(stanza(5), 3, 10_000), Err(NotTaken::Closed(_))));
    }
}
