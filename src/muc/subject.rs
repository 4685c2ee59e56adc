//! The subject of a room (XEP-0045 §7.2.15, §8.1).

use serde::{Deserialize, Serialize};

use super::{Effects, Moment, Role, Room};
use crate::jid::BareJid;
use crate::ns;
use crate::payload::datetime::Timestamp;
use crate::payload::delay;
use crate::stanza::{Condition, Content, Head, Message, MessageKind, StanzaError};
use crate::xml::{Frame, Node, element};

/// What the occupants talk about, and who has said so.
#[derive(Clone, Debug, Default)]
pub(super) struct Subject {
    /// The message that set it, from its author. `None`: nobody has set one.
    set: Option<(Message, Timestamp)>,
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
        let written = crate::stanza::Stanza::Message(message.clone()).to_bytes();
        let frame = Frame::from_bytes(written).ok()?;
        let text = frame.root().child(ns::CLIENT, "subject")?.text().into_owned();
        (!text.is_empty()).then_some(text)
    }

    pub(super) fn to_stored(&self) -> Option<String> {
        let (message, at) = self.set.as_ref()?;
        let xml = crate::stanza::Stanza::Message(message.clone()).to_xml();
        serde_json::to_string(&Stored { xml, at: at.as_micros() }).ok()
    }

    pub(super) fn from_stored(room: &BareJid, stored: Option<&str>) -> Self {
        let read = || {
            let stored: Stored = serde_json::from_str(stored?).ok()?;
            let frame = Frame::from_bytes(stored.xml.into_bytes()).ok()?;
            let Ok(crate::stanza::Stanza::Message(message)) = crate::stanza::Stanza::read(frame)
            else {
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

impl Room {
    /// Sets the subject, with the message that the occupants get.
    ///
    /// # Errors
    /// `forbidden` for those who may not (XEP-0045 §8.1).
    pub(super) fn set_subject(
        &mut self,
        now: &Moment,
        role: Role,
        message: &Message,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        let may =
            role == Role::Moderator || (role == Role::Participant && self.config.change_subject);
        if !may {
            return Err(Condition::Forbidden.text("you may not change the subject"));
        }
        let mut kept = message.clone();
        kept.content.remove(|child| !child.is(ns::CLIENT, "subject"));
        let kept = Message {
            content: Content::made(children_of(&kept).into()),
            head: Head { to: None, ..kept.head },
            kind: MessageKind::Groupchat,
        };
        self.subject.set = Some((kept, now.at));
        fx.change.subject = Some(self.subject.to_stored());
        Ok(())
    }
}

/// The subjects of a message, written anew.
fn children_of(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    for child in message.content.received_children() {
        let lang = child.attr_ns(ns::XML, "lang");
        let node: Node =
            element("subject").maybe_attr("xml:lang", lang.as_deref()).text(&child.text());
        node.write(&mut out);
    }
    out
}
