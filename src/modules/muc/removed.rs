//! An account is removed. The store has forgotten what the user was in rooms, except for bans. Rooms in memory forget
//! it, too, and tell their occupants.

use async_trait::async_trait;

use super::room_service::RoomService;
use super::services::Services;
use crate::host::Cx;
use crate::host::lifecycle::{Event, Listener};
use crate::jid::BareJid;
use crate::stanza::StanzaError;

/// Makes rooms forget users.
pub(super) struct Removed;

#[async_trait]
impl Listener for Removed {
    async fn on_event(&self, cx: &mut Cx<'_>, event: &Event<'_>) -> Result<(), StanzaError> {
        let Event::AccountRemoved { user, .. } = event else { return Ok(()) };
        let server = cx.server;
        for service in server.shared::<Services>().0.iter() {
            // A room that is being read has its place already, even if it reads what was stored before.
            for room in service.rooms.addresses() {
                service.forget_user(cx, &room, user).await?;
            }
        }
        Ok(())
    }
}

impl RoomService {
    async fn forget_user(
        &self,
        cx: &mut Cx<'_>,
        jid: &BareJid,
        user: &BareJid,
    ) -> Result<(), StanzaError> {
        let knows = self.rooms.look_when_idle(jid, |room| room.knows(user)).await;
        if knows != Some(true) {
            return Ok(());
        }
        let mut locked = self.rooms.lock(jid).await;
        let Some(mut room) = locked.take() else { return Ok(()) };
        let Some(effects) = room.forget_user(cx.server.clock.now(), user) else {
            locked.put(room);
            return Ok(());
        };
        match self.perform(cx, &mut room, &locked, effects).await {
            Ok(false) => locked.end(),
            Ok(true) | Err(_) => locked.put(room),
        }
        Ok(())
    }
}
