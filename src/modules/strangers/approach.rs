//! What the sender of a message wants, and who that is.

use std::borrow::Cow;

use crate::archive::importance;
use crate::host::strangers::{Approach, Choice, Policy};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::Message;
use crate::xml::ElementRef;

/// What the sender of a message wants, and who is to be known for that.
#[derive(Debug)]
pub(super) struct Wants<'a> {
    /// Who must be known.
    pub(super) by: Cow<'a, Jid>,
    /// What it is for in the first place.
    pub(super) approach: Approach,
    /// It is a call or an invitation, and says something besides. The plain text of an invitation does not count.
    says_more: bool,
}

impl Wants<'_> {
    /// What of it a policy is strictest about: that decides, and under that it waits.
    pub(super) fn strictest(&self, policy: &Policy) -> Approach {
        let is_text_stricter = policy.on(Approach::Message) > policy.on(self.approach);
        if self.says_more && is_text_stricter { Approach::Message } else { self.approach }
    }

    /// What a policy has for strangers who want this.
    pub(super) fn choice(&self, policy: &Policy) -> Choice {
        policy.on(self.strictest(policy))
    }
}

/// What the sender of a message wants. `None` if the message has no sender.
///
/// The body of an invitation says that it is one, for clients that do not know invitations: rooms and clients add it.
/// An invitation may have a reason anyway, so this is no more than it may say. All else that people read in an
/// invitation, or in a call, is a message, too.
///
/// An invitation by a room comes from the room, which says who invites (XEP-0045 §7.8.2): this one must be
/// known. A room can lie about it, as it can about everything. A client cannot: it never sends from a bare
/// address.
pub(super) fn of(message: &Message) -> Option<Wants<'_>> {
    let from = message.head.from.as_ref()?;
    let (mut by, mut approach) = (Cow::Borrowed(from), Approach::Message);
    let (mut has_body, mut says) = (false, false);
    for child in message.content.received_children() {
        let invite = child.child(ns::MUC_USER, "invite").filter(|_| is_of_room(&child));
        if let Some(invite) = invite {
            approach = Approach::Invitation;
            let inviter = invite.attr("from").and_then(|from| Jid::parse(&from).ok());
            // The user, a server or a service invites nobody, and a client only for itself.
            let is_other = |inviter: &Jid| {
                let to = message.head.to.as_ref();
                from.is_bare()
                    && inviter.local().is_some()
                    && to.is_none_or(|to| to.bare_str() != inviter.bare_str())
            };
            if let Some(inviter) = inviter.filter(is_other) {
                by = Cow::Owned(inviter);
            }
        } else if child.is(ns::DIRECT_INVITE, "x") {
            approach = Approach::Invitation;
        } else if CALLS.contains(&child.ns()) {
            if approach == Approach::Message {
                approach = Approach::Call;
            }
        } else if child.is(ns::CLIENT, "body") {
            has_body |= is_said(&child);
        } else {
            says |= is_said(&child);
        }
    }
    let says_more = match approach {
        Approach::Invitation => says,
        Approach::Call => says || has_body,
        Approach::Message | Approach::Subscription => false,
    };
    Some(Wants { by, approach, says_more })
}

/// Whether people read it. What else comes with a call or an invitation, such as a hint, says nothing.
fn is_said(child: &ElementRef<'_>) -> bool {
    importance::is_text(child) || child.is(ns::CLIENT, "subject") || child.is(HTML, "html")
}

fn is_of_room(child: &ElementRef<'_>) -> bool {
    child.is(ns::MUC_USER, "x")
}

/// XEP-0071.
const HTML: &str = "http://jabber.org/protocol/xhtml-im";
/// XEP-0353, XEP-0482.
const CALLS: &[&str] = &[ns::CALL_INVITES, ns::CALLS_0, ns::CALLS_1];

#[cfg(test)]
mod tests {
    use super::of;
    use crate::host::strangers::{Approach, Choice, Policy};
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
            let found = of(&message).unwrap();
            assert_eq!((found.approach, found.by.as_str()), (approach, who), "{inner}");
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
            let found = of(&message).unwrap();
            assert_eq!((found.approach, found.by.as_str()), (Invitation, who), "{by}");
        }
        let mut nobody = message("a@b/c", "<body>hi</body>");
        nobody.head.from = None;
        assert!(of(&nobody).is_none());
    }

    /// A text in a call is a message, too, and what is more than a plain text in an invitation.
    #[test]
    fn a_message_passes_by_the_strictest_choice_for_what_is_in_it() {
        let invitation = "<x xmlns='jabber:x:conference' jid='r@s'/>";
        let mediated = "<x xmlns='http://jabber.org/protocol/muc#user'><invite from='f@g'/></x>";
        let call = "<propose xmlns='urn:xmpp:jingle-message:0' id='1'/>";
        let body = "<body>hi</body>";
        let texts = [
            "<subject>hi</subject>",
            "<encrypted xmlns='urn:xmpp:omemo:2'><payload>x</payload></encrypted>",
            "<html xmlns='http://jabber.org/protocol/xhtml-im'/>",
            "<x xmlns='jabber:x:oob'><url>https://a.example</url></x>",
        ];
        let others = [
            "",
            "<body/>",
            "<store xmlns='urn:xmpp:hints'/>",
            "<request xmlns='urn:xmpp:receipts'/>",
            "<origin-id xmlns='urn:xmpp:sid:0' id='1'/>",
        ];
        let mut policy = Policy::default();
        policy.set(Approach::Message, Choice::Refuse);
        let choice = |from: &str, inner: String| {
            let message = message(from, &inner);
            of(&message).unwrap().choice(&policy)
        };
        for first in [invitation, mediated, call] {
            for text in texts {
                for inner in [format!("{first}{text}"), format!("{text}{first}")] {
                    assert_eq!(choice("r@s", inner.clone()), Choice::Refuse, "{inner}");
                }
            }
            let is_call = first == call;
            for inner in [format!("{first}{body}"), format!("{body}{first}")] {
                let expected = if is_call { Choice::Refuse } else { Choice::Allow };
                assert_eq!(choice("r@s", inner.clone()), expected, "{inner}");
            }
            for other in others {
                assert_eq!(choice("r@s", format!("{first}{other}")), Choice::Allow, "{other}");
            }
        }
        let message = message("a@b/c", &format!("<body>hi</body>{invitation}"));
        let wants = of(&message).unwrap();
        let mut policy = Policy::all(Choice::Refuse);
        policy.set(Approach::Message, Choice::Allow);
        assert_eq!(wants.choice(&policy), Choice::Refuse);
        assert_eq!(wants.strictest(&policy), Approach::Invitation);
        let mut policy = Policy::default();
        policy.set(Approach::Message, Choice::Wait);
        assert_eq!(wants.choice(&policy), Choice::Allow);
        let message = self::message("a@b/c", &format!("<subject>hi</subject>{invitation}"));
        let wants = of(&message).unwrap();
        assert_eq!(wants.choice(&policy), Choice::Wait);
        assert_eq!(wants.strictest(&policy), Approach::Message);
    }
}
