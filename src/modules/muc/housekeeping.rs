//! Rooms that nobody is in are given up every minute. They are read again when somebody needs them. Rooms that could not
//! be read, or were not changed as they should, are read again: somebody may be in them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::room_service::RoomService;
use super::wake::wake;
use crate::host::ServerState;

/// Starts the task that looks after the rooms of a service.
pub(super) fn start(server: &Arc<ServerState>, service: &Arc<RoomService>) {
    let (server, service) = (Arc::clone(server), Arc::clone(service));
    let (tasks, stopping) = (server.tasks.clone(), server.tasks.stopping());
    drop(tasks.spawn("rooms-empty", async move {
        while stopping.run_until_cancelled(sleep(EVERY)).await.is_some() {
            service.rooms.give_up_empty();
            let Some(route) = server.route() else { return };
            for room in service.rooms.broken() {
                wake(&*route, room).await;
            }
        }
    }));
}

const EVERY: Duration = Duration::from_secs(60);
