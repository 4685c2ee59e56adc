//! What others see of the presence of a session (RFC 6121 §4), and what other tasks than its owner note of it: that it
//! has ended, that a contact has gone, what a client has answered.

use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::interests::Interests;
use super::session_ref::SessionRef;
use crate::jid::Jid;
use crate::stanza::Presence;

impl SessionRef {
    /// Its last available presence, if it is available.
    #[must_use]
    pub fn available(&self) -> Option<Arc<Presence>> {
        self.presence().lock().available.clone()
    }

    /// Its priority; `None` if it is not available.
    #[must_use]
    pub fn priority(&self) -> Option<i8> {
        let state = self.presence().lock();
        state.available.as_ref().map(|_| state.priority)
    }

    /// Somebody sees its presence: it is available, or has sent directed presence.
    #[must_use]
    pub fn is_seen(&self) -> bool {
        let state = self.presence().lock();
        state.available.is_some() || state.directed().next().is_some()
    }

    /// It has sent its presence to `other`, or to the account of `other`, and has not taken it back
    /// (RFC 6121 §4.6.6).
    #[must_use]
    pub fn is_shown_to(&self, other: &Jid) -> bool {
        let state = self.presence().lock();
        state.seen_by().is_some_and(|seen_by| {
            seen_by.directed.contains(other) || seen_by.directed.contains(other.bare_str())
        })
    }

    /// It has sent directed presence to this bare address, or to a resource of it: it has entered that room
    /// (XEP-0045 §7.2).
    #[must_use]
    pub fn has_directed_to(&self, bare: &str) -> bool {
        let state = self.presence().lock();
        state.directed().any(|known| known.bare_str() == bare)
    }

    /// Somebody at this bare address knows that the session is there: by directed presence, also to a
    /// resource (a user enters a room by the address of an occupant, XEP-0045 §7.2), or by a request.
    #[must_use]
    pub fn is_known_at(&self, other: &Jid) -> bool {
        let bare = other.bare_str();
        let state = self.presence().lock();
        state.seen_by().is_some_and(|seen_by| {
            seen_by.directed.contains(other)
                || seen_by.directed.iter().any(|known| known.bare_str() == bare)
                || seen_by.asked.contains(bare)
        })
    }

    /// Replaces its available presence, if it is still the one that is known. `false` if its client has sent another
    /// one, or is not available any more.
    pub fn replace_available(&self, known: &Arc<Presence>, new: Arc<Presence>) -> bool {
        let mut state = self.presence().lock();
        match &mut state.available {
            Some(available) if Arc::ptr_eq(available, known) => {
                *available = new;
                true
            }
            _ => false,
        }
    }

    /// It is no longer available. Answers the addresses that have its directed presence.
    pub fn set_unavailable(&self) -> FxHashSet<Jid> {
        let mut state = self.presence().lock();
        state.available = None;
        state.interests = None;
        state.take_directed()
    }

    /// `to` has the directed presence of an older session with the same address, which has ended. `true` if `to`
    /// sees this session instead: it has sent directed presence there, too, or to another address of the same room or
    /// account. Then `to` is remembered, and told when this session goes.
    pub fn inherit_directed(&self, to: &Jid) -> bool {
        let mut state = self.presence().lock();
        let bare = to.bare_str();
        let is_seen = state.directed().any(|known| known.bare_str() == bare);
        if is_seen {
            state.change_seen_by(|seen_by| seen_by.directed.insert(to.clone()));
        }
        is_seen
    }

    /// `to` has been told that the session is unavailable, or is told by a broadcast.
    pub fn remove_directed(&self, to: &Jid) {
        self.presence().lock().change_seen_by(|seen_by| seen_by.directed.remove(to));
    }

    /// The addresses that have its directed presence.
    #[must_use]
    pub fn directed(&self) -> Vec<Jid> {
        self.presence().lock().directed().cloned().collect()
    }

    /// Whether its client wants to hear of changes of this node (XEP-0163 §4.3.3). `false` before its
    /// interests are known, and while it is not available.
    #[must_use]
    pub fn wants(&self, node: &str) -> bool {
        let state = self.presence().lock();
        state.interests.as_ref().is_some_and(|interests| interests.has(node))
    }

    /// Its interests; `None` if it has told none, or is not available.
    #[must_use]
    pub fn interests(&self) -> Option<Arc<Interests>> {
        self.presence().lock().interests.clone()
    }

    /// Sets its interests. Of `modules/capabilities.rs`, which tells
    /// [`Event::InterestsChanged`](crate::host::lifecycle::Event::InterestsChanged).
    pub fn set_interests(&self, interests: Option<Arc<Interests>>) {
        self.presence().lock().interests = interests;
    }

    /// Sets its interests if they are still `old`, this very value. `false` if they are not: its client has
    /// sent another hash, or is not available any more.
    pub fn replace_interests(&self, old: &Arc<Interests>, new: Option<Arc<Interests>>) -> bool {
        let mut state = self.presence().lock();
        let is_same = state.interests.as_ref().is_some_and(|is| Arc::ptr_eq(is, old));
        if is_same {
            state.interests = new;
        }
        is_same
    }
}
