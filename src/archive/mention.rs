//! Whether a message in a room mentions a user (XEP-0492 §3).
//!
//! What is not known counts as a mention: then a phone is woken, and can look.

use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::stanza::{Message, is_encrypted, message_text};
use crate::xml::ElementRef;

/// A user in a room.
#[derive(Clone, Copy, Debug)]
pub struct Occupant<'a> {
    /// The user.
    pub user: &'a BareJid,
    /// The room.
    pub room: &'a str,
    /// How the user is called there.
    pub nick: &'a str,
}

impl Occupant<'_> {
    /// Whether a message of the room mentions the user: by an element that says so (XEP-0372, XEP-0513), as the answer
    /// to a message of the user (XEP-0461), or by name in its text. A message to all, or to a group of which only the
    /// room knows who is in it, mentions everybody. An encrypted one may.
    #[must_use]
    pub fn is_mentioned(self, message: &Message) -> bool {
        let children = || message.content.received_children();
        if children().any(|child| self.is_meant(&child)) {
            return true;
        }
        let has_body = children().any(|child| child.is(ns::CLIENT, "body") && child.has_text());
        match message_text(message) {
            Some(text) => is_named(self.nick, &text),
            None => has_body || children().any(|child| is_encrypted(&child)),
        }
    }

    fn is_meant(self, child: &ElementRef<'_>) -> bool {
        let attr = |name| child.attr(name);
        match (child.ns(), child.name()) {
            (REFERENCES, "reference") => {
                attr("type").is_some_and(|kind| kind == "mention")
                    && attr("uri").is_some_and(|uri| self.is_uri(&uri))
            }
            (ns::REPLY, "reply") => attr("to").is_some_and(|to| self.is_address(&to)),
            (MENTIONS, "mention") => {
                attr("mentions").is_some() || attr("jid").is_some_and(|jid| self.is_address(&jid))
            }
            _ => false,
        }
    }

    /// Whether it is `xmpp:` and an address of the user (RFC 5122).
    fn is_uri(self, uri: &str) -> bool {
        let address = uri.strip_prefix("xmpp:").and_then(|rest| rest.split(['?', '#']).next());
        address.and_then(unescaped).is_some_and(|address| self.is_address(&address))
    }

    /// Whether it is the address of the user, or that in the room.
    fn is_address(self, address: &str) -> bool {
        let Ok(jid) = Jid::parse(address) else { return false };
        jid.bare_str() == self.user.as_str()
            || jid.bare_str() == self.room && jid.resource() == Some(self.nick)
    }
}

/// Whether a name is in a text as a word of its own, whatever the case of its letters.
fn is_named(name: &str, text: &str) -> bool {
    let (name, text) = (name.to_lowercase(), text.to_lowercase());
    if name.trim().is_empty() {
        return false;
    }
    text.match_indices(&name).any(|(at, found)| {
        let before = text[..at].chars().next_back();
        let after = text[at + found.len()..].chars().next();
        let (first, last) = (found.chars().next(), found.chars().next_back());
        !is_one_word(before, first) && !is_one_word(last, after)
    })
}

/// Whether two characters beside each other are of one word. Where words are not divided by spaces, nobody knows.
fn is_one_word(left: Option<char>, right: Option<char>) -> bool {
    let divides = |c: char| {
        !matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
            | '\u{3000}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..)
    };
    let is_of_word = |c: char| c.is_alphanumeric() && divides(c);
    left.is_some_and(is_of_word) && right.is_some_and(is_of_word)
}

/// Replaces `%20` and the like. `None` if it is no text then.
fn unescaped(uri: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(uri.len());
    let mut rest = uri.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        rest = others;
        let byte = match first {
            b'%' => {
                let digits = std::str::from_utf8(others.get(..2)?).ok()?;
                rest = &others[2..];
                u8::from_str_radix(digits, 16).ok()?
            }
            byte => *byte,
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).ok()
}

/// XEP-0372.
const REFERENCES: &str = "urn:xmpp:reference:0";
/// XEP-0513.
const MENTIONS: &str = "urn:xmpp:mentions:0";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stanza::Stanza;
    use crate::xml::Frame;

    fn is_mentioned(inner: &str) -> bool {
        let xml = format!("<message type='groupchat'>{inner}</message>");
        let Ok(Stanza::Message(message)) = Stanza::read(Frame::from_bytes(xml).unwrap()) else {
            unreachable!("it is a message")
        };
        let user = BareJid::parse("juliet@capulet.lit").unwrap();
        let room = "orchard@rooms.lit";
        Occupant { user: &user, room, nick: "The Sun" }.is_mentioned(&message)
    }

    #[test]
    fn a_message_mentions_a_user_by_an_element_or_by_name() {
        for (inner, expected) in [
            ("<body>hello</body>", false),
            ("<body>It is the east, and the sun.</body>", true),
            ("<body>THE SUN: arise</body>", true),
            ("<body>the sunset</body>", false),
            ("<body>breathe sun</body>", false),
            ("<body>breathe sunset, the sun</body>", true),
            (
                "<reference xmlns='urn:xmpp:reference:0' type='mention' uri='xmpp:juliet@capulet.lit'/>",
                true,
            ),
            (
                "<reference xmlns='urn:xmpp:reference:0' type='mention' uri='xmpp:orchard@rooms.lit/The%20Sun?message'/>",
                true,
            ),
            (
                "<reference xmlns='urn:xmpp:reference:0' type='mention' uri='xmpp:orchard@rooms.lit/Nurse'/>",
                false,
            ),
            (
                "<reference xmlns='urn:xmpp:reference:0' type='mention' uri='xmpp:nurse@capulet.lit'/>",
                false,
            ),
            (
                "<reference xmlns='urn:xmpp:reference:0' type='mention' uri='juliet@capulet.lit'/>",
                false,
            ),
            ("<reference xmlns='urn:xmpp:reference:0' type='mention' uri='xmpp:%'/>", false),
            ("<reference xmlns='urn:xmpp:reference:0' type='mention' uri='xmpp:%e9é'/>", false),
            ("<reference xmlns='urn:xmpp:reference:0' type='mention'/>", false),
            (
                "<reference xmlns='urn:xmpp:reference:0' type='data' uri='xmpp:juliet@capulet.lit'/>",
                false,
            ),
            ("<reply xmlns='urn:xmpp:reply:0' id='1' to='orchard@rooms.lit/The Sun'/>", true),
            ("<reply xmlns='urn:xmpp:reply:0' id='1' to='juliet@capulet.lit/balcony'/>", true),
            ("<reply xmlns='urn:xmpp:reply:0' id='1' to='orchard@rooms.lit/Nurse'/>", false),
            ("<reply xmlns='urn:xmpp:reply:0' id='1' to='other@rooms.lit/The Sun'/>", false),
            ("<reply xmlns='urn:xmpp:reply:0' id='1' to='@'/>", false),
            ("<reply xmlns='urn:xmpp:reply:0' id='1'/>", false),
            ("<mention xmlns='urn:xmpp:mentions:0' jid='orchard@rooms.lit/The Sun'/>", true),
            ("<mention xmlns='urn:xmpp:mentions:0' occupantid='x'/>", false),
            ("<mention xmlns='urn:xmpp:mentions:0' mentions='urn:xmpp:mentions:0#channel'/>", true),
            ("<body>x</body><encrypted xmlns='urn:xmpp:omemo:2'><payload/></encrypted>", true),
            ("<encrypted xmlns='urn:xmpp:omemo:2'><payload/></encrypted>", true),
            ("<x xmlns='jabber:x:oob'><url>https://example.lit/</url></x>", false),
        ] {
            assert_eq!(is_mentioned(inner), expected, "{inner}");
        }
    }

    #[test]
    fn nobody_is_called_by_an_empty_name() {
        for (name, text, expected) in [
            ("小明", "小明你好", true),
            ("Sun", "Sunさん", true),
            ("Sun", "Sunday", false),
            ("小明", "你好", false),
            ("Ива", "Иван", false),
        ] {
            assert_eq!(is_named(name, text), expected, "{name} in {text}");
        }
        assert!(!is_named("", "text") && !is_named(" ", "a text"));
        assert!(is_named("ΑΣ", "ας") || !is_named("ΑΣ", "ας"), "no panic");
    }
}
