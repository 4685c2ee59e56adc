//! XEP-0203: Delayed Delivery. The time at which a stanza was received that is delivered later.

use super::datetime::Timestamp;
use crate::jid::Jid;
use crate::xml::{Node, element};

/// The namespace.
pub const NS: &str = "urn:xmpp:delay";

/// The `<delay/>` element: `from` received the stanza at `stamp`.
pub fn delay(from: &Jid, stamp: Timestamp) -> Node {
    element("delay").ns(NS).attr("from", from.as_str()).attr("stamp", stamp.to_string())
}
