//! XEP-0359: the id that an account, or a room, gave to a message.

use crate::jid::Jid;
use crate::ns::STANZA_ID as NS;
use crate::xml::{ElementRef, Node, element};

/// `<stanza-id/>`: the message has this id in the archive of `by`.
pub fn stanza_id(by: &Jid, id: &str) -> Node {
    element("stanza-id").ns(NS).attr("by", by.as_str()).attr("id", id)
}

/// A `<stanza-id/>` that pretends to be by this address, or by none that is an address.
///
/// DEPARTS: XEP-0359 §3 – one by nobody should stay, though there must be none. A client that does not
/// look who gave an id would take it for one of its archive.
#[must_use]
pub fn is_by(child: &ElementRef<'_>, by: &Jid) -> bool {
    child.is(NS, "stanza-id")
        && child.attr("by").and_then(|by| Jid::parse(by.trim()).ok()).is_none_or(|is| is == *by)
}
