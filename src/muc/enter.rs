//! Somebody enters a room, or changes its presence in it (XEP-0045 §7.2, §7.6, §7.7).

use super::affiliation_versions::AskedVersion;
use super::history::Wanted;
use super::leave::has_error;
use super::nick::checked;
use super::occupants::{Seat, cleaned, is_same};
use super::presence_broadcast::{Details, item, no_presence, status};
use super::{Actor, Affiliation, Effects, Moment, Room, Whois, says_gone};
use crate::jid::FullJid;
use crate::ns;
use crate::stanza::{Condition, ErrorKind, Presence, PresenceKind, Stanza, StanzaError};
use crate::xml::{Node, element};

impl Room {
    /// Presence of any kind comes to an occupant, or to the room.
    pub(super) fn presence(
        &mut self,
        now: &Moment,
        actor: &Actor,
        presence: Presence,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        let is_in = self.occupants.of_session(&actor.jid).is_some();
        match presence.kind {
            PresenceKind::Available if presence.content.size() > self.limits.presence_bytes => {
                return Err(Condition::PolicyViolation
                    .text("this presence is too large")
                    .kind(ErrorKind::Modify));
            }
            PresenceKind::Available => {
                let Some(address) = presence.head.to.as_ref().and_then(|to| to.to_full()) else {
                    // XEP-0045 §7.2.1: no nickname.
                    return Err(Condition::JidMalformed.text("a nickname is missing"));
                };
                let address = checked(&address, &self.limits)?;
                match self.occupants.of_session(&actor.jid).map(|o| o.address == address) {
                    None if !presence.enters_room() => self.tell_not_in_room(actor, &address, fx),
                    None => self.enter(now, actor, address, presence, fx)?,
                    Some(true) => self.update(now, actor, presence, &[], fx),
                    Some(false) => self.change_nick(now, actor, &address, presence, fx)?,
                }
            }
            PresenceKind::Unavailable if is_in => self.leave(actor, presence, &[], fx),
            // Presence that the room has sent on has come back (XEP-0045 §18.1.2), or a client says without a reason that
            // it is in error.
            PresenceKind::Error
                if is_in && (says_gone(&presence.content) || !has_error(&presence.content)) =>
            {
                self.lost(&actor.jid, fx);
            }
            // A room ignores such presence of somebody who is not an occupant (XEP-0045 §17.3).
            _ => {}
        }
        Ok(())
    }

    /// Handles the presence of a user who wants to enter (XEP-0045 §7.2).
    pub(super) fn enter(
        &mut self,
        now: &Moment,
        actor: &Actor,
        address: FullJid,
        presence: Presence,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        let x = presence.content.received_child(ns::MUC, "x");
        let password = x.and_then(|x| x.child(ns::MUC, "password"));
        let password = password.map(|password| password.text().into_owned());
        let wanted = x.map(|x| Wanted::read(&x, now.at)).unwrap_or_default();
        let version = x.and_then(|x| AskedVersion::read(&x));
        let is_new = self.config.locked && self.occupants.is_empty() && self.is_creator(actor);
        let by_token = self.comes_by_token(now, actor, password.as_deref())?;
        self.may_enter(actor, password.as_deref(), by_token)?;
        if !by_token && self.challenge(now, actor, (&address, &presence), password.as_deref(), fx) {
            return Ok(());
        }
        let asked = address.resource_part().to_owned();
        let address = self.nick_for(actor, address)?;
        if by_token {
            self.spend_token(now, &actor.user, password.as_deref(), fx);
        }
        self.challenges.forget(&actor.jid);
        let seat = Seat::new(actor.jid.clone(), presence);
        let occupant = self.new_occupant(actor, address, seat);
        let nick = occupant.nick.clone();
        self.occupants.add(occupant);
        let mav = self.tell_affiliations(actor, version, fx);
        let Some(occupant) = self.occupants.get(&nick) else { return Ok(()) };
        let Some(seat) = occupant.seat(&actor.jid) else { return Ok(()) };
        fx.change.occupants.extend(Self::stored_occupant(occupant, seat));
        let mut own_codes = self.codes_on_entry();
        own_codes.extend(is_new.then_some(201));
        own_codes.extend((asked != nick).then_some(210));
        let details = Details { own_codes: &own_codes, mav, ..Details::default() };
        self.welcome(actor, &nick, true, &details, wanted, fx);
        Ok(())
    }

    /// Sends a session that enters, or enters again, all that a newcomer gets, in the order of XEP-0045 §7.1: the
    /// presence of the others, its own with these details, history, and subject. If its presence `is_news`, the others
    /// get it.
    pub(super) fn welcome(
        &mut self,
        actor: &Actor,
        nick: &str,
        is_news: bool,
        details: &Details<'_>,
        wanted: Wanted,
        fx: &mut Effects,
    ) {
        let Some(occupant) = self.occupants.get(nick) else { return };
        let Some(seat) = occupant.seat(&actor.jid) else { return };
        let available = PresenceKind::Available;
        self.send_existing_presence(occupant, &actor.jid, fx);
        if is_news && occupant.is_shown {
            self.broadcast_to_others(occupant, seat, available, &Details::default(), fx);
        }
        let others = occupant.sessions().filter(|session| **session != actor.jid);
        let others: Vec<_> = others.cloned().collect();
        if is_news && !others.is_empty() {
            self.send_self_presence(occupant, seat, available, &Details::default(), others, fx);
        }
        self.send_self_presence(occupant, seat, available, details, vec![actor.jid.clone()], fx);
        self.send_history_and_subject(actor, wanted, fx);
    }

    /// Status codes for every newcomer: whether the room is non-anonymous, and whether it is logged in public
    /// (XEP-0045 §7.2.3, §7.2.12).
    pub(super) fn codes_on_entry(&self) -> Vec<u16> {
        let anyone = (self.config.whois == Whois::Anyone).then_some(100);
        let logged = self.config.public_logging.then_some(170);
        anyone.into_iter().chain(logged).collect()
    }

    /// Sends a newcomer the hash of the room's avatar, if there is one, the history, and then the subject
    /// (XEP-0045 §7.2.13, §7.2.15).
    fn send_history_and_subject(&mut self, actor: &Actor, wanted: Wanted, fx: &mut Effects) {
        if self.photo().is_some() {
            fx.tell(&actor.jid, self.photo_presence());
        }
        let since = self.readable_since(actor);
        for past in self.history.of(&actor.jid, wanted, self.config.max_history as usize, since) {
            fx.tell_all(std::sync::Arc::new([actor.jid.clone()]), past);
        }
        fx.tell(&actor.jid, Stanza::Message(self.subject.message(&self.jid)));
    }

    /// Whether somebody may enter. `by_token`: a member has invited it (XEP-0488), so it needs no password.
    fn may_enter(
        &self,
        actor: &Actor,
        password: Option<&str>,
        by_token: bool,
    ) -> Result<(), StanzaError> {
        let affiliation = self.affiliation_of(actor);
        if affiliation == Affiliation::Outcast {
            return Err(Condition::Forbidden.text("you are banned from this room"));
        }
        if self.config.locked && affiliation != Affiliation::Owner {
            return Err(Condition::ItemNotFound.text("this room is being made"));
        }
        if self.config.members_only && !affiliation.is_member() && !by_token {
            return Err(Condition::RegistrationRequired.text("only members may enter"));
        }
        if let Some(wanted) = &self.config.password
            && password != Some(wanted)
            && !by_token
        {
            return Err(Condition::NotAuthorized.text("a password is required"));
        }
        let most = self
            .config
            .max_users
            .map_or(self.limits.occupants, |most| self.limits.occupants.min(most as usize));
        let more = if affiliation.is_admin() { most / 10 + 10 } else { 0 };
        let is_new = self.occupants.of_user(&actor.user).next().is_none();
        if is_new && self.occupants.len() >= most + more {
            // XEP-0045 §7.2.9 wants this type.
            return Err(Condition::ServiceUnavailable
                .text("the room is full")
                .kind(ErrorKind::Wait));
        }
        if self.occupants.sessions_of_user(&actor.user) >= self.limits.sessions_of_user {
            return Err(Condition::ResourceConstraint.text("too many of your sessions are here"));
        }
        Ok(())
    }

    /// Handles presence that an occupant sends again (XEP-0045 §7.7). If it asks to enter, it has lost its state, and gets
    /// everything that a newcomer gets (§7.2.1).
    pub(super) fn update(
        &mut self,
        now: &Moment,
        actor: &Actor,
        presence: Presence,
        own_codes: &[u16],
        fx: &mut Effects,
    ) {
        let x = presence.content.received_child(ns::MUC, "x");
        let wanted = x.map(|x| Wanted::read(&x, now.at));
        let version = x.and_then(|x| AskedVersion::read(&x));
        let Some(occupant) = self.occupants.of_session(&actor.jid) else { return };
        let nick = occupant.nick.clone();
        let priority = presence.priority();
        let presence = cleaned(presence);
        let mut is_other = true;
        self.occupants.change(&nick, |occupant| {
            occupant.is_service_admin = actor.is_service_admin;
            if let Some(seat) = occupant.seats.iter_mut().find(|s| s.session == actor.jid) {
                is_other = !is_same(&seat.presence, &presence);
                (seat.presence, seat.priority) = (presence, priority);
            }
        });
        // A plain change of presence asks for nothing.
        let mav = wanted.and_then(|_| self.tell_affiliations(actor, version, fx));
        let Some(occupant) = self.occupants.get(&nick) else { return };
        let Some(seat) = occupant.seat(&actor.jid) else { return };
        if is_other {
            fx.change.occupants.extend(Self::stored_occupant(occupant, seat));
        }
        let Some(wanted) = wanted else {
            let details = Details { own_codes, ..Details::default() };
            return self.broadcast_presence(occupant, seat, PresenceKind::Available, &details, fx);
        };
        let mut codes = self.codes_on_entry();
        codes.extend(own_codes);
        let details = Details { own_codes: &codes, mav, ..Details::default() };
        self.welcome(actor, &nick, is_other, &details, wanted, fx);
    }

    /// Tells a client that it is not in the room (XEP-0045 §7.2.17).
    pub(super) fn tell_not_in_room(&self, actor: &Actor, address: &FullJid, fx: &mut Effects) {
        fx.tell(
            &actor.jid,
            Stanza::Presence(not_in_room_presence(self.affiliation_of(actor), address)),
        );
    }

    fn is_creator(&self, actor: &Actor) -> bool {
        self.creator == actor.user
    }
}

/// The presence for a client that believes that it is in the room, and is not (XEP-0045 §7.2.17).
#[must_use]
pub fn not_in_room_presence(affiliation: Affiliation, address: &FullJid) -> Presence {
    let reason: Node = element("reason").text("You are not in the room.");
    let item = item(affiliation, Some(super::Role::None)).child(reason);
    let x = element("x").ns(ns::MUC_USER).child(item);
    let x = [110, 307, 333].into_iter().fold(x, |x, code| x.child(status(code)));
    let mut presence = no_presence();
    presence.head.from = Some(address.clone().into_jid());
    presence.content.add(&x);
    presence
}
