//! Whether the storage writes, for programs that ask whether the server is ready. However many ask, it is tried once in
//! a few seconds, and by one task at a time: a writer that is stuck must not get a queue of probes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::host::ServerState;

/// Tries the writer of the storage.
#[derive(Debug)]
pub(super) struct WriteProbe {
    is_running: AtomicBool,
    /// When it was tried last, and whether it wrote.
    last: watch::Sender<Option<(Instant, bool)>>,
}

impl Default for WriteProbe {
    fn default() -> Self {
        Self { is_running: AtomicBool::new(false), last: watch::Sender::new(None) }
    }
}

impl WriteProbe {
    /// Whether the storage writes. Waits for the end of a try, if the last one is too long ago.
    pub(super) async fn writes(self: &Arc<Self>, server: &Arc<ServerState>) -> bool {
        let mut last = self.last.subscribe();
        let is_recent = |(at, _): (Instant, bool)| at.elapsed() < RECENT;
        if let Some((_, writes)) = last.borrow_and_update().filter(|last| is_recent(*last)) {
            return writes;
        }
        if !self.is_running.swap(true, Ordering::AcqRel) {
            drop(server.tasks.spawn("write-probe", Arc::clone(self).run(Arc::clone(server))));
        }
        // The sender is `self`, so it cannot be gone.
        let changed = last.changed().await.is_ok();
        changed && last.borrow().is_some_and(|(_, writes)| writes)
    }

    async fn run(self: Arc<Self>, server: Arc<ServerState>) {
        let tried = server.storage.try_writer().await;
        if let Err(error) = &tried {
            tracing::warn!(%error, "not ready: the storage does not write");
        }
        self.is_running.store(false, Ordering::Release);
        self.last.send_replace(Some((Instant::now(), tried.is_ok())));
    }
}

/// How long a result is used.
const RECENT: Duration = Duration::from_secs(5);
