//! XEP-0085: Chat State Notifications: somebody is typing, or has stopped.

use super::delay;
use super::hints;
use crate::ns;
use crate::stanza::Message;
use crate::xml::ElementRef;

/// Whether the message says nothing but a chat state: it is worthless as soon as there is a newer one.
#[must_use]
pub fn is_alone(message: &Message) -> bool {
    let children = || message.content.received_children();
    children().any(|child| child.ns() == ns::CHAT_STATES) && children().all(|c| is_transient(&c))
}

/// An element that is worthless later (a chat state), or without others (a thread, an id).
#[must_use]
pub fn is_transient(child: &ElementRef<'_>) -> bool {
    matches!(child.ns(), ns::CHAT_STATES | hints::NS | delay::NS | ns::STANZA_ID)
        || (child.ns() == ns::CLIENT && child.name() == "thread")
}
