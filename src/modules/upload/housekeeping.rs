//! Removes files that have expired, uploads without a slot, and contents without a file.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::host::ServerState;
use crate::upload::{Swept, Uploads};

/// Runs a minute after the start, every hour, and when something was removed, until the server stops.
pub(super) async fn run(server: Arc<ServerState>) {
    let stopping = server.tasks.stopping();
    let uploads = server.shared::<Uploads>();
    let mut pause = SOON;
    if let Some(Err(error)) = stopping.run_until_cancelled(uploads.contents.try_out()).await {
        tracing::error!(%error, "files cannot be uploaded or downloaded");
    }
    loop {
        let woken = timeout(pause, uploads.sweep_soon.notified());
        if stopping.run_until_cancelled(woken).await.is_none() {
            return;
        }
        match uploads.sweep(&*server.storage, server.clock.now()).await {
            Ok(swept) if swept == Swept::default() => {}
            Ok(Swept { files, contents, uploads }) => {
                tracing::info!(files, contents, uploads, "removed old files");
            }
            Err(error) => tracing::error!(%error, "cannot remove old files"),
        }
        pause = HOUR;
    }
}

const SOON: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
