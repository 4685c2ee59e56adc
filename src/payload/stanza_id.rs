//! XEP-0359: Stable Stanza IDs. The id that an account or a room assigned to a message.

use crate::jid::Jid;
use crate::ns::STANZA_ID as NS;
use crate::xml::{ElementRef, Node, element};

/// The `<stanza-id/>` element: the message has this id in the archive of `by`.
pub fn stanza_id(by: &Jid, id: &str) -> Node {
    element("stanza-id").ns(NS).attr("by", by.as_str()).attr("id", id)
}

/// Whether this is a `<stanza-id/>` whose `by` is this address, or is not an address.
///
/// DEPARTS: XEP-0359 §3 – a `<stanza-id/>` without a valid `by` is removed, too. The XEP forbids such
/// elements but does not ask to remove them. A client that ignores `by` would take the id for one of its
/// archive.
#[must_use]
pub fn is_by(child: &ElementRef<'_>, by: &Jid) -> bool {
    child.is(NS, "stanza-id")
        && child.attr("by").and_then(|by| Jid::parse(by.trim()).ok()).is_none_or(|is| is == *by)
}
