//! An occupant changes the subject (XEP-0045 §8.1).

use super::{Effects, Moment, Role, Room, occupant_id};
use crate::ns;
use crate::stanza::{Condition, Content, Head, Message, MessageKind, StanzaError};
use crate::xml::{Node, element};

impl Room {
    /// Sets the subject, with the message that the occupants get.
    ///
    /// # Errors
    /// `forbidden` for users without the right (XEP-0045 §8.1).
    pub(super) fn set_subject(
        &mut self,
        now: &Moment,
        (role, id): (Role, &str),
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
            content: Content::made(children_of(&kept, id).into()),
            head: Head { to: None, ..kept.head },
            kind: MessageKind::Groupchat,
        };
        self.subject.set = Some((kept, now.at));
        fx.change.subject = Some(self.subject.to_stored());
        Ok(())
    }
}

/// The subjects of a message, written anew, and the identifier of the occupant (XEP-0421).
fn children_of(message: &Message, id: &str) -> Vec<u8> {
    let mut out = occupant_id::node(id).to_bytes();
    for child in message.content.received_children() {
        let lang = child.attr_ns(ns::XML, "lang");
        let node: Node =
            element("subject").maybe_attr("xml:lang", lang.as_deref()).text(&child.text());
        node.write(&mut out);
    }
    out
}
