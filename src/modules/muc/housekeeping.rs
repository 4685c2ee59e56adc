//! Every minute, rooms without occupants are removed from memory; they are read again when they are needed. Rooms that
//! could not be read or changed because something failed are read again, since they may have occupants. Rooms with a
//! request that an occupant has not answered in time are woken, to answer it. All rooms in memory are counted.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::room_service::RoomService;
use super::wake::wake;
use crate::host::ServerState;
use crate::jid::BareJid;

/// Starts the task that looks after the rooms of a service.
pub(super) fn start(server: &Arc<ServerState>, service: &Arc<RoomService>) {
    let (server, service) = (Arc::clone(server), Arc::clone(service));
    let (tasks, stopping) = (server.tasks.clone(), server.tasks.stopping());
    drop(tasks.spawn("rooms-empty", async move {
        let mut counted = (0, 0);
        while stopping.run_until_cancelled(sleep(EVERY)).await.is_some() {
            service.rooms.give_up_empty();
            // Other services count theirs into the same numbers.
            let (rooms, occupants) = number(service.rooms.count());
            server.metrics.rooms.in_memory.inc_by(rooms - counted.0);
            server.metrics.rooms.occupants.inc_by(occupants - counted.1);
            counted = (rooms, occupants);
            wake_all(&server, service.rooms.broken());
            let now = server.clock.now();
            let mut waiting = service.rooms.addresses();
            waiting.retain(|room| {
                service.rooms.look(room, |room| room.has_overdue_requests(now)).unwrap_or(false)
            });
            wake_all(&server, waiting);
        }
    }));
}

/// Wakes rooms: those that are broken are read. In a task of its own: what has failed once may panic once more.
fn wake_all(server: &ServerState, rooms: Vec<BareJid>) {
    let Some(route) = server.route().filter(|_| !rooms.is_empty()) else { return };
    drop(server.tasks.spawn("rooms-again", async move {
        for room in rooms {
            wake(&*route, room).await;
        }
    }));
}

fn number((rooms, occupants): (usize, usize)) -> (i64, i64) {
    (i64::try_from(rooms).unwrap_or(i64::MAX), i64::try_from(occupants).unwrap_or(i64::MAX))
}

const EVERY: Duration = Duration::from_secs(60);
