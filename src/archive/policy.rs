//! Which messages are kept (XEP-0313 §6.1, XEP-0334, XEP-0160 §3).

use crate::ns;
use crate::payload::delay;
use crate::payload::hints::{self, Hints};
use crate::stanza::{Message, MessageKind};
use crate::xml::ElementRef;

/// What a message is worth.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StorePolicy {
    /// It belongs in an archive, if its owner has nothing against it.
    pub archive: bool,
    /// It is kept until it is delivered.
    pub wait: bool,
}

/// What a message is worth by its type, what is inside, and what its sender wishes.
///
/// Kept is what one wants to read later or what changes something that one can read: bodies, what
/// is encrypted, retractions, reactions, markers, receipts, calls, invitations. Chat states are not.
#[must_use]
pub fn worth(message: &Message) -> StorePolicy {
    let nothing = StorePolicy { archive: false, wait: false };
    match message.kind {
        // Of an error, not even hints count (XEP-0334 §5).
        //
        // DEPARTS: XEP-0334 §4.4 – what a room says is not kept, whatever it hints: rooms have archives
        // of their own, and each device in a room gets a copy, which are not the same message here.
        MessageKind::Error | MessageKind::Groupchat => return nothing,
        MessageKind::Headline => {
            let wanted = Hints::of(&message.content);
            let keep = wanted.store && !wanted.no_store;
            return StorePolicy { archive: keep && !wanted.no_permanent_store, wait: keep };
        }
        MessageKind::Chat | MessageKind::Normal => {}
    }
    let hints = Hints::of(&message.content);
    if hints.no_store {
        return nothing;
    }
    let lasting = hints.store || message.content.children().any(|child| is_lasting(&child));
    // What we do not know may matter to the recipient, once (XEP-0160 §3).
    let says_something = message.content.children().any(|child| !is_passing(&child));
    StorePolicy { archive: lasting && !hints.no_permanent_store, wait: lasting || says_something }
}

/// The text by which a message can be found; `None` if there is none or it is a placeholder for
/// something encrypted (XEP-0380 §3).
#[must_use]
pub fn searchable(message: &Message) -> Option<String> {
    if message.content.children().any(|child| is_encrypted(&child)) {
        return None;
    }
    let bodies = message.content.children().filter(|child| child.is(ns::CLIENT, "body"));
    let texts: Vec<String> = bodies.map(|body| body.text().into_owned()).collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}

/// One wants it in an archive.
fn is_lasting(child: &ElementRef<'_>) -> bool {
    let (ns, name) = (child.ns(), child.name());
    let listed = |list: &[(&str, &[&str])]| {
        list.iter().any(|(known, names)| *known == ns && names.contains(&name))
    };
    (ns == ns::CLIENT && name == "body")
        || is_encrypted(child)
        || CALLS.contains(&ns)
        || listed(LASTING)
}

fn is_encrypted(child: &ElementRef<'_>) -> bool {
    ENCRYPTED.contains(&child.ns())
}

/// Worthless once the moment is over, or alone: what only decorates a message.
fn is_passing(child: &ElementRef<'_>) -> bool {
    matches!(child.ns(), ns::CHAT_STATES | hints::NS | delay::NS | ns::STANZA_ID)
        || (child.ns() == ns::CLIENT && child.name() == "thread")
}

/// XEP-0380, OMEMO in its three ages (XEP-0384), XEP-0373, XEP-0027.
const ENCRYPTED: &[&str] = &[
    "eu.siacs.conversations.axolotl",
    "jabber:x:encrypted",
    "urn:xmpp:eme:0",
    "urn:xmpp:omemo:1",
    "urn:xmpp:omemo:2",
    "urn:xmpp:openpgp:0",
];

/// XEP-0353, XEP-0482: who called, and what became of it.
const CALLS: &[&str] =
    &["urn:xmpp:call-invites:0", "urn:xmpp:jingle-message:0", "urn:xmpp:jingle-message:1"];

/// Namespaces with the names that last.
const LASTING: &[(&str, &[&str])] = &[
    // XEP-0184. A request comes with a body.
    ("urn:xmpp:receipts", &["received"]),
    // XEP-0333.
    ("urn:xmpp:chat-markers:0", &["received", "displayed", "acknowledged"]),
    // XEP-0424.
    ("urn:xmpp:message-retract:0", &["retract", "retracted"]),
    ("urn:xmpp:message-retract:1", &["retract", "retracted"]),
    // XEP-0422, around older retractions.
    ("urn:xmpp:fasten:0", &["apply-to"]),
    // XEP-0444.
    ("urn:xmpp:reactions:0", &["reactions"]),
    // XEP-0447, and XEP-0066: a file without words. Sources of a file may come later.
    ("urn:xmpp:sfs:0", &["file-sharing", "sources"]),
    ("jabber:x:oob", &["x"]),
    // XEP-0249, and XEP-0045 §7.8.2.
    //
    // DEPARTS: XEP-0313 §8.4 – the element of rooms is not taken out of what is archived. Nothing that a
    // room says to all is archived here, and there is nothing else in an invitation.
    ("jabber:x:conference", &["x"]),
    ("http://jabber.org/protocol/muc#user", &["x"]),
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
    fn each_kind_of_message_has_its_worth() {
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
            assert_eq!(worth(&message(kind, inner)), expected, "{kind} {inner}");
        }
    }

    #[test]
    fn what_is_encrypted_has_no_words() {
        let plain = message("chat", "<body>a &lt; b</body><body xml:lang='de'>c</body>");
        assert_eq!(searchable(&plain).as_deref(), Some("a < b\nc"));
        let hidden = "<body>I sent you OMEMO</body><encryption xmlns='urn:xmpp:eme:0'/>";
        assert_eq!(searchable(&message("chat", hidden)), None);
        assert_eq!(searchable(&message("chat", "<subject>a</subject>")), None);
    }
}
