//! XEP-0297: Stanza Forwarding. A stanza inside another one.

use super::datetime::Timestamp;
use super::delay;
use crate::ns;

/// The namespace.
pub const NS: &str = "urn:xmpp:forward:0";

/// Appends `<forwarded/>` with a whole stanza in `jabber:client`, as it is stored or sent: without a
/// declaration of that namespace. `stamp`: when the stanza was received, if that was earlier.
pub fn write_forwarded(out: &mut Vec<u8>, stanza: &[u8], stamp: Option<Timestamp>) {
    let mut add = |parts: &[&str]| {
        for part in parts {
            out.extend_from_slice(part.as_bytes());
        }
    };
    add(&["<forwarded xmlns='", NS, "'>"]);
    if let Some(at) = stamp {
        add(&["<delay xmlns='", delay::NS, "' stamp='", &at.to_string(), "'/>"]);
    }
    for start in ["<message", "<iq", "<presence"] {
        if let Some(rest) = stanza.strip_prefix(start.as_bytes()) {
            // The element around it has another namespace (XEP-0297 §3.2).
            add(&[start, " xmlns='", ns::CLIENT, "'"]);
            out.extend_from_slice(rest);
            break;
        }
    }
    out.extend_from_slice(b"</forwarded>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Frame;

    #[test]
    fn a_forwarded_message_is_of_its_own_namespace() {
        let stamp = Timestamp::from_micros(1_795_161_600_123_000);
        let mut out = Vec::new();
        write_forwarded(&mut out, b"<message to='a@b'><body>hi</body></message>", Some(stamp));
        let frame = Frame::from_bytes(out).unwrap();
        let message = frame.root().child(ns::CLIENT, "message").unwrap();
        assert_eq!(message.child(ns::CLIENT, "body").unwrap().text(), "hi");
        let delay = frame.root().child(delay::NS, "delay").unwrap();
        assert_eq!(delay.attr("stamp").unwrap(), "2026-11-20T08:00:00.123Z");
        let mut out = Vec::new();
        write_forwarded(&mut out, b"<message/>", None);
        let expected =
            "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'/></forwarded>";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
