//! A session comes back after a restart of the server: what it may have missed in rooms.

use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};
use smol_str::SmolStr;

use super::Delivery;
use crate::jid::BareJid;
use crate::ns;
use crate::payload::stanza_id::is_by;
use crate::stanza::{MessageKind, Stanza};
use crate::storage::MessageId;

/// What a session that was saved has of the messages of rooms, which no marker remembers.
#[derive(Debug)]
pub struct Restored {
    /// It may have missed messages from this one on.
    pub from: MessageId,
    /// The ids (XEP-0359) of those that wait in its queue all the same.
    queued: FxHashSet<SmolStr>,
    /// What rooms have given it since then.
    given: Mutex<FxHashMap<BareJid, Given>>,
}

/// How much of what a session has missed a room has given it.
#[derive(Clone, Copy, Debug)]
enum Given {
    /// All up to this message.
    UpTo(MessageId),
    /// All, or as much as it gets.
    All,
}

impl Restored {
    /// A session that was saved with this queue.
    pub(super) fn new(from: MessageId, queue: &[(Delivery, bool)]) -> Self {
        let queued = queue.iter().filter_map(|(delivery, _)| id(delivery)).collect();
        Self { from, queued, given: Mutex::default() }
    }

    /// Whether the session is to be given this message of a room, whose id is `written` for clients. It counts as
    /// given from now on. To be asked for the messages of a room in their order.
    pub fn takes(&self, room: &BareJid, id: MessageId, written: &str) -> bool {
        let mut given = self.given.lock();
        let is_new = match given.get(room) {
            None => id >= self.from,
            Some(Given::UpTo(newest)) => id > *newest,
            Some(Given::All) => false,
        };
        if is_new {
            given.insert(room.clone(), Given::UpTo(id));
        }
        is_new && !self.queued.contains(written)
    }

    /// Whether the room has nothing more to give, however often it is read again.
    #[must_use]
    pub fn has_all(&self, room: &BareJid) -> bool {
        matches!(self.given.lock().get(room), Some(Given::All))
    }

    /// The room has nothing more to give: the session has all, or it has entered the room only now.
    pub fn note_all(&self, room: &BareJid) {
        self.given.lock().insert(room.clone(), Given::All);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_that_is_read_again_gives_nothing_twice() {
        let id = |number| MessageId::new(number).unwrap();
        let room = |text| BareJid::parse(text).unwrap();
        let (coven, garden) = (room("coven@chat.example"), room("garden@chat.example"));
        let mut restored = Restored::new(id(5), &[]);
        restored.queued.insert("six".into());
        assert!(!restored.takes(&coven, id(4), "four"), "it was there");
        assert!(restored.takes(&coven, id(5), "five"));
        // The store fails, or something panics: the room is read again, and begins anew.
        assert!(!restored.takes(&coven, id(5), "five"));
        assert!(!restored.takes(&coven, id(6), "six"), "it is in the queue");
        assert!(restored.takes(&coven, id(7), "seven"));
        assert!(!restored.has_all(&coven));
        restored.note_all(&coven);
        assert!(restored.has_all(&coven) && !restored.takes(&coven, id(8), "eight"));
        assert!(!restored.has_all(&garden) && restored.takes(&garden, id(8), "eight"));
    }
}
