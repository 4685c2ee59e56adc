//! The place of a download of all data in its budget.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::host::ServerState;
use crate::limit::Held;

/// The place of a download in its budget. It is given back at the end of the download, or after [`LONGEST`]: whoever takes
/// a byte now and then keeps nobody else away.
pub(super) struct Place {
    held: Arc<Mutex<Option<Held>>>,
    _end: DropGuard,
}

impl Place {
    pub(super) fn new(server: &ServerState, held: Held) -> Self {
        let (held, end) = (Arc::new(Mutex::new(Some(held))), CancellationToken::new());
        let (given, ended) = (Arc::clone(&held), end.clone());
        let stopping = server.tasks.stopping();
        drop(server.tasks.spawn("export", async move {
            tokio::select! {
                () = sleep(LONGEST) => {}
                () = ended.cancelled() => {}
                () = stopping.cancelled() => {}
            }
            given.lock().take();
        }));
        Self { held, _end: end.drop_guard() }
    }

    pub(super) fn is_over(&self) -> bool {
        self.held.lock().is_none()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.held.lock().take();
    }
}

/// How long a download may take: enough for an archive of a gigabyte over a slow line.
const LONGEST: Duration = Duration::from_secs(2 * 3600);
