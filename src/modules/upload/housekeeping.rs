//! Removes files that have expired, and contents that no file has any more.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::host::ServerState;
use crate::upload::Uploads;

/// Runs a minute after the start, every hour, and when something was removed, until the server stops.
pub(super) async fn run(server: Arc<ServerState>) {
    let stopping = server.tasks.stopping();
    let uploads = server.shared::<Uploads>();
    if let Err(error) = uploads.contents.discard_all().await {
        tracing::error!(%error, "cannot remove uploads of before the start");
    }
    let mut pause = SOON;
    loop {
        let woken = timeout(pause, uploads.sweep_soon.notified());
        if stopping.run_until_cancelled(woken).await.is_none() {
            return;
        }
        match uploads.sweep(&*server.storage, server.clock.now()).await {
            Ok(swept) if swept.files + swept.contents > 0 => {
                tracing::info!(files = swept.files, contents = swept.contents, "removed old files");
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "cannot remove old files"),
        }
        pause = HOUR;
    }
}

const SOON: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
