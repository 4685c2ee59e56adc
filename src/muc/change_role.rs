//! Roles are given and taken: voice, moderators, kicks (XEP-0045 §8.2 to §8.5, §9.6 to §9.8).

use smol_str::SmolStr;

use super::affiliation::{Standing, may_change_role};
use super::cause::Cause;
use super::leave::KICKED;
use super::occupants::{Occupant, Seat};
use super::presence_broadcast::{Details, no_presence};
use super::{Actor, Effects, Role, Room};
use crate::stanza::{Condition, PresenceKind, StanzaError};

/// A role for an occupant. [`Role::None`] kicks it.
#[derive(Clone, Debug)]
pub(super) struct RoleChange {
    /// Prepared.
    pub(super) nick: SmolStr,
    pub(super) role: Role,
    pub(super) reason: Option<String>,
}

impl Room {
    /// Whether somebody may give this role.
    ///
    /// # Errors
    /// `forbidden` if the actor is no moderator, `item-not-found` if nobody has the nickname, `not-allowed` if the
    /// affiliation of the occupant is too high.
    pub(super) fn check_role(&self, actor: &Actor, change: &RoleChange) -> Result<(), StanzaError> {
        let by = self.standing(actor);
        if by.role != Role::Moderator && !by.affiliation.is_admin() {
            return Err(Condition::Forbidden.text("only moderators change roles"));
        }
        let occupant = self.occupants.get(&change.nick).ok_or_else(no_such_occupant)?;
        if occupant.user == actor.user && change.role == Role::None {
            // An occupant may leave, so it may kick itself, too (§8.2).
            return Ok(());
        }
        let affiliation = self.affiliation_of_occupant(occupant);
        may_change_role(by, Standing { affiliation, role: occupant.role }, change.role)
    }

    /// Gives a role, which was checked.
    pub(super) fn apply_role(&mut self, by: &Cause, change: &RoleChange, fx: &mut Effects) {
        let kick: &[u16] = &[KICKED];
        let details = Details {
            codes: if change.role == Role::None { kick } else { &[] },
            actor: by.nick.as_deref(),
            reason: change.reason.as_deref(),
            ..Details::default()
        };
        let user = self.occupants.get(&change.nick).map(|occupant| occupant.user.clone());
        if let Some(user) = user {
            self.keep_role(&user, change.role, fx);
        }
        match change.role {
            Role::None => self.remove_occupant(&change.nick, &details, fx),
            role => self.set_role(&change.nick, role, &details, fx),
        }
    }

    /// Gives an occupant a role, and broadcasts that. Nothing happens if it has the role already.
    pub(super) fn set_role(
        &mut self,
        nick: &str,
        role: Role,
        details: &Details<'_>,
        fx: &mut Effects,
    ) {
        if self.occupants.get(nick).is_some_and(|occupant| occupant.role != role) {
            self.broadcast_with_role(nick, role, details, fx);
        }
    }

    /// Gives an occupant a role, and broadcasts its presence. Its role or its affiliation is new.
    pub(super) fn broadcast_with_role(
        &mut self,
        nick: &str,
        role: Role,
        details: &Details<'_>,
        fx: &mut Effects,
    ) {
        let Some(occupant) = self.occupants.get(nick) else { return };
        let (was_shown, saw_addresses) = (occupant.is_shown, self.sees_real_addresses(occupant));
        let is_shown = self.is_still_shown(was_shown, role);
        self.occupants.change(nick, |occupant| {
            (occupant.role, occupant.is_shown) = (role, is_shown);
        });
        let Some(occupant) = self.occupants.get(nick) else { return };
        for seat in &occupant.seats {
            fx.change.occupants.extend(Self::stored_occupant(occupant, seat));
        }
        let Some(best) = occupant.best() else { return };
        if was_shown && !is_shown {
            self.hide(occupant, best, fx);
        }
        self.broadcast_presence(occupant, best, PresenceKind::Available, details, fx);
        if !saw_addresses && self.sees_real_addresses(occupant) {
            // A moderator learns the real addresses of all by their presence (§8).
            for session in occupant.sessions() {
                self.send_existing_presence(occupant, session, fx);
            }
        }
    }

    /// After a change of the configuration: decides anew whose presence is broadcast, and sends the difference.
    pub(super) fn rebroadcast_presence(&mut self, fx: &mut Effects) {
        let all: Vec<_> = self.occupants.iter().map(|o| (o.nick.clone(), o.is_shown)).collect();
        for (nick, was_shown) in all {
            let Some(occupant) = self.occupants.get(&nick) else { continue };
            let is_shown = self.is_still_shown(was_shown, occupant.role);
            if was_shown == is_shown {
                continue;
            }
            self.occupants.change(&nick, |occupant| occupant.is_shown = is_shown);
            let Some(occupant) = self.occupants.get(&nick) else { continue };
            for seat in &occupant.seats {
                fx.change.occupants.extend(Self::stored_occupant(occupant, seat));
            }
            let Some(best) = occupant.best() else { continue };
            match is_shown {
                true => {
                    let available = PresenceKind::Available;
                    self.broadcast_to_others(occupant, best, available, &Details::default(), fx);
                }
                false => self.hide(occupant, best, fx),
            }
        }
    }

    /// Whether the presence of an occupant that has this role now is broadcast. One whose presence was broadcast before
    /// counts already.
    fn is_still_shown(&self, was_shown: bool, role: Role) -> bool {
        self.config.shows(role) && (was_shown || self.is_to_be_shown(role))
    }

    /// Sends the others unavailable presence of an occupant that stays.
    fn hide(&self, occupant: &Occupant, best: &Seat, fx: &mut Effects) {
        let seat = Seat::new(best.session.clone(), no_presence());
        self.broadcast_to_others(
            occupant,
            &seat,
            PresenceKind::Unavailable,
            &Details::default(),
            fx,
        );
    }
}

/// Nobody has the nickname.
pub(super) fn no_such_occupant() -> StanzaError {
    Condition::ItemNotFound.text("there is no such occupant")
}
