//! Affiliations are given and taken: bans, members, admins, owners (XEP-0045 §9.1 to §9.5, §10.3 to §10.8).

use smol_str::SmolStr;

use super::affiliation::may_change_affiliation;
use super::cause::Cause;
use super::invited::Invited;
use super::nick_skeleton::skeleton_of;
use super::occupants::Occupant;
use super::presence_broadcast::{Details, item};
use super::{Affiliation, Effects, Role, Room};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::payload::datetime::Timestamp;
use crate::stanza::{Condition, Content, Head, Message, MessageKind, Stanza, StanzaError};
use crate::xml::element;

/// An affiliation for a user, or for all users of a domain.
#[derive(Clone, Debug)]
pub(super) struct AffiliationChange {
    pub(super) user: BareJid,
    pub(super) affiliation: Affiliation,
    /// The nickname that is registered for the user, prepared; empty: none. `None`: it stays.
    pub(super) nick: Option<String>,
    pub(super) reason: Option<String>,
}

impl Room {
    /// Whether all these changes may be made. Each is for another user.
    ///
    /// # Errors
    /// `forbidden` or `not-allowed` for users without the right; `conflict` for a ban of oneself (XEP-0045 §9.1), if no
    /// owner would be left (§10.4), and for a nickname of others; `resource-constraint` for too many.
    pub(super) fn check_affiliations(
        &self,
        by: &Cause,
        changes: &[AffiliationChange],
    ) -> Result<(), StanzaError> {
        let (mut owners, mut added) = (self.members.owners(), 0);
        for AffiliationChange { user, affiliation, .. } in changes {
            let from = self.listed_affiliation(user);
            let is_own_ban = *affiliation == Affiliation::Outcast && by.user.as_ref() == Some(user);
            if is_own_ban && by.affiliation.is_admin() {
                return Err(Condition::Conflict.text("you may not ban yourself"));
            }
            may_change_affiliation(by.affiliation, from, *affiliation)?;
            owners += usize::from(*affiliation == Affiliation::Owner);
            owners -= usize::from(from == Affiliation::Owner);
            let is_new = *affiliation != Affiliation::None && !self.members.is_needed(user);
            added += usize::from(is_new);
        }
        if owners == 0 && self.members.owners() > 0 {
            return Err(Condition::Conflict.text("a room needs an owner"));
        }
        if added > 0 && self.members.needed() + added > self.limits.members {
            return Err(Condition::ResourceConstraint.text("the room has too many affiliations"));
        }
        self.check_nicks(changes)
    }

    /// Whether nobody else has the nicknames that are to be registered, and no two of them look alike.
    fn check_nicks(&self, changes: &[AffiliationChange]) -> Result<(), StanzaError> {
        let mut nicks = Vec::new();
        for change in changes {
            let Some(nick) = change.nick.as_deref().filter(|nick| !nick.is_empty()) else {
                continue;
            };
            let address = self.address_with(nick)?;
            self.check_nick(&change.user, address.resource_part())?;
            nicks.push(skeleton_of(address.resource_part()));
        }
        nicks.sort_unstable();
        match nicks.windows(2).any(|two| two[0] == two[1]) {
            true => Err(Condition::Conflict.text("two users cannot have one nickname")),
            false => Ok(()),
        }
    }

    /// The affiliation that a user was given; that of a domain does not count.
    pub(super) fn listed_affiliation(&self, user: &BareJid) -> Affiliation {
        self.members.get(user).map_or(Affiliation::None, |member| member.affiliation)
    }

    /// Gives an affiliation, which was checked.
    pub(super) fn apply_affiliation(
        &mut self,
        by: &Cause,
        change: &AffiliationChange,
        fx: &mut Effects,
    ) {
        self.apply_affiliations(by, std::slice::from_ref(change), fx);
    }

    /// Gives affiliations, which were checked. A long list is not announced user by user: an occupant would get a message
    /// for each of them. The announcement is optional (XEP-0045 §10.3), and the list can be read.
    pub(super) fn apply_affiliations(
        &mut self,
        by: &Cause,
        changes: &[AffiliationChange],
        fx: &mut Effects,
    ) {
        let is_announced = changes.len() <= ANNOUNCED;
        for change in changes {
            self.apply_one(by, change, is_announced, fx);
        }
    }

    fn apply_one(
        &mut self,
        by: &Cause,
        change: &AffiliationChange,
        is_announced: bool,
        fx: &mut Effects,
    ) {
        let AffiliationChange { user, affiliation, reason, .. } = change;
        let from = self.listed_affiliation(user);
        let known = self.members.get(user).and_then(|member| member.reason.as_deref());
        if from != *affiliation || (reason.is_some() && reason.as_deref() != known) {
            let concerned = self.concerned(user);
            let is_in = self.occupants.of_user(user).next().is_some();
            let member = self.members.set(user, *affiliation, reason.as_deref(), by.at);
            fx.save_member(&member);
            self.keep_role(user, Role::None, fx);
            for (nick, from) in concerned {
                self.broadcast_affiliation(by, &nick, from, reason.as_deref(), fx);
            }
            if from != *affiliation && !is_in {
                if is_announced {
                    self.announce_affiliation(user, *affiliation, fx);
                }
                if from == Affiliation::None && *affiliation == Affiliation::Member {
                    self.invite_member(by, change, fx);
                }
            }
        }
        self.apply_nick(change, by.at, fx);
    }

    /// Registers the nickname of a member (XEP-0045 §9.3), or removes it (§9.5).
    fn apply_nick(&mut self, change: &AffiliationChange, at: Timestamp, fx: &mut Effects) {
        let Some(nick) = change.nick.as_deref() else { return };
        let nick = Some(nick).filter(|nick| !nick.is_empty());
        if change.affiliation.is_member() && self.members.nick_of(&change.user) != nick {
            let member = self.members.set_nick(&change.user, nick, at);
            fx.save_member(&member);
        }
    }

    /// The occupants whose affiliation may depend on that of this user or domain, with their affiliations.
    fn concerned(&self, user: &BareJid) -> Vec<(SmolStr, Affiliation)> {
        let entry = |o: &Occupant| (o.nick.clone(), self.affiliation_of_occupant(o));
        if user.local().is_some() {
            return self.occupants.of_user(user).map(entry).collect();
        }
        let all = self.occupants.iter();
        all.filter(|occupant| occupant.user.domain() == user.domain()).map(entry).collect()
    }

    /// Broadcasts that the affiliation of an occupant is no longer `from`. An occupant that may not stay is removed: then
    /// nothing else is broadcast of it (XEP-0045 §9.4).
    fn broadcast_affiliation(
        &mut self,
        by: &Cause,
        nick: &str,
        from: Affiliation,
        reason: Option<&str>,
        fx: &mut Effects,
    ) {
        let Some(occupant) = self.occupants.get(nick) else { return };
        let to = self.affiliation_of_occupant(occupant);
        if from == to {
            return;
        }
        let details = Details { actor: by.nick.as_deref(), reason, ..Details::default() };
        if to == Affiliation::Outcast {
            return self.remove_occupant(nick, &Details { codes: &[301], ..details }, fx);
        }
        if self.config.members_only && !to.is_member() && !occupant.is_service_admin {
            return self.remove_occupant(nick, &Details { codes: &[321], ..details }, fx);
        }
        let role = role_after(occupant.role, from, to, self.config.moderated);
        self.broadcast_with_role(nick, role, &details, fx);
    }

    /// Announces the new affiliation of a user who is not in the room (XEP-0045 §10.3, §10.6, §10.7), to the occupants
    /// that see real addresses. Those that ask for versions are told with the version (XEP-0463 §5.2.2).
    pub(super) fn announce_affiliation(
        &self,
        user: &BareJid,
        affiliation: Affiliation,
        fx: &mut Effects,
    ) {
        let item = item(affiliation, Some(Role::None)).attr("jid", user.as_str());
        let viewers = self.occupants.iter().filter(|occupant| self.sees_real_addresses(occupant));
        let sessions = viewers.flat_map(Occupant::sessions);
        let is_told = |session: &&Jid| !self.is_told_versions(session, affiliation);
        let to: Vec<Jid> = sessions.filter(is_told).cloned().collect();
        let message = Message {
            head: Head { from: Some(self.jid.clone().into_jid()), ..Head::default() },
            kind: MessageKind::Normal,
            content: Content::from(element("x").ns(ns::MUC_USER).child(item)),
        };
        fx.tell_message(to.into(), message);
    }

    /// Invites a new member to a room that is for members only (XEP-0045 §9.5).
    fn invite_member(&mut self, by: &Cause, change: &AffiliationChange, fx: &mut Effects) {
        if !self.config.members_only || change.user.local().is_none() {
            return;
        }
        if let Some(inviter) = &by.user {
            let (by, user) = (inviter.clone(), change.user.clone());
            self.note_invited(Invited { by, user, sent: None });
        }
        let from = by.user.as_ref().unwrap_or(&self.jid);
        let mut invite = element("invite").attr("from", from.as_str());
        if let Some(reason) = &change.reason {
            invite = invite.child(element("reason").text(reason));
        }
        let mut x = element("x").ns(ns::MUC_USER).child(invite);
        if let Some(password) = &self.config.password {
            x = x.child(element("password").text(password));
        }
        fx.send(Stanza::Message(Message {
            head: Head::between(self.jid.clone(), change.user.clone()),
            kind: MessageKind::Normal,
            content: Content::from(x),
        }));
    }
}

/// The role of an occupant whose affiliation has changed (XEP-0045 §10.2 to §10.7). Admins and owners are moderators.
/// One who no longer is an admin gets the role of a newcomer. Members have voice.
fn role_after(role: Role, from: Affiliation, to: Affiliation, is_moderated: bool) -> Role {
    let on_entry = Role::on_entry(to, is_moderated);
    match (from.is_admin(), to) {
        (_, Affiliation::Owner | Affiliation::Admin) | (true, _) => on_entry,
        (false, Affiliation::Member) => role.max(on_entry),
        (false, Affiliation::None | Affiliation::Outcast) => role,
    }
}

/// Changes that one request makes and that are announced, at most.
const ANNOUNCED: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::muc::tests::{Coven, told};

    #[test]
    fn a_long_list_is_not_announced_user_by_user() {
        for (count, announced) in [(ANNOUNCED, 2 * ANNOUNCED), (ANNOUNCED + 1, 0)] {
            let mut coven = Coven::new();
            let item = |n| format!("<item affiliation='member' jid='w{n}@witches'/>");
            let items: String = (0..count).map(item).collect();
            let query = format!("<query xmlns='{}'>{items}</query>", ns::MUC_ADMIN);
            let fx = coven.set("crone1", &query).unwrap();
            assert_eq!(told(&fx).len(), announced, "the owner and the admin see addresses");
            assert_eq!(fx.change.members.len(), count);
        }
    }

    #[test]
    fn roles_follow_affiliations() {
        use Affiliation::{Admin, Member, None, Owner};
        use Role::{Moderator, Participant, Visitor};
        for (role, from, to, open, moderated) in [
            (Participant, None, Owner, Moderator, Moderator),
            (Visitor, Member, Admin, Moderator, Moderator),
            (Moderator, Owner, Admin, Moderator, Moderator),
            (Moderator, Admin, Member, Participant, Participant),
            (Moderator, Admin, None, Participant, Visitor),
            (Visitor, None, Member, Participant, Participant),
            (Moderator, None, Member, Moderator, Moderator),
            (Moderator, Member, None, Moderator, Moderator),
            (Participant, Member, None, Participant, Participant),
            (Visitor, Member, None, Visitor, Visitor),
        ] {
            assert_eq!(role_after(role, from, to, false), open, "{role:?} {from:?} {to:?}");
            assert_eq!(role_after(role, from, to, true), moderated, "{role:?} {from:?} {to:?}");
        }
    }
}
