//! What the sender of a message wants, and who that is.

use std::borrow::Cow;

use crate::host::strangers::Approach;
use crate::jid::Jid;
use crate::ns;
use crate::stanza::Message;
use crate::xml::ElementRef;

/// What the sender of a message wants, and who is to be known for that. `None` if the message has no sender.
///
/// An invitation by a room comes from the room, which says who invites (XEP-0045 §7.8.2): this one must be
/// known. A room can lie about it, as it can about everything.
pub(super) fn of(message: &Message) -> Option<(Approach, Cow<'_, Jid>)> {
    let from = message.head.from.as_ref()?;
    let mut wants = (Approach::Message, Cow::Borrowed(from));
    for child in message.content.received_children() {
        if let Some(invite) = child.child(ns::MUC_USER, "invite").filter(|_| is_of_room(&child)) {
            let inviter = invite.attr("from").and_then(|from| Jid::parse(&from).ok());
            return Some((Approach::Invitation, inviter.map_or(wants.1, Cow::Owned)));
        }
        if child.is(ns::DIRECT_INVITE, "x") {
            wants.0 = Approach::Invitation;
        } else if CALLS.contains(&child.ns()) && wants.0 == Approach::Message {
            wants.0 = Approach::Call;
        }
    }
    Some(wants)
}

fn is_of_room(child: &ElementRef<'_>) -> bool {
    child.is(ns::MUC_USER, "x")
}

/// XEP-0353, XEP-0482.
const CALLS: &[&str] = &[ns::CALL_INVITES, ns::CALLS_0, ns::CALLS_1];

#[cfg(test)]
mod tests {
    use super::of;
    use crate::host::strangers::Approach;
    use crate::stanza::{Message, Stanza};
    use crate::xml::Frame;

    fn message(inner: &str) -> Message {
        let xml = format!("<message from='a@b/c' to='d@e' type='chat'>{inner}</message>");
        match Stanza::read(Frame::from_bytes(xml).unwrap()).unwrap() {
            Stanza::Message(message) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_message_wants_something_of_the_user() {
        use Approach::{Call, Invitation};
        let muc = "http://jabber.org/protocol/muc#user";
        let cases = [
            ("<body>hi</body>".to_owned(), Approach::Message, "a@b/c"),
            (String::new(), Approach::Message, "a@b/c"),
            ("<propose xmlns='urn:xmpp:jingle-message:0' id='1'/>".to_owned(), Call, "a@b/c"),
            ("<retract xmlns='urn:xmpp:jingle-message:1' id='1'/>".to_owned(), Call, "a@b/c"),
            ("<invite xmlns='urn:xmpp:call-invites:0'/>".to_owned(), Call, "a@b/c"),
            ("<x xmlns='jabber:x:conference' jid='r@s'/>".to_owned(), Invitation, "a@b/c"),
            (format!("<x xmlns='{muc}'><invite from='f@g/h'/></x>"), Invitation, "f@g/h"),
            (format!("<x xmlns='{muc}'><invite/></x>"), Invitation, "a@b/c"),
            (format!("<x xmlns='{muc}'><invite from='@'/></x>"), Invitation, "a@b/c"),
            (format!("<x xmlns='{muc}'><decline from='f@g'/></x>"), Approach::Message, "a@b/c"),
            (format!("<y xmlns='{muc}'><invite from='f@g'/></y>"), Approach::Message, "a@b/c"),
        ];
        for (inner, approach, who) in cases {
            let message = message(&inner);
            let (found, by) = of(&message).unwrap();
            assert_eq!((found, by.as_str()), (approach, who), "{inner}");
        }
        let mut nobody = message("<body>hi</body>");
        nobody.head.from = None;
        assert!(of(&nobody).is_none());
    }
}
