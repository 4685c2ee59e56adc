//! A room: its state, and which file deals with what happens to it.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use smol_str::SmolStr;

use super::activity::Activity;
use super::affiliation::Standing;
use super::extra::Extra;
use super::history::History;
use super::members::Members;
use super::occupants::{Occupant, Occupants, Seat};
use super::subject::Subject;
use super::{
    Actor, Affiliation, Effects, Input, Moment, Role, RoomConfig, RoomLimits, occupant_id,
};
use crate::jid::{BareJid, FullJid, Jid};
use crate::payload::datetime::Timestamp;
use crate::stanza::{Condition, ErrorKind, IqKind, Message, Stanza, StanzaError};
use crate::storage::{RoomOccupant, StoredRoom};

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
    /// Sessions that hear of changes of affiliations, and the version that each knows (XEP-0463). Not stored.
    pub(super) versioned: FxHashMap<Jid, i64>,
    /// Who has invited whom, the newest last. Not stored.
    pub(super) invited: VecDeque<(BareJid, BareJid)>,
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
            limits,
            secret,
        }
    }

    /// A room as it was stored, with those of its occupants for whom `is_there` holds. The others are gone:
    /// they are to be removed from the store.
    #[must_use]
    pub fn restore(
        jid: BareJid,
        stored: StoredRoom,
        limits: RoomLimits,
        secret: [u8; 32],
        is_there: impl Fn(&FullJid) -> bool,
    ) -> (Self, Vec<FullJid>) {
        let mut room = Self {
            config: RoomConfig::from_settings(&stored.settings),
            members: Members::new(stored.members),
            occupants: Occupants::default(),
            subject: Subject::from_stored(&jid, stored.subject.as_deref()),
            history: History::default(),
            activity: Activity::default(),
            extra: Extra::from_stored(stored.extra.as_deref()),
            versioned: FxHashMap::default(),
            invited: VecDeque::new(),
            created: stored.created,
            creator: stored.creator,
            jid,
            limits,
            secret,
        };
        let mut gone = Vec::new();
        for occupant in stored.occupants {
            if !is_there(&occupant.session) || !room.seat_again(&occupant) {
                gone.push(occupant.session);
            }
        }
        (room, gone)
    }

    /// What is stored of a new room.
    #[must_use]
    pub fn to_stored(&self) -> StoredRoom {
        StoredRoom {
            created: self.created,
            creator: self.creator.clone(),
            settings: self.config.to_settings(),
            subject: self.subject.to_stored(),
            extra: self.extra.to_stored(),
            members: self.members.since(0).into_iter().cloned().collect(),
            occupants: Vec::new(),
        }
    }

    /// Something happens. Returns what is to be done.
    ///
    /// # Errors
    /// What the sender is told. Then nothing has happened.
    pub fn apply(
        &mut self,
        now: &Moment,
        actor: &Actor,
        input: Input<'_>,
    ) -> Result<Effects, StanzaError> {
        let mut fx = Effects::default();
        match input {
            Input::Presence(presence) => self.presence(now, actor, presence, &mut fx)?,
            Input::Message(message) => self.message(now, actor, message, &mut fx)?,
            Input::Request(iq) => self.request(now, actor, iq, &mut fx)?,
            Input::Response(iq) => self.relay_response(actor, iq, &mut fx),
            // The service looks whether anybody is there.
            Input::Lost if self.occupants.is_empty() && !self.config.is_persistent => {
                fx.is_destroyed = true;
            }
            Input::Lost => self.lost(&actor.jid, &mut fx),
        }
        self.tell_affiliation_changes(&mut fx);
        self.end_if_empty(&mut fx);
        Ok(fx)
    }

    /// The last occupant of a temporary room may have gone: that ends it (XEP-0045 §7.14). A request does not.
    pub(super) fn end_if_empty(&self, fx: &mut Effects) {
        if self.occupants.is_empty() && !self.config.is_persistent && !fx.is_destroyed {
            fx.is_destroyed = !fx.change.gone.is_empty();
        }
    }

    /// A message to all was sent: newcomers get it, too. `id`: its id in the archive.
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

    /// Whether somebody reads the archive: whoever may enter now (XEP-0313 §7.2), without a password if it is
    /// an occupant. `Some` time: only what was written since then.
    ///
    /// # Errors
    /// `forbidden` for others.
    pub fn may_read_archive(&self, actor: &Actor) -> Result<Option<Timestamp>, StanzaError> {
        let affiliation = self.affiliation_of(actor);
        let is_in = self.occupants.of_user(&actor.user).next().is_some();
        let may_enter = affiliation != Affiliation::Outcast
            && (affiliation.is_member() || !self.config.members_only)
            && (affiliation.is_member() || is_in || self.config.password.is_none())
            && (affiliation == Affiliation::Owner || !self.config.locked);
        if !may_enter {
            return Err(Condition::Forbidden.text("only those who may enter read the archive"));
        }
        Ok(self.readable_since(actor))
    }

    /// Since when somebody may read, if the room shows members nothing from before they joined.
    pub(super) fn readable_since(&self, actor: &Actor) -> Option<Timestamp> {
        if !self.config.history_since_joined || self.affiliation_of(actor).is_admin() {
            return None;
        }
        let member = self.members.get(&actor.user).filter(|member| member.affiliation.is_member());
        Some(member.map_or(Timestamp::from_micros(i64::MAX), |member| member.since))
    }

    /// Whether somebody is told real addresses.
    #[must_use]
    pub fn sees_addresses(&self, actor: &Actor) -> bool {
        self.config.whois == super::Whois::Anyone
            || self.affiliation_of(actor).is_admin()
            || self.occupants.of_user(&actor.user).any(|occupant| occupant.role == Role::Moderator)
    }

    /// The affiliation of somebody. An administrator of the service counts as an owner.
    pub(super) fn affiliation_of(&self, actor: &Actor) -> Affiliation {
        match actor.is_service_admin {
            true => Affiliation::Owner,
            false => self.members.affiliation(&actor.user),
        }
    }

    /// The affiliation of an occupant, as others are told it.
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
        let role = Role::on_entry(affiliation, self.config.moderated);
        Occupant {
            nick: SmolStr::new(address.resource_part()),
            id: self.occupant_id(&actor.user),
            is_shown: self.is_to_be_shown(role),
            user: actor.user.clone(),
            seats: smallvec::smallvec![seat],
            spoke: None,
            asked_for_voice: None,
            address,
            role,
        }
    }

    /// The identifier of a user in this room (XEP-0421).
    #[must_use]
    pub fn occupant_id(&self, user: &BareJid) -> SmolStr {
        occupant_id::of(&self.secret, &self.jid, user)
    }

    /// Enters an occupant as it was stored. `false` if it cannot be read, or may not be there.
    fn seat_again(&mut self, stored: &RoomOccupant) -> bool {
        let Some((role, presence)) = super::show::read_stored(&stored.data) else { return false };
        let Ok(address) = self.jid.with_resource(&stored.nick) else { return false };
        let session = stored.session.clone().into_jid();
        let actor = Actor::new(session.clone(), false);
        if self.members.affiliation(&actor.user) == Affiliation::Outcast {
            return false;
        }
        let other = self.occupants.get(address.resource_part());
        if other.is_some_and(|other| other.user != actor.user) {
            return false;
        }
        let mut occupant = self.new_occupant(&actor, address, Seat::new(session, presence));
        occupant.role = role;
        occupant.is_shown = self.is_to_be_shown(role);
        self.occupants.add(occupant);
        true
    }

    fn request(
        &mut self,
        now: &Moment,
        actor: &Actor,
        iq: &crate::stanza::Iq,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        let payload = iq.payload().ok_or(Condition::BadRequest)?;
        if iq.head.to.as_ref().is_some_and(Jid::is_full) {
            return self.relay_request(actor, iq, fx);
        }
        match (payload.ns(), payload.name()) {
            (super::admin::NS, "query") => self.admin(now, actor, iq.kind, &payload, fx),
            (super::owner::NS, "query") => self.owner(now, actor, iq.kind, &payload, fx),
            (crate::ns::REGISTER, "query") => self.register(now, actor, iq.kind, &payload, fx),
            (super::moderation::NS, "moderate") if iq.kind == IqKind::Set => {
                self.moderate(now, actor, &payload, fx)
            }
            (crate::ns::FASTEN, "apply-to") if iq.kind == IqKind::Set => {
                self.moderate_0(now, actor, &payload, fx)
            }
            _ => self.other_request(now, actor, iq, fx),
        }
    }

    /// Members who are not in the room, at most `max`.
    #[must_use]
    pub fn absent_members(&self, max: usize) -> Vec<BareJid> {
        let is_absent = |user: &&BareJid| self.occupants.of_user(user).next().is_none();
        self.members.users().filter(is_absent).take(max).cloned().collect()
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

/// A stanza that is shared.
pub(super) fn shared(message: Message) -> Arc<Stanza> {
    Arc::new(Stanza::Message(message))
}
