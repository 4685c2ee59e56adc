//! The room that a command is about, and where the rooms are. They are in the memory of the running server.

use std::sync::Arc;

use super::account::needed;
use crate::host::command::{Argument, ArgumentKind, Arguments, CommandCx, CommandError};
use crate::host::rooms::RoomAdministration;
use crate::jid::BareJid;

/// The room that a command is about.
pub(super) const ROOM: Argument = needed(
    "room",
    ArgumentKind::Text,
    "room@conference.domain, or room at the first service (see --domain)",
);

/// The rooms of the running server.
pub(super) fn rooms(cx: &CommandCx) -> Result<Arc<dyn RoomAdministration>, CommandError> {
    let running = cx.running.as_ref().ok_or(CommandError::NotRunning)?;
    let none = || CommandError::NotFound("this server offers no group chat".to_owned());
    running.rooms().ok_or_else(none)
}

/// The address of the room that is meant. Whether there is such a room is not looked up.
pub(super) fn room(cx: &CommandCx, arguments: &Arguments) -> Result<BareJid, CommandError> {
    address(cx, arguments.required("room")?)
}

/// Reads the address of a room: `garden@conference.montague.lit`, or `garden`.
pub(super) fn address(cx: &CommandCx, text: &str) -> Result<BareJid, CommandError> {
    let bad =
        || CommandError::Invalid(format!("`{text}` is not the address of a room: room@service"));
    let full = match text.contains('@') {
        true => text.to_owned(),
        false => {
            let service = cx.config.room_services().next().ok_or_else(bad)?;
            format!("{text}@{}.{}", service.prefix, cx.default_domain)
        }
    };
    let room = BareJid::parse(&full).map_err(|_| bad())?;
    if room.local().is_none_or(str::is_empty) {
        return Err(bad());
    }
    Ok(room)
}
