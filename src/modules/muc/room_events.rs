//! The lifecycle events of rooms: a client of this server has entered a room, or has left it because its user wants that
//! or may not be in it any more.

use std::time::Duration;

use tokio::time::sleep;

use super::active::ActiveRooms;
use crate::host::Cx;
use crate::host::lifecycle::{self, Event};
use crate::jid::{BareJid, FullJid};
use crate::muc::Room;
use crate::session::SessionRef;

/// Whether a session is in a room.
pub(super) async fn is_in(rooms: &ActiveRooms, room: &BareJid, session: &SessionRef) -> bool {
    let look = |room: &Room| room.has_session(session.jid());
    rooms.look_when_idle(room, look).await.unwrap_or(false)
}

/// The client of a session has sent presence to a room. `was_in`: it was in the room before. The room must not be
/// locked: listeners may want to know of it.
pub(super) async fn tell(
    cx: &mut Cx<'_>,
    rooms: &ActiveRooms,
    room: &BareJid,
    session: &SessionRef,
    was_in: bool,
) {
    let look = |room: &Room| {
        let config = room.config();
        let nick = room.nick_of(session.jid())?;
        Some((nick, config.name.clone(), config.password.clone()))
    };
    match rooms.look_when_idle(room, look).await.flatten() {
        Some((nick, name, password)) if !was_in => {
            let password = password.as_deref();
            let event = Event::RoomEntered { session, room, nick: &nick, name: &name, password };
            lifecycle::tell(cx, event).await;
        }
        None if was_in => tell_left(cx, room, session),
        Some(_) | None => {}
    }
}

/// Some clients leave each room before they go offline, and some leave to enter again.
fn tell_left(cx: &Cx<'_>, room: &BareJid, session: &SessionRef) {
    let Some(route) = cx.server.route() else { return };
    let (stopping, room, session) = (cx.server.tasks.stopping(), room.clone(), session.clone());
    drop(cx.server.tasks.spawn("room-left", async move {
        let is_over = stopping.run_until_cancelled(sleep(PAUSE)).await.is_some();
        if is_over && session.available().is_some() {
            let event = Event::RoomLeft { session: &session, room: &room };
            route.tell(session.jid().domain(), event).await;
        }
    }));
}

/// Tells listeners, when the room is no longer locked, that these sessions have left it because their users may no longer
/// be in it.
pub(super) fn tell_shut_out(cx: &Cx<'_>, room: &BareJid, sessions: &[FullJid]) {
    let sessions = sessions.iter().filter_map(|session| cx.server.sessions.find(session));
    let sessions: Vec<SessionRef> = sessions.collect();
    let Some(route) = cx.server.route().filter(|_| !sessions.is_empty()) else { return };
    let (stopping, room) = (cx.server.tasks.stopping(), room.clone());
    drop(cx.server.tasks.spawn("room-shut-out", async move {
        for session in sessions {
            let event = Event::RoomLeft { session: &session, room: &room };
            let told = route.tell(session.jid().domain(), event);
            if stopping.run_until_cancelled(told).await.is_none() {
                return;
            }
        }
    }));
}

/// If a client is still available this long after leaving a room, it is not going offline.
const PAUSE: Duration = Duration::from_secs(10);
