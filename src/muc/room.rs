//! A room: its state, and questions about it. Its inputs are handled in `apply.rs`.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use smol_str::SmolStr;

use super::activity::Activity;
use super::affiliation::Standing;
use super::challenges::Challenges;
use super::extra::Extra;
use super::history::History;
use super::invited::Invited;
use super::members::Members;
use super::occupants::{Occupant, Occupants, Seat};
use super::open_requests::OpenRequests;
use super::sent_private_messages::SentPrivateMessages;
use super::subject::Subject;
use super::{Actor, Affiliation, Role, RoomConfig, RoomLimits, occupant_id};
use crate::jid::{BareJid, FullJid, Jid};
use crate::payload::datetime::Timestamp;
use crate::stanza::{Condition, ErrorKind, Message, StanzaError};

/// A room (XEP-0045), as one value. Nothing in it reads a clock, a socket or a table.
#[derive(Clone, Debug)]
pub struct Room {
    pub(super) jid: BareJid,
    pub(super) created: Timestamp,
    pub(super) creator: BareJid,
    pub(super) config: RoomConfig,
    pub(super) members: Members,
    pub(super) occupants: Occupants,
    pub(super) subject: Subject,
    pub(super) history: History,
    pub(super) activity: Activity,
    pub(super) extra: Extra,
    /// Sessions that are sent changes of affiliations, and the version that each has (XEP-0463). Not stored.
    pub(super) versioned: FxHashMap<Jid, i64>,
    /// Who has invited whom, the newest last. Not stored.
    pub(super) invited: VecDeque<Invited>,
    /// Not stored.
    pub(super) challenges: Challenges,
    /// When users last wrote to all, in slow mode (XEP-0500). Not stored.
    pub(super) spoke: FxHashMap<BareJid, Timestamp>,
    /// Not stored, either.
    pub(super) private_messages: SentPrivateMessages,
    /// Not stored: what is open when the server restarts gets no answer.
    pub(super) open_requests: OpenRequests,
    pub(super) limits: RoomLimits,
    /// The secret of the server, from which identifiers of occupants are made.
    pub(super) secret: [u8; 32],
}

impl Room {
    /// A new room: its creator owns it (XEP-0045 §10.1).
    #[must_use]
    pub fn new(
        jid: BareJid,
        creator: BareJid,
        config: RoomConfig,
        limits: RoomLimits,
        secret: [u8; 32],
        at: Timestamp,
    ) -> Self {
        let mut members = Members::default();
        members.set(&creator, Affiliation::Owner, None, at);
        Self {
            jid,
            created: at,
            creator,
            config,
            members,
            occupants: Occupants::default(),
            subject: Subject::default(),
            history: History::default(),
            activity: Activity::default(),
            extra: Extra::default(),
            versioned: FxHashMap::default(),
            invited: VecDeque::new(),
            challenges: Challenges::default(),
            spoke: FxHashMap::default(),
            private_messages: SentPrivateMessages::default(),
            open_requests: OpenRequests::default(),
            limits,
            secret,
        }
    }

    /// Sets other limits. Occupants, members and messages beyond them stay.
    pub fn set_limits(&mut self, limits: RoomLimits) {
        self.limits = limits;
    }

    /// The bounds.
    #[must_use]
    pub fn limits(&self) -> &RoomLimits {
        &self.limits
    }

    /// Adds a groupchat message that was sent to the history. `id`: its id in the archive.
    pub fn note_published(&mut self, message: &Message, at: Timestamp, id: Option<String>) {
        self.activity.note(message, at);
        self.history.add(&self.jid, message, at, id, &self.limits);
    }

    /// The address.
    #[must_use]
    pub fn jid(&self) -> &BareJid {
        &self.jid
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &RoomConfig {
        &self.config
    }

    /// How many occupants there are.
    #[must_use]
    pub fn occupants(&self) -> usize {
        self.occupants.len()
    }

    /// The sessions of all occupants.
    pub fn sessions(&mut self) -> Arc<[Jid]> {
        self.occupants.sessions()
    }

    /// Whether a user may read the archive: one who may enter now may (XEP-0313 §7.2); an occupant needs no password.
    /// `Some` time: only messages since then.
    ///
    /// # Errors
    /// `forbidden` for others.
    pub fn may_read_archive(&self, actor: &Actor) -> Result<Option<Timestamp>, StanzaError> {
        let affiliation = self.affiliation_of(actor);
        let is_in = self.occupants.of_user(&actor.user).next().is_some();
        let may_enter = affiliation != Affiliation::Outcast
            && (affiliation.is_member() || !self.config.members_only)
            && (affiliation.is_member() || is_in || self.config.password.is_none())
            && (affiliation.is_member() || is_in || self.has_answered(&actor.user))
            && (affiliation == Affiliation::Owner || !self.config.locked);
        if !may_enter {
            return Err(Condition::Forbidden.text("only those who may enter read the archive"));
        }
        Ok(self.readable_since(actor))
    }

    /// Since when a user may read, if members of the room may not read messages from before they became members.
    pub(super) fn readable_since(&self, actor: &Actor) -> Option<Timestamp> {
        if !self.config.history_since_joined || self.affiliation_of(actor).is_admin() {
            return None;
        }
        let member = self.members.get(&actor.user).filter(|member| member.affiliation.is_member());
        Some(member.map_or(Timestamp::from_micros(i64::MAX), |member| member.since))
    }

    /// The affiliation of somebody. An administrator of the service counts as an owner.
    pub(super) fn affiliation_of(&self, actor: &Actor) -> Affiliation {
        match actor.is_service_admin {
            true => Affiliation::Owner,
            false => self.members.affiliation(&actor.user),
        }
    }

    /// The affiliation of an occupant, as it is broadcast.
    pub(super) fn affiliation_of_occupant(&self, occupant: &Occupant) -> Affiliation {
        self.members.affiliation(&occupant.user)
    }

    /// The occupant whose session has sent a stanza.
    ///
    /// # Errors
    /// `not-acceptable`: it is not in the room (XEP-0045 §7.4, §7.5).
    pub(super) fn occupant(&self, actor: &Actor) -> Result<&Occupant, StanzaError> {
        self.occupants.of_session(&actor.jid).ok_or_else(not_in_room)
    }

    /// What a user is in the room, whichever session asks (XEP-0045 §8).
    pub(super) fn standing(&self, actor: &Actor) -> Standing {
        let role = self.occupants.of_user(&actor.user).map(|occupant| occupant.role).max();
        Standing { affiliation: self.affiliation_of(actor), role: role.unwrap_or(Role::None) }
    }

    /// A new occupant with this nickname.
    pub(super) fn new_occupant(&self, actor: &Actor, address: FullJid, seat: Seat) -> Occupant {
        let affiliation = self.affiliation_of(actor);
        let role = self.role_on_entry(&actor.user, affiliation);
        Occupant {
            nick: SmolStr::new(address.resource_part()),
            id: self.occupant_id(&actor.user),
            is_shown: self.is_to_be_shown(role),
            user: actor.user.clone(),
            seats: smallvec::smallvec![seat],
            asked_for_voice: None,
            is_service_admin: actor.is_service_admin,
            address,
            role,
        }
    }

    /// The identifier of a user in this room (XEP-0421).
    #[must_use]
    pub fn occupant_id(&self, user: &BareJid) -> SmolStr {
        occupant_id::of(&self.secret, &self.jid, user)
    }

    /// Members, admins and owners who are not in the room, in no order, which is the same each time.
    pub fn absent_members(&self) -> impl Iterator<Item = &BareJid> {
        let is_absent = |user: &&BareJid| self.occupants.of_user(user).next().is_none();
        self.members.users().filter(is_absent)
    }

    /// All users in the room, each once, with a nickname that the user has there; most have one. In no order, which is the
    /// same each time.
    pub fn present_users(&self) -> impl Iterator<Item = (&BareJid, &str)> {
        self.occupants.users()
    }

    /// All different users in the room.
    #[must_use]
    pub fn users(&self) -> FxHashSet<BareJid> {
        self.occupants.iter().map(|occupant| occupant.user.clone()).collect()
    }
}

/// The error for somebody who is not in the room (XEP-0045 §7.4).
pub(super) fn not_in_room() -> StanzaError {
    Condition::NotAcceptable.text("only occupants may do this").kind(ErrorKind::Modify)
}

#[cfg(test)]
mod tests {
    use crate::muc::RoomLimits;
    use crate::muc::tests::Coven;

    #[test]
    fn other_limits_hold_from_then_on() {
        let mut coven = Coven::new();
        coven.enter("hecate", "hecate").unwrap();
        coven.room.set_limits(RoomLimits { occupants: 4, ..RoomLimits::default() });
        let full = coven.enter("banquo", "banquo").unwrap_err();
        assert_eq!(full.condition.as_str(), "service-unavailable");
        coven.room.set_limits(RoomLimits::default());
        coven.enter("banquo", "banquo").unwrap();
    }
}
