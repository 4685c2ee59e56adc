//! The queue of stanzas from one domain of ours to one domain of another server. What may wait is bounded for the other domain,
//! over all these queues.

use std::collections::VecDeque;
use std::net::SocketAddr;

use parking_lot::Mutex;
use smol_str::SmolStr;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::pair::Pair;
use crate::limit::{Action, Budgets, Held};
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
    /// The stanzas that wait, in the budget of the domain.
    stanzas: Held,
    /// Their bytes.
    bytes: Held,
    queue: Mutex<Queue>,
    filled: Notify,
    /// An administrator wants the stream to end.
    closing: Notify,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    bytes: usize,
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
    /// `by`: the account that addresses the domain; `None`: this server.
    pub(super) fn new(pair: Pair, by: Option<SmolStr>, budgets: &Budgets) -> Self {
        let stanzas = budgets.remote_stanzas.holder(Some(&pair.remote), None);
        let bytes = budgets.remote_bytes.holder(Some(&pair.remote), None);
        let (filled, closing) = (Notify::new(), Notify::new());
        Self { pair, by, stanzas, bytes, queue: Mutex::default(), filled, closing }
    }

    /// Counts what waits now for the domain.
    fn recount(&self, queue: &Queue) {
        self.stanzas.set(queue.waiting.len() as u64);
        self.bytes.set(queue.bytes as u64);
    }

    /// Counts one more stanza of this size, if it may wait: it is the first of this queue or within its share, or there is room
    /// for it in the budget of the domain.
    fn count_one(&self, queue: &Queue, size: usize, most: usize, bytes: usize) -> bool {
        let (length, held) = (queue.waiting.len(), queue.bytes.saturating_add(size));
        if length == 0 || length < most / SHARE && held <= bytes / SHARE {
            self.stanzas.set(length as u64 + 1);
            self.bytes.set(held as u64);
            return true;
        }
        if let Err(scope) = self.stanzas.try_add(1) {
            self.stanzas.level().count(scope, Action::Error);
            return false;
        }
        if let Err(scope) = self.bytes.try_add(size as u64) {
            self.bytes.level().count(scope, Action::Error);
            self.stanzas.set(length as u64);
            return false;
        }
        true
    }

    /// The account whose quota of attempts this link uses; empty: the server's.
    pub(super) fn by(&self) -> &str {
        self.by.as_deref().unwrap_or_default()
    }

    /// How many attempts that account may have at once.
    pub(super) fn turns(&self) -> usize {
        if self.by.is_some() { TURNS_OF_ACCOUNT } else { TURNS_OF_SERVER }
    }

    /// Queues a stanza, unless too much waits for the domain, in the name of whatever domain of ours: the bounds are `most`
    /// stanzas, and `bytes`. A queue has a share that the others cannot use up, and if it is empty it takes any stanza.
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
        if !self.count_one(&queue, size, most, bytes) {
            return Err(NotTaken::Full);
        }
        queue.bytes += size;
        queue.waiting.push_back(waiting);
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
        self.recount(&queue);
        taken
    }

    /// Puts back what was taken out and not sent, in front of all else.
    pub(super) fn put_back(&self, unsent: Vec<Waiting>) {
        let mut queue = self.queue.lock();
        for waiting in unsent.into_iter().rev() {
            queue.bytes += waiting.stanza.size();
            queue.waiting.push_front(waiting);
        }
        self.recount(&queue);
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
        self.recount(&queue);
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
        self.recount(&queue);
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

/// The part of the bounds of a domain that is kept for each domain of ours: one by this.
const SHARE: usize = 16;
/// How many attempts one account may have at once.
const TURNS_OF_ACCOUNT: usize = 8;
/// How many attempts this server itself may have at once: for its services, and for answers.
const TURNS_OF_SERVER: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::jid::Jid;
    use crate::metrics::Metrics;
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

    fn budgets(stanzas: usize, bytes: usize) -> Budgets {
        let mut config = Config::default_for("a.example", "/nowhere".into());
        (config.s2s.queue_stanzas, config.s2s.queue_bytes) = (stanzas, bytes);
        Budgets::new(&config, &Metrics::new())
    }

    fn link(local: &str, budgets: &Budgets) -> Link {
        Link::new(Pair { local: local.into(), remote: "c.example".into() }, None, budgets)
    }

    #[test]
    fn what_waits_for_a_domain_is_bounded_over_all_domains_of_ours() {
        let budgets = budgets(32, 100_000);
        let is_taken = |link: &Link| match link.push(stanza(0), 32, 100_000) {
            Ok(()) => true,
            Err(NotTaken::Full) => false,
            Err(NotTaken::Closed(_)) => panic!("it is open"),
        };
        let (one, other) = (link("a.example", &budgets), link("b.example", &budgets));
        for _ in 0..32 {
            assert!(is_taken(&one));
        }
        assert!(!is_taken(&one));
        // The share of another domain of ours is two.
        assert!(is_taken(&other) && is_taken(&other));
        assert!(!is_taken(&other));
        assert_eq!(one.take(1).len(), 1);
        assert!(!is_taken(&one), "the others count");
        drop(other);
        assert!(is_taken(&one));
        assert_eq!((budgets.remote_stanzas.all(), one.close().len()), (32, 32));
        assert_eq!((budgets.remote_stanzas.all(), budgets.remote_bytes.all()), (0, 0));
    }

    #[test]
    fn a_queue_keeps_the_order_and_is_bounded() {
        let budgets = budgets(3, 10_000);
        let link = link("a.example", &budgets);
        for number in 0..3 {
            assert!(link.push(stanza(number), 3, 10_000).is_ok());
        }
        assert!(matches!(link.push(stanza(3), 3, 10_000), Err(NotTaken::Full)));
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
        assert!(link.is_closed() && budgets.remote_stanzas.all() == 0);
        assert!(matches!(link.push(stanza(5), 3, 10_000), Err(NotTaken::Closed(_))));
    }
}
