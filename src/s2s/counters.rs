//! How many stanzas of a stream were handled, for a server that comes back after the stream was cut (XEP-0198 §5): it sends
//! again only what was not.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use smol_str::SmolStr;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::incoming::Handled;
use super::streams::Stream;
use crate::random::random_id;

/// The counters of streams that other servers have opened, by the id that they were told.
#[derive(Default)]
pub(super) struct Counters(Mutex<FxHashMap<SmolStr, Counter>>);

struct Counter {
    /// The domain of the other server.
    remote: SmolStr,
    stream: Arc<Stream>,
    handled: Arc<Handled>,
    ended: CancellationToken,
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
        let mut all = self.0.lock();
        if all.len() >= MOST {
            all.retain(|_, counter| !counter.ended.is_cancelled());
        }
        if all.len() >= MOST {
            return None;
        }
        let (id, ended) = (random_id(), CancellationToken::new());
        let (stream, handled) = (Arc::clone(stream), Arc::clone(handled));
        let counter = Counter { remote: remote.into(), stream, handled, ended: ended.clone() };
        all.insert(id.clone(), counter);
        Some((id, Counting(ended)))
    }

    /// How many stanzas were handled of the stream with this id, which this domain had opened. The other server knows that
    /// the stream was cut. If we do not know it yet, we end the stream first and carry what has come on it.
    pub(super) async fn take(&self, id: &str, remote: &str) -> Option<u32> {
        let counter = {
            let mut all = self.0.lock();
            all.get(id).filter(|counter| counter.remote == remote)?;
            all.remove(id)?
        };
        counter.stream.end();
        timeout(PATIENCE, counter.ended.cancelled()).await.ok()?;
        Some(counter.handled.count())
    }
}

/// How many counters are kept, of streams that have ended or not.
const MOST: usize = 20_000;
/// How long a stream may take to end. The other server waits.
const PATIENCE: Duration = Duration::from_secs(6);
