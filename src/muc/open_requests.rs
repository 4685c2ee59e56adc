//! Requests that the room has passed on to occupants, and that nobody has answered yet. Each gets one answer
//! (RFC 6120 §8.2.3).

use std::collections::VecDeque;

use smol_str::SmolStr;

use crate::jid::{BareJid, FullJid, Jid};
use crate::payload::datetime::Timestamp;

/// A request that is to be answered.
#[derive(Clone, Debug)]
pub(super) struct OpenRequest {
    /// The id with which it was passed on.
    pub(super) id: SmolStr,
    /// The id that the asker chose.
    pub(super) asked_with: SmolStr,
    /// The session that has sent it, and its occupant address.
    pub(super) asker: Jid,
    pub(super) from: FullJid,
    /// The occupant address to which it was sent.
    pub(super) asked: FullJid,
    /// Where the request went: a session, or an account.
    pub(super) to: Jid,
    pub(super) at: Timestamp,
}

impl OpenRequest {
    fn is_overdue(&self, now: Timestamp) -> bool {
        now.as_micros() >= self.at.as_micros().saturating_add(PATIENCE_MICROS)
    }
}

/// All of them, the oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenRequests(VecDeque<OpenRequest>);

impl OpenRequests {
    /// Whether a session may ask one more.
    pub(super) fn has_room_for(&self, asker: &Jid, now: Timestamp) -> bool {
        let waiting = || self.0.iter().filter(|open| !open.is_overdue(now));
        let own = waiting().filter(|open| open.asker == *asker).count();
        waiting().count() < MOST && own < MOST_OF_SESSION
    }

    pub(super) fn add(&mut self, request: OpenRequest) {
        self.0.push_back(request);
    }

    /// The request that `responder` answers with this id, to the address from which it was asked. It is no longer open.
    pub(super) fn answered(
        &mut self,
        responder: &BareJid,
        id: &str,
        to: &Jid,
    ) -> Option<OpenRequest> {
        let is_it = |open: &OpenRequest| {
            open.id == id && *open.from == *to && open.to.bare_str() == responder.as_str()
        };
        let place = self.0.iter().position(is_it)?;
        self.0.remove(place)
    }

    /// Whether one has waited too long.
    pub(super) fn has_overdue(&self, now: Timestamp) -> bool {
        self.0.front().is_some_and(|open| open.is_overdue(now))
    }

    /// Those that have waited too long. They are no longer open.
    pub(super) fn overdue(&mut self, now: Timestamp) -> Vec<OpenRequest> {
        if !self.has_overdue(now) {
            return Vec::new();
        }
        self.take(|open| open.is_overdue(now))
    }

    /// Those for which this holds. They are no longer open.
    pub(super) fn take(&mut self, which: impl Fn(&OpenRequest) -> bool) -> Vec<OpenRequest> {
        let all = std::mem::take(&mut self.0).into_iter();
        let (taken, left): (Vec<OpenRequest>, Vec<OpenRequest>) = all.partition(|open| which(open));
        self.0 = left.into();
        taken
    }
}

/// Requests that are open at once, at most; of one session. Clients ask all occupants of a room for their cards.
const MOST: usize = 1024;
const MOST_OF_SESSION: usize = 256;
/// How long an answer may take: two minutes.
const PATIENCE_MICROS: i64 = 2 * 60 * 1_000_000;
