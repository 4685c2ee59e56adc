//! XEP-0334: Message Processing Hints. The sender tells the server how to treat a message.

use crate::stanza::Content;

/// The namespace.
pub const NS: &str = "urn:xmpp:hints";

/// The hints in a message.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Hints {
    /// `<no-copy/>`: no copies to other resources of the recipient or the sender (§4.3). Only carbons
    /// (XEP-0280) make such copies.
    pub no_copy: bool,
    /// `<no-permanent-store/>`: not in an archive. It may be stored for an offline user (§4.1).
    pub no_permanent_store: bool,
    /// `<no-store/>`: neither in an archive nor for an offline user (§4.2).
    pub no_store: bool,
    /// `<store/>`: store the message, even if it would not be stored without the hint (§4.4).
    pub store: bool,
}

impl Hints {
    /// Reads the hints in a message.
    #[must_use]
    pub fn of(content: &Content) -> Self {
        let mut hints = Self::default();
        for hint in content.received_children().filter(|child| child.ns() == NS) {
            match hint.name() {
                "no-copy" => hints.no_copy = true,
                "no-permanent-store" => hints.no_permanent_store = true,
                "no-store" => hints.no_store = true,
                "store" => hints.store = true,
                _ => {}
            }
        }
        hints
    }
}

#[cfg(test)]
mod tests {
    use super::Hints;
    use crate::stanza::Content;
    use crate::xml::Frame;

    #[test]
    fn hints_are_read_in_their_namespace_only() {
        let xml = "<message><no-copy xmlns='urn:xmpp:hints'/><store xmlns='urn:xmpp:hints'/>\
                   <no-store xmlns='urn:a'/></message>";
        let content = Content::of(Frame::from_bytes(xml).unwrap());
        let expected = Hints { no_copy: true, store: true, ..Hints::default() };
        assert_eq!(Hints::of(&content), expected);
    }

    #[test]
    fn a_hint_given_twice_counts_once_and_an_unknown_one_not_at_all() {
        let hint = |name: &str| format!("<{name} xmlns='urn:xmpp:hints'>text<a/></{name}>");
        let of = |names: &[&str]| {
            let hints: String = names.iter().map(|name| hint(name)).collect();
            Hints::of(&Content::of(
                Frame::from_bytes(format!("<message>{hints}</message>")).unwrap(),
            ))
        };
        assert_eq!(of(&["no-store", "no-store", "no-Store", "nothing"]), of(&["no-store"]));
        let all = ["store", "no-copy", "no-store", "no-permanent-store"];
        let expected =
            Hints { no_copy: true, no_permanent_store: true, no_store: true, store: true };
        assert_eq!(of(&all), expected);
        assert_eq!(of(&[]), Hints::default());
    }
}
