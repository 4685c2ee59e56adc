//! XEP-0297: a stanza inside another one.

use super::datetime::Timestamp;
use super::delay;
use crate::ns;
use crate::xml::{Node, element};

/// The namespace.
pub const NS: &str = "urn:xmpp:forward:0";

/// `<forwarded/>` with a message as it is kept or sent: whole, in `jabber:client`, which it does not
/// declare. `stamp` says when it was taken, if that is not now.
pub fn forwarded(message: &[u8], stamp: Option<Timestamp>) -> Node {
    let forwarded = element("forwarded").ns(NS);
    let forwarded = match stamp {
        Some(at) => forwarded.child(element("delay").ns(delay::NS).attr("stamp", at.to_string())),
        None => forwarded,
    };
    let Some(rest) = message.strip_prefix(b"<message") else { return forwarded };
    // Its namespace is not the one of the element around it (XEP-0297 §3).
    let declared = [b"<message xmlns='", ns::CLIENT.as_bytes(), b"'", rest].concat();
    forwarded.raw(declared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Frame;

    #[test]
    fn a_forwarded_message_is_of_its_own_namespace() {
        let stamp = Timestamp::from_micros(1_795_161_600_123_000);
        let node = forwarded(b"<message to='a@b'><body>hi</body></message>", Some(stamp));
        let frame = Frame::from_bytes(node.to_bytes()).unwrap();
        let message = frame.root().child(ns::CLIENT, "message").unwrap();
        assert_eq!(message.child(ns::CLIENT, "body").unwrap().text(), "hi");
        let delay = frame.root().child(delay::NS, "delay").unwrap();
        assert_eq!(delay.attr("stamp").unwrap(), "2026-11-20T08:00:00.123Z");
        assert!(!forwarded(b"<message/>", None).to_bytes().is_empty());
    }
}
