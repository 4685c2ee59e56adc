//! When the server starts, all rooms that have occupants are read: occupants whose sessions were not restored leave.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::host::{Route, ServerState};
use crate::jid::{BareJid, Jid};
use crate::stanza::{Presence, PresenceKind, Stanza};

/// Starts the task that wakes the rooms of the service with this prefix. `done` is set when all are awake.
pub(super) fn start(
    server: &Arc<ServerState>,
    route: &Arc<dyn Route>,
    prefix: &str,
    done: Arc<AtomicBool>,
) {
    let task = awake(Arc::clone(server), Arc::clone(route), prefix.to_owned(), done);
    let stopping = server.tasks.stopping();
    drop(server.tasks.spawn("rooms-start", async move {
        stopping.run_until_cancelled(task).await;
    }));
}

/// Wakes each room that has occupants, or that is temporary. The room checks its occupants when it is read.
async fn awake(
    server: Arc<ServerState>,
    route: Arc<dyn Route>,
    prefix: String,
    done: Arc<AtomicBool>,
) {
    let mut after: Option<BareJid> = None;
    loop {
        let page = server.storage.rooms().occupied(after.as_ref(), PAGE).await;
        let page = match page {
            Ok(page) => page,
            Err(error) => {
                tracing::error!(%error, "rooms with occupants cannot be read: trying again");
                tokio::time::sleep(AGAIN).await;
                continue;
            }
        };
        let Some(last) = page.last().cloned() else {
            return done.store(true, Ordering::Release);
        };
        for room in page {
            if room.domain().split('.').next() == Some(prefix.as_str()) {
                wake(&*route, room).await;
            }
        }
        after = Some(last);
    }
}

/// Sends a probe from the room to itself: any stanza to a room makes the service read it.
pub(super) async fn wake(route: &dyn Route, room: BareJid) {
    let to: Jid = room.into_jid();
    let probe = Presence::bare(PresenceKind::Probe, to.clone(), to);
    route.route(Stanza::Presence(probe)).await;
}

const PAGE: usize = 100;
const AGAIN: Duration = Duration::from_secs(5);
