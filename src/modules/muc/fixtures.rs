//! What the tests of services with rooms share: a room, and what is sent to it.

use std::sync::Arc;

use super::room_service::RoomService;
use crate::host::{Parts, Registry, ServerState};
use crate::jid::{BareJid, Jid};
use crate::muc::{Actor, Effects, Input, Moment, Room, RoomConfig, RoomLimits};
use crate::ns;
use crate::payload::datetime::Timestamp;
use crate::stanza::Stanza;
use crate::xml::Frame;

/// The address of the room.
pub(super) fn coven() -> BareJid {
    BareJid::parse("coven@conference.localhost").unwrap()
}

/// The room, with its owner `crone1@witches.example`; nobody is in it.
pub(super) fn room() -> Room {
    let creator = BareJid::parse("crone1@witches.example").unwrap();
    let config =
        RoomConfig { name: "Coven".to_owned(), is_persistent: true, ..RoomConfig::default() };
    Room::new(coven(), creator, config, RoomLimits::default(), [1; 32], Timestamp::from_micros(0))
}

/// Somebody sends presence to the room under this nickname. `attributes`: more of them, for example the type.
pub(super) fn presence(room: &mut Room, from: &str, attributes: &str, nick: &str) -> Effects {
    let x = format!("<x xmlns='{}'/>", ns::MUC);
    apply(
        room,
        &format!("<presence from='{from}' to='{}/{nick}'{attributes}>{x}</presence>", coven()),
    )
}

/// A stanza comes to the room.
pub(super) fn apply(room: &mut Room, xml: &str) -> Effects {
    let stanza = stanza(xml);
    let from = stanza.head().from.clone().unwrap();
    let now = Moment { at: Timestamp::from_micros(1), token: "token".into() };
    let input = match stanza {
        Stanza::Message(message) => Input::Message(message),
        Stanza::Presence(presence) => Input::Presence(presence),
        Stanza::Iq(_) => unreachable!("no test sends a request"),
    };
    room.apply(&now, &Actor::new(from, false), input).unwrap()
}

/// Reads a stanza.
pub(super) fn stanza(xml: &str) -> Stanza {
    Stanza::read(Frame::from_bytes(xml.to_owned()).unwrap()).unwrap()
}

/// A server for `localhost`, and its service `conference`, which has no tasks.
pub(super) fn service() -> (Arc<ServerState>, RoomService) {
    let parts = Parts::for_tests(&["localhost"]);
    let config = parts.config.room_services().next().unwrap().clone();
    let server = ServerState::new(parts, &["conference"], Registry::default().take_shared());
    (Arc::new(server.unwrap()), RoomService::new(config))
}

/// An address.
pub(super) fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}
