//! Messages in rooms wake the devices of users whose clients may not get them (XEP-0045, XEP-0492).

use async_trait::async_trait;

use super::registrations::Registrations;
use super::wake;
use crate::host::Cx;
use crate::host::lifecycle::{Event, Listener};
use crate::stanza::StanzaError;

/// Is told of messages in rooms.
pub(super) struct Rooms;

#[async_trait]
impl Listener for Rooms {
    async fn on_event(&self, cx: &mut Cx<'_>, event: &Event<'_>) -> Result<(), StanzaError> {
        if let Event::RoomMessage { message, users, is_private } = event {
            // Most users have no registrations: that is known at once.
            let registrations = cx.server.shared::<Registrations>();
            for listener in users.iter().filter(|of| !registrations.are_none(of.user)) {
                wake::room_message(cx, *listener, message, *is_private).await;
            }
        }
        Ok(())
    }
}
