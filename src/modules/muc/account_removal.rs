//! An account was removed, and with it, in the store, the affiliations of the user; only bans stay. Rooms in memory
//! remove them, too, and announce that to their occupants. All rooms remove the hats, tokens and requests of the user.

use async_trait::async_trait;

use super::room_service::RoomService;
use super::services::Services;
use super::settings::PAGE;
use crate::host::Cx;
use crate::host::lifecycle::{Event, Listener};
use crate::jid::BareJid;
use crate::muc::Room;
use crate::stanza::StanzaError;

/// Removes users from rooms.
pub(super) struct AccountRemoval;

#[async_trait]
impl Listener for AccountRemoval {
    async fn on_event(&self, cx: &mut Cx<'_>, event: &Event<'_>) -> Result<(), StanzaError> {
        let Event::AccountRemoved { user, .. } = event else { return Ok(()) };
        let server = cx.server;
        for service in server.shared::<Services>().0.iter() {
            // A room that is being read has its place already, even if it reads what was stored before.
            for room in service.rooms.addresses() {
                let knows = service.rooms.look_when_idle(&room, |room| room.knows(user)).await;
                if knows == Some(true) {
                    service.forget_user(cx, &room, user).await?;
                }
            }
        }
        for (service, domain) in server.shared::<Services>().domains(server) {
            forget_mentions(cx, &service, domain, user).await?;
        }
        Ok(())
    }
}

/// Rooms that are not in memory are read: only they know what of it is about the user.
async fn forget_mentions(
    cx: &mut Cx<'_>,
    service: &RoomService,
    domain: &str,
    user: &BareJid,
) -> Result<(), StanzaError> {
    let text = Room::mention_of(user);
    let mut after: Option<BareJid> = None;
    loop {
        let rooms = cx.server.storage.rooms();
        let page = rooms.mentioning(domain, &text, after.as_ref(), PAGE).await?;
        let Some(last) = page.last().cloned() else { return Ok(()) };
        for room in page {
            service.forget_user(cx, &room, user).await?;
        }
        after = Some(last);
    }
}

impl RoomService {
    async fn forget_user(
        &self,
        cx: &mut Cx<'_>,
        jid: &BareJid,
        user: &BareJid,
    ) -> Result<(), StanzaError> {
        let locked = self.lock(cx.server, jid).await?;
        let at = cx.server.clock.now();
        self.change(cx, locked, |room| room.forget_user(at, user)).await;
        Ok(())
    }
}
