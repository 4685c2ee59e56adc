//! XEP-0307: Unique Room Names for Multi-User Chat.

use crate::random::random_id;
use crate::xml::{Node, element};

/// The namespace.
pub(super) const NS: &str = "http://jabber.org/protocol/muc#unique";

/// The answer to a request for a name that no room has (XEP-0307 §2). The caller has checked that the sender may
/// make rooms. Nothing is reserved: nobody else gets the same name.
pub(super) fn answer() -> Node {
    element("unique").ns(NS).text(&name())
}

/// The local part of an address: small letters and digits, which no preparation changes.
pub(super) fn name() -> String {
    random_id().bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::name;
    use crate::jid::BareJid;

    #[test]
    fn a_name_is_a_local_part_as_it_is_and_never_the_same() {
        let (one, other) = (name(), name());
        assert_ne!(one, other);
        let room = BareJid::from_parts(Some(&one), "conference.example").unwrap();
        assert_eq!(room.local(), Some(one.as_str()));
    }
}
