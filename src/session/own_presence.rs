//! The presence that the client of a session sends (RFC 6121 §4): what only the task that owns the session notes.

use std::sync::Arc;

use super::Session;
use crate::jid::{BareJid, Jid};
use crate::stanza::Presence;

impl Session {
    /// It sends available presence. `true` if it was not available before.
    pub fn set_available(&self, presence: Arc<Presence>, priority: i8) -> bool {
        let mut state = self.handle().presence().lock();
        state.priority = priority;
        let is_first = state.available.replace(presence).is_none();
        drop(state);
        self.mailbox().shared().catch_up_changed.notify_one();
        is_first
    }

    /// It sends directed presence to `to`, which is to be told when it goes (RFC 6121 §4.6.3). `false` if
    /// it has sent it to 1000 other addresses already: then `to` is not remembered.
    pub fn add_directed(&self, to: &Jid) -> bool {
        self.handle().presence().lock().change_seen_by(|seen_by| {
            let directed = &mut seen_by.directed;
            directed.contains(to) || directed.len() < MAX_DIRECTED && directed.insert(to.clone())
        })
    }

    /// It has sent unavailable presence to `to`: `to` no longer knows of it.
    pub fn end_directed(&self, to: &Jid) {
        self.handle().presence().lock().change_seen_by(|seen_by| {
            seen_by.directed.remove(to);
            seen_by.asked.remove(to.bare_str());
        });
    }

    /// It has sent a request to a client of `other`. At most 100 addresses are remembered.
    pub fn note_asked(&self, other: BareJid) {
        self.handle().presence().lock().change_seen_by(|seen_by| {
            if seen_by.asked.len() < MAX_ASKED {
                seen_by.asked.insert(other);
            }
        });
    }
}

/// Addresses remembered by a session for its requests.
const MAX_ASKED: usize = 100;
/// Addresses remembered by a session for its directed presence.
const MAX_DIRECTED: usize = 1000;
