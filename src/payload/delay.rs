//! XEP-0203: when a stanza was sent, if it comes late.

use super::datetime::Timestamp;
use crate::jid::Jid;
use crate::xml::{Node, element};

/// The namespace.
pub const NS: &str = "urn:xmpp:delay";

/// `<delay/>`: taken by `from` at `stamp`.
pub fn delay(from: &Jid, stamp: Timestamp) -> Node {
    element("delay").ns(NS).attr("from", from.as_str()).attr("stamp", stamp.to_string())
}
