//! After a restart, sessions that were restored are still in their rooms. Other occupants may have written after the
//! session was saved, and before the server ended. The room sends each restored session the messages that it has missed,
//! from the archive.

use std::sync::Arc;

use super::load;
use crate::host::{Cx, stanza_log};
use crate::jid::{BareJid, Jid};
use crate::muc::Room;
use crate::session::{Restored, SessionRef};
use crate::stanza::{Stanza, StanzaError};
use crate::storage::{MessageId, Query};

/// A session that may have missed something.
struct Waiting {
    session: SessionRef,
    restored: Arc<Restored>,
    share: Share,
}

/// Sends the sessions that were restored the messages that they have missed. Called whenever the room was read: no
/// session is sent a message twice.
pub(super) async fn give(cx: &Cx<'_>, room: &mut Room) -> Result<(), StanzaError> {
    let sessions = room.sessions();
    let mut waiting: Vec<_> = sessions.iter().filter_map(|jid| waiting(cx, room, jid)).collect();
    let Some(first) = waiting.iter().map(|of| of.restored.from).min() else { return Ok(()) };
    let mut query =
        Query { above: MessageId::new(first.get() - 1), max: AT_ONCE, ..Query::default() };
    let mut left = MOST;
    while left > 0 && !waiting.is_empty() {
        let page = cx.server.storage.archive().page(room.jid(), &query).await?.unwrap_or_default();
        for row in &page.rows {
            left = left.saturating_sub(1);
            let id = cx.server.message_ids.write(row.id).to_string();
            let Some(message) = load::shown(room.jid(), row, &id) else { continue };
            let stanza = Arc::new(Stanza::Message(message));
            waiting.retain_mut(|of| {
                if !of.restored.takes(room.jid(), row.id, &id) {
                    return true;
                }
                let fits = of.share.takes(of.session.queued(), stanza.size());
                if fits {
                    stanza_log::give(&of.session, &stanza).ok();
                } else {
                    // It is sent no later message either: so there is no gap between those that it is sent.
                    of.restored.note_all(room.jid());
                }
                fits
            });
        }
        query.after = page.rows.last().map(|row| row.id);
        if page.complete || page.rows.is_empty() {
            break;
        }
    }
    for of in waiting {
        of.restored.note_all(room.jid());
    }
    Ok(())
}

/// Notes that a session is in a room, which it may have entered only now: it gets all messages of the room from now on.
pub(super) fn note_in(session: &SessionRef, room: &BareJid) {
    if let Some(restored) = session.restored() {
        restored.note_all(room);
    }
}

fn waiting(cx: &Cx<'_>, room: &Room, session: &Jid) -> Option<Waiting> {
    let session = cx.server.sessions.find(session)?;
    let restored = session.restored()?;
    if restored.has_all(room.jid()) {
        return None;
    }
    let config = cx.server.config.load();
    let share = Share::of(config.limits.inbox_stanzas, config.limits.inbox_bytes);
    Some(Waiting { session, restored, share })
}

/// What a session is given at most: half of its mailbox. One that is full closes the session, and the client has its
/// archive for the rest.
#[derive(Clone, Copy, Debug)]
struct Share {
    /// Stanzas that may be in the mailbox.
    most: usize,
    stanzas: usize,
    bytes: usize,
}

impl Share {
    /// Half of a mailbox with these bounds.
    fn of(stanzas: usize, bytes: usize) -> Self {
        Self { most: stanzas / 2, stanzas: stanzas / 2, bytes: bytes / 2 }
    }

    /// Whether a stanza of this size fits in. A session without a connection takes stanzas out of its mailbox, too,
    /// so it does not suffice to look how many are `queued` there.
    fn takes(&mut self, queued: usize, size: usize) -> bool {
        let fits = queued < self.most && self.stanzas > 0 && size <= self.bytes;
        if fits {
            self.stanzas -= 1;
            self.bytes -= size;
        }
        fits
    }
}

/// Messages that are read at once.
const AT_ONCE: usize = 100;
/// Messages that a session is given, at most. A client that has missed more reads the archive.
const MOST: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_missed_fills_no_mailbox() {
        let of_mailbox = || Share::of(6, 2000);
        let mut share = of_mailbox();
        let taken = [(0, 100), (1, 100), (0, 100), (0, 100)];
        let taken = taken.map(|(queued, size)| share.takes(queued, size));
        assert_eq!(taken, [true, true, true, false]);
        assert!(!of_mailbox().takes(3, 100), "the mailbox is half full of other things");
        let mut share = of_mailbox();
        assert!(share.takes(0, 900) && !share.takes(0, 101) && share.takes(0, 100));
    }
}
