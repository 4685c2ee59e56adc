//! What is worth waking a phone for. XEP-0357 leaves that to the server.
//!
//! A message that somebody wants to read now, a call, an invitation. A call that has waited is something to read. Not: chat states, receipts, markers,
//! reactions, retractions, subjects, headlines, copies of what the user's other devices have sent, and what
//! a client reads in its archive.

use crate::ns;
use crate::payload::hints::Hints;
use crate::payload::{delay, forward};
use crate::stanza::{Message, MessageKind, Stanza};
use crate::xml::{ElementRef, Frame};

/// Why a phone is woken.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Importance {
    /// Somebody asks for a subscription.
    Subscription,
    /// A message.
    Message,
    /// A call: it does not wait.
    Call,
}

/// Whether a message is worth waking a phone for.
#[must_use]
pub fn of(message: &Message) -> Option<Importance> {
    if matches!(message.kind, MessageKind::Error | MessageKind::Headline) {
        return None;
    }
    let children = || message.content.received_children();
    if children().any(|child| is_call(&child)) {
        // A call that was delayed (XEP-0203) is over: it is only something to read.
        let is_old = message.content.has_added(delay::NS, "delay")
            || message.content.has_received_child(delay::NS, "delay");
        return Some(if is_old { Importance::Message } else { Importance::Call });
    }
    let is_subject = message.kind == MessageKind::Groupchat
        && children().any(|child| child.is(ns::CLIENT, "subject"));
    if is_subject || Hints::of(&message.content).no_store {
        return None;
    }
    children().any(|child| is_to_be_read(&child)).then_some(Importance::Message)
}

/// Whether a stanza that waits for a client is worth waking its phone for. `notifies`: whether the user wants to be told of
/// a message.
#[must_use]
pub fn of_waiting(
    stanza: &Stanza,
    notifies: &dyn Fn(&Message, Importance) -> bool,
) -> Option<Importance> {
    let of = |message: &Message| of(message).filter(|what| notifies(message, *what));
    match stanza {
        Stanza::Presence(presence) => {
            let is_request = presence.kind == crate::stanza::PresenceKind::Subscribe;
            is_request.then_some(Importance::Subscription)
        }
        Stanza::Iq(_) => None,
        Stanza::Message(message) if message.content.received_children().next().is_some() => {
            of(message)
        }
        // What this server has made itself can be read only when it has been written: a carbon, for example.
        Stanza::Message(_) => of_made(stanza, of),
    }
}

fn of_made(stanza: &Stanza, of: impl FnOnce(&Message) -> Option<Importance>) -> Option<Importance> {
    let frame = Frame::from_bytes(stanza.to_bytes()).ok()?;
    let root = frame.root();
    let received = root.child(ns::CARBONS, "received")?;
    let inner = received.child(forward::NS, "forwarded")?.child(ns::CLIENT, "message")?;
    let inner = Frame::from_tree(&inner.to_tree()).ok()?;
    match Stanza::read(inner) {
        Ok(Stanza::Message(message)) => of(&message),
        _ => None,
    }
}

/// The beginning of a call (XEP-0353 §3, XEP-0482 §3). Its later messages do not notify.
fn is_call(child: &ElementRef<'_>) -> bool {
    CALLS.iter().any(|(ns, name)| child.is(ns, name))
}

fn is_to_be_read(child: &ElementRef<'_>) -> bool {
    match (child.ns(), child.name()) {
        // XEP-0249, and XEP-0045 §7.8.2.
        (ns::DIRECT_INVITE, "x") => true,
        (ns::MUC_USER, "x") => child.has_child(ns::MUC_USER, "invite"),
        _ => is_text(child),
    }
}

/// Whether an element of a message is a text, as it stands or encrypted, or a file.
#[must_use]
pub fn is_text(child: &ElementRef<'_>) -> bool {
    match (child.ns(), child.name()) {
        (ns::CLIENT, "body") => child.has_text(),
        // Without a payload it is about keys (XEP-0384 §4.6 of version 0.3.0).
        (ns::OMEMO_0, "encrypted") => child.has_child(ns::OMEMO_0, "payload"),
        (ns, "encrypted") if OMEMO.contains(&ns) => child.has_child(ns, "payload"),
        (ns::PGP, "x") | (ns::OPENPGP, "openpgp") => true,
        // A file without a text: XEP-0447, XEP-0066.
        (ns::FILES, "file-sharing") | (ns::OUT_OF_BAND, "x") => true,
        _ => false,
    }
}

const OMEMO: &[&str] = &[ns::OMEMO_1, ns::OMEMO_2];
const CALLS: &[(&str, &str)] =
    &[(ns::CALL_INVITES, "invite"), (ns::CALLS_0, "propose"), (ns::CALLS_1, "propose")];

#[cfg(test)]
mod tests {
    use super::*;

    const RINGS: &dyn Fn(&Message, Importance) -> bool = &|_, _| true;

    fn stanza(xml: &str) -> Stanza {
        Stanza::read(Frame::from_bytes(xml.to_owned()).unwrap()).unwrap()
    }

    #[test]
    fn what_somebody_wants_to_read_or_hear_now_is_important() {
        let message = Some(Importance::Message);
        let omemo = |inner: &str| {
            format!("<encrypted xmlns='{}'><header sid='1'/>{inner}</encrypted>", ns::OMEMO_0)
        };
        let propose = "<propose xmlns='urn:xmpp:jingle-message:0' id='1'/>";
        let no_store = "<no-store xmlns='urn:xmpp:hints'/>";
        let cases: &[(&str, String, Option<Importance>)] = &[
            ("chat", "<body>hi</body>".into(), message),
            ("normal", "<body>hi</body>".into(), message),
            ("groupchat", "<body>hi</body>".into(), message),
            ("groupchat", "<body>hi</body><subject>a</subject>".into(), None),
            ("groupchat", "<subject>a</subject>".into(), None),
            ("headline", "<body>hi</body>".into(), None),
            ("error", "<body>hi</body>".into(), None),
            ("chat", "<body/>".into(), None),
            ("chat", "<subject>a</subject>".into(), None),
            ("chat", format!("<body>hi</body>{no_store}"), None),
            ("chat", omemo("<payload>x</payload>"), message),
            ("chat", omemo(""), None),
            ("chat", "<encrypted xmlns='urn:xmpp:omemo:2'><payload/></encrypted>".into(), message),
            ("chat", "<openpgp xmlns='urn:xmpp:openpgp:0'>x</openpgp>".into(), message),
            ("chat", propose.into(), Some(Importance::Call)),
            ("chat", format!("{propose}{no_store}"), Some(Importance::Call)),
            ("chat", format!("{propose}<delay xmlns='{}'/>", delay::NS), message),
            ("chat", "<retract xmlns='urn:xmpp:jingle-message:0' id='1'/>".into(), None),
            ("chat", "<active xmlns='http://jabber.org/protocol/chatstates'/>".into(), None),
            ("chat", "<received xmlns='urn:xmpp:receipts' id='1'/>".into(), None),
            ("chat", "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>".into(), None),
            ("chat", "<reactions xmlns='urn:xmpp:reactions:0' id='1'/>".into(), None),
            ("normal", "<x xmlns='jabber:x:conference' jid='a@b'/>".into(), message),
        ];
        for (kind, inner, expected) in cases {
            let stanza = stanza(&format!("<message type='{kind}'>{inner}</message>"));
            assert_eq!(of_waiting(&stanza, RINGS), *expected, "{kind} {inner}");
        }
    }

    #[test]
    fn of_copies_only_what_has_arrived_is_important() {
        let copy = |way: &str| {
            let inner = "<message xmlns='jabber:client' type='chat'><body>hi</body></message>";
            let forwarded = format!("<forwarded xmlns='urn:xmpp:forward:0'>{inner}</forwarded>");
            let xml = format!("<{way} xmlns='urn:xmpp:carbons:2'>{forwarded}</{way}>");
            let Stanza::Message(mut message) = stanza("<message type='chat'/>") else {
                unreachable!("it is a message")
            };
            message.content = crate::stanza::Content::made(xml.into());
            Stanza::Message(message)
        };
        assert_eq!(of_waiting(&copy("received"), RINGS), Some(Importance::Message));
        assert_eq!(of_waiting(&copy("sent"), RINGS), None);
        assert_eq!(of_waiting(&copy("received"), &|_, _| false), None);
        assert_eq!(
            of_waiting(&stanza("<presence type='subscribe'/>"), RINGS),
            Some(Importance::Subscription)
        );
        assert_eq!(of_waiting(&stanza("<presence/>"), RINGS), None);
        assert_eq!(of_waiting(&stanza("<iq type='get' id='1'><a xmlns='b'/></iq>"), RINGS), None);
    }
}
