//! Rooms that nobody is in are given up every minute. They are read again when somebody needs them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::room_service::RoomService;
use crate::host::ServerState;

/// Starts the task that gives up the empty rooms of a service.
pub(super) fn start(server: &Arc<ServerState>, service: &Arc<RoomService>) {
    let (service, stopping) = (Arc::clone(service), server.tasks.stopping());
    drop(server.tasks.spawn("rooms-empty", async move {
        while stopping.run_until_cancelled(sleep(EVERY)).await.is_some() {
            service.rooms.give_up_empty();
        }
    }));
}

const EVERY: Duration = Duration::from_secs(60);
