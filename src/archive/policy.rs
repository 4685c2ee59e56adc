//! Which messages are stored (XEP-0313 §6.1, XEP-0334, XEP-0160 §3).

use crate::ns;
use crate::payload::chat_state::is_transient;
use crate::payload::hints::Hints;
use crate::stanza::{Message, MessageKind, is_encrypted};
use crate::xml::ElementRef;

/// Where a message is stored. Each holder of the message may still object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StorePolicy {
    /// In the archive.
    pub archive: bool,
    /// Until it is delivered.
    pub wait: bool,
}

impl StorePolicy {
    const NOT_STORED: Self = Self { archive: false, wait: false };

    /// Decides by the type of a message, its content, and the hints of its sender.
    ///
    /// A message is archived if a user wants to read it later, or if it changes something that can be
    /// read: bodies, encrypted content, retractions, reactions, markers, receipts, calls, invitations.
    /// Chat states are not archived.
    #[must_use]
    pub fn of(message: &Message) -> Self {
        match message.kind {
            // In an error not even hints count (XEP-0334 §5).
            //
            // DEPARTS: XEP-0334 §4.4 – messages of rooms are not stored, whatever the hints say. Rooms
            // have their own archives. And each device in a room gets its own copy, which would be
            // different messages here.
            MessageKind::Error | MessageKind::Groupchat => return Self::NOT_STORED,
            MessageKind::Headline => {
                let hints = Hints::of(&message.content);
                let keep = hints.store && !hints.no_store;
                return Self { archive: keep && !hints.no_permanent_store, wait: keep };
            }
            MessageKind::Chat | MessageKind::Normal => {}
        }
        let hints = Hints::of(&message.content);
        if hints.no_store {
            return Self::NOT_STORED;
        }
        let lasting =
            hints.store || message.content.received_children().any(|child| is_lasting(&child));
        // An unknown element may matter to the recipient, once (XEP-0160 §3).
        let says_something = message.content.received_children().any(|child| !is_transient(&child));
        Self { archive: lasting && !hints.no_permanent_store, wait: lasting || says_something }
    }
}

/// An element that makes a message worth archiving: a user wants to read it later, or it changes something
/// that can be read.
#[must_use]
pub fn is_lasting(child: &ElementRef<'_>) -> bool {
    let (ns, name) = (child.ns(), child.name());
    let listed = |list: &[(&str, &[&str])]| {
        list.iter().any(|(known, names)| *known == ns && names.contains(&name))
    };
    (ns == ns::CLIENT && name == "body")
        || is_encrypted(child)
        || CALLS.contains(&ns)
        || listed(LASTING)
}

/// XEP-0353, XEP-0482: calls, and how they ended.
const CALLS: &[&str] = &[ns::CALL_INVITES, ns::CALLS_0, ns::CALLS_1];

/// Other elements that are archived: namespaces with the names in them.
const LASTING: &[(&str, &[&str])] = &[
    // XEP-0184. A request comes with a body.
    (ns::RECEIPTS, &["received"]),
    // XEP-0333.
    (ns::CHAT_MARKERS, &["received", "displayed", "acknowledged"]),
    // XEP-0424.
    (ns::RETRACT_0, &["retract", "retracted"]),
    (ns::RETRACT, &["retract", "retracted"]),
    // XEP-0422, around older retractions.
    (ns::FASTEN, &["apply-to"]),
    // XEP-0444.
    ("urn:xmpp:reactions:0", &["reactions"]),
    // XEP-0447, and XEP-0066: a file without text. Sources of a file may come later.
    (ns::FILES, &["file-sharing", "sources"]),
    (ns::OUT_OF_BAND, &["x"]),
    // XEP-0249, and XEP-0045 §7.8.2.
    //
    // DEPARTS: XEP-0313 §8.4 – the element of rooms is not removed from archived messages. Messages of
    // a room to all are not archived here, and an invitation has nothing else in it.
    (ns::DIRECT_INVITE, &["x"]),
    (ns::MUC_USER, &["x"]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stanza::Stanza;
    use crate::xml::Frame;

    fn message(kind: &str, inner: &str) -> Message {
        let xml = format!("<message type='{kind}'>{inner}</message>");
        match Stanza::read(Frame::from_bytes(xml).unwrap()).unwrap() {
            Stanza::Message(message) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_kind_of_message_is_stored_as_the_specifications_say() {
        let (both, once, none) = ((true, true), (false, true), (false, false));
        let body = "<body>hi</body>";
        let composing = "<composing xmlns='http://jabber.org/protocol/chatstates'/>";
        let hint = |name: &str| format!("<{name} xmlns='urn:xmpp:hints'/>");
        let cases: &[(&str, String, (bool, bool))] = &[
            ("chat", body.into(), both),
            ("normal", body.into(), both),
            ("unheard-of", body.into(), both),
            ("groupchat", body.into(), none),
            ("headline", body.into(), none),
            ("error", body.into(), none),
            ("error", body.to_owned() + &hint("store"), none),
            ("headline", body.to_owned() + &hint("store"), both),
            ("chat", composing.into(), none),
            ("normal", "<paused xmlns='http://jabber.org/protocol/chatstates'/>".into(), none),
            ("chat", String::new(), none),
            ("chat", "<thread>a</thread>".into(), none),
            ("chat", composing.to_owned() + "<origin-id xmlns='urn:xmpp:sid:0' id='a'/>", none),
            ("chat", composing.to_owned() + "<x xmlns='jabber:x:oob'><url/></x>", both),
            ("chat", "<sources xmlns='urn:xmpp:sfs:0' id='1'/>".into(), both),
            ("chat", "<invite xmlns='urn:xmpp:call-invites:0' video='true'/>".into(), both),
            ("chat", "<unknown xmlns='urn:a'/>".into(), once),
            ("chat", "<unknown xmlns='urn:a'/>".to_owned() + &hint("store"), both),
            ("normal", "<subject>a</subject>".into(), once),
            ("chat", "<received xmlns='urn:xmpp:receipts' id='1'/>".into(), both),
            ("chat", "<request xmlns='urn:xmpp:receipts'/>".into(), once),
            ("chat", "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>".into(), both),
            ("chat", "<markable xmlns='urn:xmpp:chat-markers:0'/>".into(), once),
            ("chat", "<retract xmlns='urn:xmpp:message-retract:1' id='1'/>".into(), both),
            ("chat", "<reactions xmlns='urn:xmpp:reactions:0' id='1'/>".into(), both),
            ("chat", "<propose xmlns='urn:xmpp:jingle-message:0' id='1'/>".into(), both),
            ("chat", "<encrypted xmlns='eu.siacs.conversations.axolotl'/>".into(), both),
            ("normal", "<x xmlns='jabber:x:conference' jid='a@b'/>".into(), both),
            ("chat", body.to_owned() + &hint("no-store"), none),
            ("chat", body.to_owned() + &hint("no-permanent-store"), once),
            ("chat", body.to_owned() + &hint("no-copy"), both),
            ("chat", body.to_owned() + &hint("store") + &hint("no-store"), none),
            ("chat", hint("store"), both),
            ("chat", hint("no-permanent-store"), none),
        ];
        for (kind, inner, (archive, wait)) in cases {
            let expected = StorePolicy { archive: *archive, wait: *wait };
            assert_eq!(StorePolicy::of(&message(kind, inner)), expected, "{kind} {inner}");
        }
    }
}
