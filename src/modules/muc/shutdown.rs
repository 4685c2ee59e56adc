//! The server ends: sessions that the next server cannot continue leave their rooms, and are told so (XEP-0045 §11.2).
//! Those that it continues stay in.

use async_trait::async_trait;
use rustc_hash::FxHashSet;

use super::room_service::RoomService;
use super::services::Services;
use crate::host::Cx;
use crate::host::lifecycle::{Event, Listener};
use crate::jid::{BareJid, Jid};
use crate::muc::Room;
use crate::stanza::StanzaError;

/// Makes sessions leave their rooms.
pub(super) struct Shutdown;

#[async_trait]
impl Listener for Shutdown {
    async fn on_event(&self, cx: &mut Cx<'_>, event: &Event<'_>) -> Result<(), StanzaError> {
        let Event::ServerEnds { sessions } = event else { return Ok(()) };
        let ending = sessions.iter().map(|session| session.jid().clone().into_jid()).collect();
        let server = cx.server;
        for service in server.shared::<Services>().0.iter() {
            for room in service.rooms.addresses() {
                service.close(cx, &room, &ending).await;
            }
        }
        Ok(())
    }
}

impl RoomService {
    async fn close(&self, cx: &mut Cx<'_>, jid: &BareJid, ending: &FxHashSet<Jid>) {
        let is_ending = |session: &Jid| ending.contains(session);
        let has_some = |room: &Room| !room.sessions_that(is_ending).is_empty();
        if self.rooms.look_when_idle(jid, has_some).await != Some(true) {
            return;
        }
        let locked = self.rooms.lock(jid).await;
        let close = |room: &mut Room| {
            let sessions = room.sessions_that(is_ending);
            Some(room.close(&sessions))
        };
        self.change(cx, locked, close).await;
    }
}
