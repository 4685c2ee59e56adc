//! How many stanzas of a stream were handled, for a server that comes back after the stream was cut (XEP-0198 §5): it sends
//! again only what was not. On a stream of ours that carries the other server's stanzas, too (XEP-0288), it asks by the id that it
//! has given to the stream.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use smol_str::SmolStr;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::incoming::Handled;
use super::link::Link;
use super::streams::Stream;
use crate::random::random_id;

/// The counters of streams, by the id that one of us has given to the other.
#[derive(Default)]
pub(super) struct Counters(Mutex<FxHashMap<SmolStr, Counter>>);

struct Counter {
    /// The domain of the other server.
    remote: SmolStr,
    of: Counted,
    handled: Arc<Handled>,
    ended: CancellationToken,
}

/// A stream that is counted.
pub(super) enum Counted {
    /// One of ours.
    Link(Arc<Link>),
    /// One that the other server has opened.
    Stream(Arc<Stream>),
}

impl Counted {
    fn end(&self) {
        match self {
            Self::Link(link) => link.end(),
            Self::Stream(stream) => stream.end(),
        }
    }
}

/// A stream that is counted. It has ended when this is dropped.
pub(super) struct Counting(CancellationToken);

impl Drop for Counting {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Counters {
    /// Keeps the counter of a stream of this domain. Returns the id under which the other server can ask for it; `None` if
    /// there are too many.
    pub(super) fn enter(
        &self,
        remote: &str,
        stream: &Arc<Stream>,
        handled: &Arc<Handled>,
    ) -> Option<(SmolStr, Counting)> {
        let id = random_id();
        let of = Counted::Stream(Arc::clone(stream));
        self.enter_as(&id, remote, of, handled).map(|counting| (id, counting))
    }

    /// Keeps the counter of a stream under the id that the other server has given to it. `None` if there are too many.
    pub(super) fn enter_as(
        &self,
        id: &SmolStr,
        remote: &str,
        of: Counted,
        handled: &Arc<Handled>,
    ) -> Option<Counting> {
        let mut all = self.0.lock();
        if all.len() >= MOST {
            all.retain(|_, counter| !counter.ended.is_cancelled());
        }
        // Nobody takes the place of others by an id of its choice. A stream that was resumed keeps its id.
        let is_taken = |own: &Counter| own.remote != remote || !own.ended.is_cancelled();
        if all.len() >= MOST || id.len() > LONGEST_ID || all.get(id).is_some_and(is_taken) {
            return None;
        }
        let (ended, handled) = (CancellationToken::new(), Arc::clone(handled));
        let counter = Counter { remote: remote.into(), of, handled, ended: ended.clone() };
        all.insert(id.clone(), counter);
        Some(Counting(ended))
    }

    /// How many stanzas of this domain were handled on the stream with this id. Its server knows that the
    /// stream is cut. If we do not know it yet, the stream is ended first, and what has come is carried.
    pub(super) async fn take(&self, id: &str, remote: &str) -> Option<u32> {
        let counter = {
            let mut all = self.0.lock();
            all.get(id).filter(|counter| counter.remote == remote)?;
            all.remove(id)?
        };
        // A link may have another stream by now.
        if !counter.ended.is_cancelled() {
            counter.of.end();
        }
        timeout(PATIENCE, counter.ended.cancelled()).await.ok()?;
        Some(counter.handled.count())
    }
}

/// How many counters are kept, of streams that have ended or not.
const MOST: usize = 20_000;
/// Bytes of an id.
const LONGEST_ID: usize = 128;
/// How long a stream may take to end. The other server waits.
const PATIENCE: Duration = Duration::from_secs(6);
