//! How one loop of a connection tells the other to stop.

use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

/// Tells both loops to stop: between two stanzas, or at once if the connection is lost.
#[derive(Debug, Default)]
pub(super) struct LoopShutdown {
    how: AtomicU8,
    changed: Notify,
}

impl LoopShutdown {
    pub(super) fn stop(&self, lost: bool) {
        self.how.fetch_max(if lost { LOST } else { STOPPED }, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.how.load(Ordering::Relaxed) >= STOPPED
    }

    pub(super) async fn stopped(&self) {
        self.reaches(STOPPED).await;
    }

    pub(super) async fn lost(&self) {
        self.reaches(LOST).await;
    }

    async fn reaches(&self, how: u8) {
        loop {
            let changed = self.changed.notified();
            if self.how.load(Ordering::Relaxed) >= how {
                return;
            }
            changed.await;
        }
    }
}

const STOPPED: u8 = 1;
const LOST: u8 = 2;
