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
/// known. A room can lie about it, as it can about everything. A client cannot: it never sends from a bare
/// address.
pub(super) fn of(message: &Message) -> Option<(Approach, Cow<'_, Jid>)> {
    let from = message.head.from.as_ref()?;
    let mut wants = (Approach::Message, Cow::Borrowed(from));
    for child in message.content.received_children() {
        let invite = child.child(ns::MUC_USER, "invite").filter(|_| is_of_room(&child));
        if let Some(invite) = invite {
            let inviter = invite.attr("from").and_then(|from| Jid::parse(&from).ok());
            // The user, a server or a service invites nobody, and a client only for itself.
            let is_other = |inviter: &Jid| {
                let to = message.head.to.as_ref();
                from.is_bare()
                    && inviter.local().is_some()
                    && to.is_none_or(|to| to.bare_str() != inviter.bare_str())
            };
            let inviter = inviter.filter(is_other);
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

    fn message(from: &str, inner: &str) -> Message {
        let xml = format!("<message from='{from}' to='d@e' type='chat'>{inner}</message>");
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
            // Only a room invites for others.
            (format!("<x xmlns='{muc}'><invite from='f@g/h'/></x>"), Invitation, "a@b/c"),
            (format!("<x xmlns='{muc}'><decline from='f@g'/></x>"), Approach::Message, "a@b/c"),
            (format!("<y xmlns='{muc}'><invite from='f@g'/></y>"), Approach::Message, "a@b/c"),
        ];
        for (inner, approach, who) in cases {
            let message = message("a@b/c", &inner);
            let (found, by) = of(&message).unwrap();
            assert_eq!((found, by.as_str()), (approach, who), "{inner}");
        }
        let invites = [
            ("from='f@g/h'", "f@g/h"),
            ("", "r@s"),
            ("from='@'", "r@s"),
            // Nobody gets past the filter in the name of the user or of the server.
            ("from='d@e/x'", "r@s"),
            ("from='e'", "r@s"),
        ];
        for (by, who) in invites {
            let message = message("r@s", &format!("<x xmlns='{muc}'><invite {by}/></x>"));
            let (found, by) = of(&message).unwrap();
            assert_eq!((found, by.as_str()), (Invitation, who), "{by}");
        }
        let mut nobody = message("a@b/c", "<body>hi</body>");
        nobody.head.from = None;
        assert!(of(&nobody).is_none());
    }
}
