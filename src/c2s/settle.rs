//! What a client has sent and we have carried to the end, until it is on the disk. Only then it has
//! been handled (XEP-0198 §4), and in the order in which it came (docs/delivery.md).
//!
//! The pipeline never waits for the disk, and the client is never told too early. Bounded: when too
//! much is on its way, the reading loop waits.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::host::Hosts;
use crate::router::{self, Taken};
use crate::session::Session;
use crate::storage;

/// What is on its way to the disk, in order. Shared by the loops of one connection.
#[derive(Debug, Default)]
pub(super) struct Unsettled {
    queue: Mutex<Queue>,
    filled: Notify,
    drained: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    entries: VecDeque<Entry>,
    /// The first entry was taken out, and is being waited for.
    is_busy: bool,
    is_closed: bool,
}

#[derive(Debug)]
enum Entry {
    /// A stanza, and whether stream management counts it: it may have been enabled later.
    Stanza(Box<Taken>, bool),
    /// The client is to be told how many have been handled.
    Tell,
}

impl Unsettled {
    /// A stanza was carried to the end. It settles behind those before it.
    pub(super) fn add(&self, session: &Session, taken: Taken, counts: bool) {
        let mut queue = self.queue.lock();
        let waits = queue.is_busy || !queue.entries.is_empty() || !taken.receipts.is_empty();
        if waits {
            queue.entries.push_back(Entry::Stanza(Box::new(taken), counts));
            self.filled.notify_one();
            return;
        }
        if counts && session.link(|link| link.handled(taken.is_counted)) {
            queue.entries.push_back(Entry::Tell);
            self.filled.notify_one();
        }
    }

    /// The client is to be told when all before has settled.
    pub(super) fn tell(&self) {
        self.queue.lock().entries.push_back(Entry::Tell);
        self.filled.notify_one();
    }

    /// Waits until no more than `most` are on their way. May be dropped at any time.
    pub(super) async fn below(&self, most: usize) {
        while self.queue.lock().entries.len() > most {
            self.drained.notified().await;
        }
    }

    /// Nothing comes any more: [`Unsettled::settle`] ends when all has settled.
    pub(super) fn close(&self) {
        self.queue.lock().is_closed = true;
        self.filled.notify_one();
    }

    /// Waits for one after the other, and tells the client what it is to know. A receipt always
    /// comes, good or bad, so this ends.
    pub(super) async fn settle(&self, hosts: &Hosts, session: &Session) {
        loop {
            let next = {
                let mut queue = self.queue.lock();
                let next = queue.entries.pop_front();
                queue.is_busy = next.is_some();
                if next.is_none() && queue.is_closed {
                    return;
                }
                next
            };
            match next {
                // Boxed: most of the time there is nothing to settle.
                Some(entry) => Box::pin(settle(hosts, session, entry)).await,
                None => self.filled.notified().await,
            }
            self.drained.notify_one();
        }
    }
}

async fn settle(hosts: &Hosts, session: &Session, entry: Entry) {
    let tell = match entry {
        Entry::Tell => true,
        Entry::Stanza(taken, counts) => {
            let Taken { stanza, receipts, is_counted } = *taken;
            let mut is_kept = is_counted;
            for receipt in receipts {
                if let Err(error) = receipt.await {
                    // What was foreseen was answered by the store, which has the count all the same.
                    is_kept &= matches!(error, storage::StorageError::Limit(_));
                    router::not_kept(hosts, session.handle(), &stanza, error);
                }
            }
            counts && session.link(|link| link.handled(is_kept))
        }
    };
    if tell {
        keep_count(hosts, session).await;
        if session.link(|link| link.acknowledge_due()) {
            session.handle().prompt();
        }
    }
}

/// Sees to it that the store has the count of a session that can be resumed. If it fails, the client
/// hears of the count that the store has.
pub(super) async fn keep_count(hosts: &Hosts, session: &Session) {
    let Some(handled) = session.link(|link| link.unkept()) else { return };
    let kept = async { hosts.storage.resumption().handled(handled).await?.await };
    match kept.await {
        Ok(()) => session.link(|link| link.kept(handled.count)),
        Err(error) => tracing::error!(%error, "how many stanzas were handled was not kept"),
    }
}
