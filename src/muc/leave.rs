//! An occupant leaves, or is made to leave (XEP-0045 §7.14).

use smol_str::SmolStr;

use super::occupants::{Occupant, Seat, cleaned, is_same};
use super::show::{Told, no_presence};
use super::{Actor, Effects, Room};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{Content, Presence, PresenceKind};
use crate::xml::element;

impl Room {
    /// Whether a session is in the room.
    #[must_use]
    pub fn has_session(&self, session: &Jid) -> bool {
        self.occupants.of_session(session).is_some()
    }

    /// The nickname of the user whose session this is, if it is in the room.
    #[must_use]
    pub fn nick_of(&self, session: &Jid) -> Option<SmolStr> {
        self.occupants.of_session(session).map(|occupant| occupant.nick.clone())
    }

    /// The sessions of all occupants for whose domains `which` holds.
    #[must_use]
    pub fn sessions_at(&self, which: impl Fn(&str) -> bool) -> Vec<Jid> {
        let sessions = self.occupants.iter().flat_map(Occupant::sessions);
        sessions.filter(|session| which(session.domain())).cloned().collect()
    }

    /// A session leaves with this presence.
    pub(super) fn leave(&mut self, actor: &Actor, presence: Presence, fx: &mut Effects) {
        let occupant = self.occupants.of_session(&actor.jid);
        let is_last = self.occupants.len() == 1 && occupant.is_some_and(|o| o.seats.len() == 1);
        // A room that its owner has not configured ends with this (§10.1.3).
        fx.is_destroyed = self.config.locked && is_last;
        let destroy = fx.is_destroyed.then(|| element("destroy"));
        let told = Told { destroy, ..Told::default() };
        self.remove_seat(&actor.jid, cleaned(presence), &told, fx);
    }

    /// A session cannot be reached any more: the others are told that it is gone for a technical reason
    /// (status 333, XEP-0045 §12.1).
    pub(super) fn lost(&mut self, session: &Jid, fx: &mut Effects) {
        let told = Told { codes: &[333], ..Told::default() };
        self.remove_seat(session, no_presence(), &told, fx);
    }

    /// Removes one session. If the occupant has others, it stays: the others are shown its presence there.
    fn remove_seat(
        &mut self,
        session: &Jid,
        presence: Presence,
        told: &Told<'_>,
        fx: &mut Effects,
    ) {
        let left = self.occupants.of_session(session).and_then(|occupant| occupant.seat(session));
        let left = left.map(|seat| seat.presence.clone());
        let Some((occupant, is_last)) = self.occupants.remove_session(session) else { return };
        fx.change.gone.extend(session.to_full());
        let seat = Seat { session: session.clone(), presence, priority: 0 };
        let unavailable = PresenceKind::Unavailable;
        if is_last {
            return self.show(&occupant, &seat, unavailable, told, fx);
        }
        self.show_self(&occupant, &seat, unavailable, told, vec![session.clone()], fx);
        // If the presence of the session that stays is the same, the others see no difference.
        let is_other =
            |best: &&Seat| left.as_ref().is_none_or(|left| !is_same(left, &best.presence));
        if let Some(best) = occupant.best().filter(is_other) {
            self.show(&occupant, best, PresenceKind::Available, &Told::default(), fx);
        }
    }

    /// Removes an occupant with all its sessions: it was kicked or banned, or lost its membership.
    pub(super) fn remove_occupant(&mut self, nick: &str, told: &Told<'_>, fx: &mut Effects) {
        let Some(occupant) = self.occupants.remove(nick) else { return };
        self.show_removed(&occupant, told, fx);
    }

    /// Shows that an occupant is gone, which was removed already.
    pub(super) fn show_removed(&self, occupant: &Occupant, told: &Told<'_>, fx: &mut Effects) {
        let gone = occupant.sessions().filter_map(Jid::to_full);
        fx.change.gone.extend(gone);
        let Some(best) = occupant.best() else { return };
        let seat = Seat::new(best.session.clone(), no_presence());
        self.show(occupant, &seat, PresenceKind::Unavailable, told, fx);
    }
}

/// Whether the content of an error that was received says that the session to which a stanza was sent is gone.
#[must_use]
pub fn says_gone(content: &Content) -> bool {
    let Some(error) = content.received_child(ns::CLIENT, "error") else { return false };
    error
        .children()
        .any(|condition| condition.ns() == ns::STANZA_ERRORS && LOST.contains(&condition.name()))
}

/// Errors that say that a session is gone (XEP-0045 §16.1.2, and `service-unavailable`, which is what servers
/// say of a session that is gone, RFC 6121 §8.5.3.2.1).
const LOST: &[&str] = &[
    "gone",
    "item-not-found",
    "recipient-unavailable",
    "redirect",
    "remote-server-not-found",
    "remote-server-timeout",
    "service-unavailable",
    "jid-malformed",
];
