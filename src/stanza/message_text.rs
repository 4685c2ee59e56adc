//! The text of a message that people read, and in which words are found (XEP-0431).

use bytes::Bytes;

use super::Message;
use crate::ns;
use crate::xml::{ElementRef, Frame};

/// The text of a message, in all its languages. `None` if it has none, or if the text stands in for encrypted content
/// (XEP-0380 §3).
#[must_use]
pub fn message_text(message: &Message) -> Option<String> {
    text_in(|| message.content.received_children())
}

/// The same of a `<message/>` as it is stored.
#[must_use]
pub fn stored_message_text(xml: &Bytes) -> Option<String> {
    let frame = Frame::from_bytes(xml.clone()).ok()?;
    let root = frame.root();
    text_in(|| root.children())
}

/// Whether only the recipient can read what is in this element.
#[must_use]
pub fn is_encrypted(child: &ElementRef<'_>) -> bool {
    ENCRYPTED.contains(&child.ns())
}

fn text_in<'a, I: Iterator<Item = ElementRef<'a>>>(children: impl Fn() -> I) -> Option<String> {
    if children().any(|child| is_encrypted(&child)) {
        return None;
    }
    let bodies = children().filter(|child| child.is(ns::CLIENT, "body"));
    let texts: Vec<String> = bodies.map(|body| body.text().into_owned()).collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}

/// XEP-0380, three generations of OMEMO (XEP-0384), XEP-0373, XEP-0027.
const ENCRYPTED: &[&str] =
    &[ns::OMEMO_0, ns::PGP, "urn:xmpp:eme:0", ns::OMEMO_1, ns::OMEMO_2, ns::OPENPGP];

#[cfg(test)]
mod tests {
    use super::{message_text, stored_message_text};
    use crate::stanza::Stanza;
    use crate::xml::Frame;

    #[test]
    fn an_encrypted_message_has_no_text() {
        let cases = [
            ("<body>a &lt; b</body><body xml:lang='de'>c</body>", Some("a < b\nc")),
            ("<body>I sent you OMEMO</body><encryption xmlns='urn:xmpp:eme:0'/>", None),
            ("<subject>a</subject>", None),
            ("<x xmlns='a:b'><body xmlns='jabber:client'>deep</body></x>", None),
        ];
        for (inner, expected) in cases {
            let xml = format!("<message xmlns='jabber:client' type='chat'>{inner}</message>");
            assert_eq!(stored_message_text(&xml.clone().into()).as_deref(), expected, "{inner}");
            let Ok(Ok(Stanza::Message(message))) = Frame::from_bytes(xml).map(Stanza::read) else {
                panic!("no message: {inner}")
            };
            assert_eq!(message_text(&message).as_deref(), expected, "{inner}");
        }
        assert_eq!(stored_message_text(&"<message".into()), None);
    }
}
