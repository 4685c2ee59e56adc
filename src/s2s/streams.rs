//! Streams that other servers have opened, as administrators see them.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::pair::Pair;

/// All of them.
#[derive(Default)]
pub(super) struct Streams(Mutex<State>);

#[derive(Default)]
struct State {
    last: u64,
    all: FxHashMap<u64, Arc<Stream>>,
}

/// A stream that another server has opened.
pub(super) struct Stream {
    /// Where the other server is.
    pub(super) peer: SocketAddr,
    /// When it has connected.
    pub(super) since: Instant,
    /// What is proven.
    pub(super) pairs: Mutex<Vec<Pair>>,
    end: Notify,
}

/// A stream is in the table as long as this exists.
pub(super) struct Entry<'a> {
    streams: &'a Streams,
    number: u64,
    /// What the table says of it.
    pub(super) stream: Arc<Stream>,
}

impl Streams {
    /// Enters a stream from this address.
    pub(super) fn enter(&self, peer: SocketAddr) -> Entry<'_> {
        let stream =
            Stream { peer, since: Instant::now(), pairs: Mutex::default(), end: Notify::new() };
        let stream = Arc::new(stream);
        let mut state = self.0.lock();
        state.last += 1;
        let number = state.last;
        state.all.insert(number, Arc::clone(&stream));
        drop(state);
        Entry { streams: self, number, stream }
    }

    pub(super) fn all(&self) -> Vec<Arc<Stream>> {
        self.0.lock().all.values().cloned().collect()
    }
}

impl Stream {
    /// Ends it.
    pub(super) fn end(&self) {
        self.end.notify_one();
    }

    /// Waits until it is to end. For one task only.
    pub(super) async fn to_end(&self) {
        self.end.notified().await;
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.streams.0.lock().all.remove(&self.number);
    }
}
