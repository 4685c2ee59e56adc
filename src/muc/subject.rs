//! The subject of a room (XEP-0045 §7.2.15, §8.1).

use serde::{Deserialize, Serialize};

use crate::jid::BareJid;
use crate::ns;
use crate::payload::datetime::Timestamp;
use crate::payload::delay;
use crate::stanza::{Content, Head, Message, MessageKind, Stanza};
use crate::xml::{Frame, element};

/// The subject of the room, and who has set it.
#[derive(Clone, Debug, Default)]
pub(super) struct Subject {
    /// The message that set it, from its author. `None`: nobody has set one.
    pub(super) set: Option<(Message, Timestamp)>,
}

/// As the store keeps it.
#[derive(Serialize, Deserialize)]
struct Stored {
    xml: String,
    at: i64,
}

impl Subject {
    /// The message that a newcomer gets: always one, even if it is empty.
    pub(super) fn message(&self, room: &BareJid) -> Message {
        let Some((message, at)) = &self.set else {
            let head = Head { from: Some(room.clone().into_jid()), ..Head::default() };
            let content = Content::from(element("subject"));
            return Message { head, kind: MessageKind::Groupchat, content };
        };
        let mut message = message.clone();
        message.content.add(&delay::delay(room, *at));
        message
    }

    /// The text, for service discovery.
    pub(super) fn text(&self) -> Option<String> {
        let (message, _) = self.set.as_ref()?;
        let written = Stanza::Message(message.clone()).to_bytes();
        let frame = Frame::from_bytes(written).ok()?;
        let text = frame.root().child(ns::CLIENT, "subject")?.text().into_owned();
        (!text.is_empty()).then_some(text)
    }

    pub(super) fn to_stored(&self) -> Option<String> {
        let (message, at) = self.set.as_ref()?;
        let xml = Stanza::Message(message.clone()).to_xml();
        serde_json::to_string(&Stored { xml, at: at.as_micros() }).ok()
    }

    pub(super) fn from_stored(room: &BareJid, stored: Option<&str>) -> Self {
        let read = || {
            let stored: Stored = serde_json::from_str(stored?).ok()?;
            let frame = Frame::from_bytes(stored.xml.into_bytes()).ok()?;
            let Ok(Stanza::Message(message)) = Stanza::read(frame) else {
                return None;
            };
            let is_here = message.head.from.as_ref().is_some_and(|f| f.bare_str() == room.as_str());
            is_here.then_some((message, Timestamp::from_micros(stored.at)))
        };
        Self { set: read() }
    }
}

/// Whether a message changes the subject: it has one, and no body (XEP-0045 §7.2.15).
pub(super) fn is_change(message: &Message) -> bool {
    let has = |name| message.content.has_received_child(ns::CLIENT, name);
    has("subject") && !has("body") && !has("thread")
}
