//! A session comes back after a restart of the server: what it may have missed in rooms.

use rustc_hash::FxHashSet;
use smol_str::SmolStr;

use super::Delivery;
use crate::ns;
use crate::payload::stanza_id::is_by;
use crate::stanza::{MessageKind, Stanza};
use crate::storage::MessageId;

/// What a session that was saved has of the messages of rooms, which no marker remembers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Restored {
    /// It may have missed messages from this one on.
    pub from: MessageId,
    /// The ids (XEP-0359) of those that wait in its queue all the same.
    pub queued: FxHashSet<SmolStr>,
}

impl Restored {
    /// A session that was saved with this queue.
    pub(super) fn new(from: MessageId, queue: &[(Delivery, bool)]) -> Self {
        Self { from, queued: queue.iter().filter_map(|(delivery, _)| id(delivery)).collect() }
    }
}

/// The id that a room has given to a message.
fn id(delivery: &Delivery) -> Option<SmolStr> {
    let Stanza::Message(message) = &*delivery.stanza else { return None };
    let room = message.head.from.as_ref()?.to_bare();
    let mut children = message.content.received_children();
    let id = children.find(|child| child.is(ns::STANZA_ID, "stanza-id") && is_by(child, &room))?;
    (message.kind == MessageKind::Groupchat).then(|| id.attr("id").map(SmolStr::new)).flatten()
}
