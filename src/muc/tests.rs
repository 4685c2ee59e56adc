//! What the tests of rooms share: a room with three occupants, and what they are told as short lines.

use super::{Actor, Effect, Effects, Input, Moment, Room, RoomConfig, RoomLimits};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::payload::datetime::Timestamp;
use crate::stanza::{Content, Stanza, StanzaError};
use crate::storage::RoomAffiliation;
use crate::xml::{ElementRef, Frame};

/// The room of the witches, `coven@chat.example`. In it are its owner `crone1@witches` as crone, an admin
/// `wiccarocks@witches` as wicca, and `hag66@witches` as hag; each with the session `/pda`.
pub(super) struct Coven {
    pub(super) room: Room,
    seconds: i64,
}

impl Coven {
    pub(super) fn new() -> Self {
        Self::with(RoomConfig::default())
    }

    /// The same with another configuration.
    pub(super) fn with(config: RoomConfig) -> Self {
        let mut coven = Self { room: room(config), seconds: 0 };
        let (at, wicca) = (coven.at(), user("wiccarocks"));
        coven.room.set_affiliation(at, &wicca, RoomAffiliation::Admin, None).unwrap();
        for (name, nick) in [("crone1", "crone"), ("wiccarocks", "wicca"), ("hag66", "hag")] {
            coven.enter(name, nick).unwrap();
        }
        coven
    }

    /// A room that was made just now: only its owner is there.
    pub(super) fn locked() -> Self {
        let config = RoomConfig { locked: true, ..RoomConfig::default() };
        let mut coven = Self { room: room(config), seconds: 0 };
        coven.enter("crone1", "crone").unwrap();
        coven
    }

    /// Somebody enters.
    pub(super) fn enter(&mut self, name: &str, nick: &str) -> Result<Effects, StanzaError> {
        self.receives(
            name,
            &format!(
                "<presence to='coven@chat.example/{nick}'>\
                 <x xmlns='http://jabber.org/protocol/muc'/></presence>"
            ),
        )
    }

    /// Somebody sends a request to get something.
    pub(super) fn get(&mut self, name: &str, payload: &str) -> Result<Effects, StanzaError> {
        let iq = format!("<iq type='get' id='1' to='coven@chat.example'>{payload}</iq>");
        self.receives(name, &iq)
    }

    /// Somebody sends a request to change something.
    pub(super) fn set(&mut self, name: &str, payload: &str) -> Result<Effects, StanzaError> {
        let iq = format!("<iq type='set' id='1' to='coven@chat.example'>{payload}</iq>");
        self.receives(name, &iq)
    }

    /// A stanza comes from the session of somebody.
    pub(super) fn receives(&mut self, name: &str, xml: &str) -> Result<Effects, StanzaError> {
        let frame = Frame::from_bytes(xml.as_bytes().to_vec()).unwrap();
        let Ok(mut stanza) = Stanza::read(frame) else { panic!("not a stanza: {xml}") };
        let jid = Jid::parse(&format!("{name}@witches/pda")).unwrap();
        stanza.head_mut().from = Some(jid.clone());
        let now = Moment { at: self.at(), token: "token".into() };
        let actor = Actor::new(jid, false);
        match stanza {
            Stanza::Iq(iq) => self.room.apply(&now, &actor, Input::Request(&iq)),
            Stanza::Message(message) => self.room.apply(&now, &actor, Input::Message(message)),
            Stanza::Presence(presence) => self.room.apply(&now, &actor, Input::Presence(presence)),
        }
    }

    /// The time: each call is a second later.
    pub(super) fn at(&mut self) -> Timestamp {
        self.seconds += 1;
        Timestamp::from_micros(1_000_000 * self.seconds)
    }
}

fn room(config: RoomConfig) -> Room {
    let (jid, at) = (BareJid::parse("coven@chat.example").unwrap(), Timestamp::from_micros(0));
    Room::new(jid, user("crone1"), config, RoomLimits::default(), [7; 32], at)
}

/// What is in the presence of somebody who enters.
pub(super) fn entering() -> Content {
    let xml = "<presence><x xmlns='http://jabber.org/protocol/muc'/></presence>";
    Content::of(Frame::from_bytes(xml.as_bytes().to_vec()).unwrap())
}

/// The address of somebody.
pub(super) fn user(name: &str) -> BareJid {
    BareJid::parse(&format!("{name}@witches")).unwrap()
}

/// What was sent to whom, a line for each recipient.
///
/// - Presence: `hag66: crone available owner/moderator jid by=… reason=… nick=… destroy jid=… 110`.
/// - A message of the room about a user who is not there: `crone1: owner/none hecate@witches`.
/// - A message to all: `crone1: groupchat 104 body`.
/// - Another message or a request: `crone1: message`, `crone1: iq`.
pub(super) fn told(fx: &Effects) -> Vec<String> {
    let mut lines = Vec::new();
    for effect in &fx.list {
        let (stanza, to) = match effect {
            Effect::Publish(it) => (Stanza::Message(it.message.clone()), it.to.to_vec()),
            Effect::Send(stanza) => {
                (stanza.clone(), stanza.head().to.iter().cloned().collect::<Vec<_>>())
            }
            Effect::Tell(stanza, to) => (Stanza::clone(stanza), to.to_vec()),
        };
        let what = summary(&stanza);
        lines.extend(to.iter().map(|to| format!("{}: {what}", to.local().unwrap_or_default())));
    }
    lines
}

fn summary(stanza: &Stanza) -> String {
    let frame = Frame::from_bytes(stanza.to_bytes()).unwrap();
    let root = frame.root();
    let x = root.child(ns::MUC_USER, "x");
    let item = x.and_then(|x| x.child(ns::MUC_USER, "item"));
    let attr = |name| item.and_then(|item| item.attr(name)).unwrap_or_default().into_owned();
    let standing = format!("{}/{}", attr("affiliation"), attr("role"));
    let mut words = match stanza {
        Stanza::Presence(presence) => {
            let kind = presence.kind.as_str().unwrap_or("available");
            let from = presence.head.from.as_ref().and_then(|from| from.resource());
            vec![from.unwrap_or_default().to_owned(), kind.to_owned(), standing]
        }
        Stanza::Message(_) if item.is_some() => return format!("{standing} {}", attr("jid")),
        _ => vec![stanza.kind().unwrap_or_else(|| stanza.name()).to_owned()],
    };
    if item.is_some_and(|item| item.attr("jid").is_some()) {
        words.push("jid".to_owned());
    }
    let child = |of: Option<ElementRef<'_>>, name: &str| {
        of.and_then(|of| of.child(ns::MUC_USER, name)).map(|child| child.text().into_owned())
    };
    if let Some(actor) = item.and_then(|item| item.child(ns::MUC_USER, "actor")) {
        words.push(format!("by={}", actor.attr("nick").unwrap_or_default()));
    }
    words.extend(child(item, "reason").map(|reason| format!("reason={reason}")));
    if !attr("nick").is_empty() {
        words.push(format!("nick={}", attr("nick")));
    }
    if let Some(destroy) = x.and_then(|x| x.child(ns::MUC_USER, "destroy")) {
        words.push("destroy".to_owned());
        words.extend(destroy.attr("jid").map(|jid| format!("jid={jid}")));
        words.extend(child(Some(destroy), "reason").map(|reason| format!("reason={reason}")));
    }
    let codes = x.into_iter().flat_map(|x| x.children().collect::<Vec<_>>());
    let codes = codes.filter(|child| child.is(ns::MUC_USER, "status"));
    words.extend(codes.filter_map(|status| status.attr("code").map(|code| code.into_owned())));
    words.extend(root.child(ns::CLIENT, "body").map(|body| body.text().into_owned()));
    words.join(" ")
}
