//! The presence of a session, and who has seen it (RFC 6121 §4).

use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::interests::Interests;
use crate::jid::{BareJid, Jid};
use crate::stanza::Presence;

/// The presence of a session.
#[derive(Debug, Default)]
pub(super) struct PresenceState {
    /// The last available presence; `None` before the first and after unavailable.
    pub(super) available: Option<Arc<Presence>>,
    /// Its priority.
    pub(super) priority: i8,
    /// The interests of its client, while it is available.
    pub(super) interests: Option<Arc<Interests>>,
    /// `None` if nobody does: most sessions send presence to their contacts only.
    seen_by: Option<Box<SeenBy>>,
}

/// Who knows of the session, other than by a subscription.
#[derive(Debug, Default)]
pub(super) struct SeenBy {
    /// Addresses that have its directed presence (RFC 6121 §4.6).
    pub(super) directed: FxHashSet<Jid>,
    /// The bare addresses of clients that it has sent requests to.
    pub(super) asked: FxHashSet<BareJid>,
}

impl PresenceState {
    /// Who knows of the session; `None` if nobody does.
    pub(super) fn seen_by(&self) -> Option<&SeenBy> {
        self.seen_by.as_deref()
    }

    /// Changes who has seen the session. If nobody is left, no memory is held.
    pub(super) fn change_seen_by<T>(&mut self, act: impl FnOnce(&mut SeenBy) -> T) -> T {
        let seen_by = self.seen_by.get_or_insert_default();
        let answer = act(seen_by);
        if seen_by.directed.is_empty() && seen_by.asked.is_empty() {
            self.seen_by = None;
        }
        answer
    }

    /// Forgets who has seen the session. Answers the addresses that have its directed presence.
    pub(super) fn take_directed(&mut self) -> FxHashSet<Jid> {
        self.seen_by.take().map(|seen_by| seen_by.directed).unwrap_or_default()
    }

    /// The addresses that have directed presence.
    pub(super) fn directed(&self) -> impl Iterator<Item = &Jid> {
        self.seen_by.iter().flat_map(|seen_by| &seen_by.directed)
    }

    /// Restores the addresses that the previous server has saved.
    pub(super) fn restore_directed(&mut self, directed: FxHashSet<Jid>) {
        if !directed.is_empty() {
            self.change_seen_by(|seen_by| seen_by.directed = directed);
        }
    }
}
