//! Users register with a room, and with a nickname (XEP-0045 §7.10). A user who registers becomes a member: at once in
//! rooms that are open to all, otherwise when an admin approves (§9.9).

use smol_str::SmolStr;

use super::affiliation::Role;
use super::cause::Cause;
use super::change_affiliation::AffiliationChange;
use super::presence_broadcast::Details;
use super::{Actor, Affiliation, Effects, Moment, Room};
use crate::jid::BareJid;
use crate::ns;
use crate::payload::data_form::{self, Field, FieldKind, Form, FormKind, Submitted};
use crate::payload::disco::Identity;
use crate::stanza::{Condition, IqKind, StanzaError};
use crate::xml::{ElementRef, element};

/// The kind of form.
pub(super) const FORM: &str = "http://jabber.org/protocol/muc#register";
/// The field with the nickname.
pub(super) const NICK: &str = "muc#register_roomnick";

impl Room {
    /// A request for the form, or with it, or the end of the registration.
    ///
    /// # Errors
    /// `not-allowed` for banned users.
    pub(super) fn register(
        &mut self,
        now: &Moment,
        actor: &Actor,
        kind: IqKind,
        query: &ElementRef<'_>,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        let affiliation = self.affiliation_of(actor);
        if self.config.locked && affiliation != Affiliation::Owner {
            return Err(Condition::ItemNotFound.text("this room is being made"));
        }
        if affiliation == Affiliation::Outcast {
            return Err(Condition::NotAllowed.text("you are banned from this room"));
        }
        if kind == IqKind::Get {
            self.tell_registration(actor, fx)
        } else if query.has_child(ns::REGISTER, "remove") {
            self.unregister(now, actor, query, fx)
        } else {
            self.read_registration(now, actor, query, fx)
        }
    }

    /// What a user has registered, or the form.
    fn tell_registration(&self, actor: &Actor, fx: &mut Effects) -> Result<(), StanzaError> {
        let query = element("query").ns(ns::REGISTER);
        if let Some(nick) = self.members.nick_of(&actor.user) {
            let registered = query.child(element("registered"));
            fx.answer = Some(registered.child(element("username").text(nick)));
            return Ok(());
        }
        if !self.config.registration {
            return Err(Condition::NotAllowed.text("nobody registers with this room"));
        }
        let text = "Choose the nickname that you want to have in this room.";
        let nick = Field::new(NICK, FieldKind::TextSingle).label("Desired Nickname");
        let form = Form::new(FormKind::Form)
            .title("Registration with this room")
            .instructions(text)
            .form_type(FORM)
            .field(nick.required(true));
        let instructions = element("instructions").text(text);
        fx.answer = Some(query.child(instructions).child(form.to_node()));
        Ok(())
    }

    /// A form that was filled in.
    ///
    /// # Errors
    /// `bad-request` for what is no such form, `not-acceptable` for a nickname that nobody may have, `conflict` for
    /// one that somebody has.
    fn read_registration(
        &mut self,
        now: &Moment,
        actor: &Actor,
        query: &ElementRef<'_>,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        if !self.config.registration {
            return Err(Condition::ServiceUnavailable.text("nobody registers with this room"));
        }
        let bad = || Condition::BadRequest.text("the form is invalid");
        let x = query.child(data_form::NS, "x").ok_or_else(bad)?;
        if x.attr("type").as_deref() == Some(FormKind::Cancel.as_str()) {
            return Ok(());
        }
        let form = Submitted::read(&x).map_err(|_| bad())?;
        if form.form_type() != Some(FORM) {
            return Err(bad());
        }
        let nick = form.text(NICK).map_err(|_| bad())?;
        let nick = nick.filter(|nick| !nick.is_empty()).ok_or_else(bad)?;
        let nick = self.nick_to_register(actor, nick)?;
        if !self.members.is_needed(&actor.user) {
            self.have_room_for_members(1)?;
        }
        // Where members get more than others, they are chosen. (In a moderated room that is voice.)
        let is_open = !self.config.members_only && !self.config.moderated;
        if is_open || self.affiliation_of(actor).is_member() {
            self.register_user(now, &actor.user, &nick, fx);
            return Ok(());
        }
        self.ask_admins(now, actor, &nick, fx)
    }

    /// A nickname, prepared, that a user may register.
    pub(super) fn nick_to_register(
        &self,
        actor: &Actor,
        nick: &str,
    ) -> Result<SmolStr, StanzaError> {
        let address = self.address_with(nick)?;
        self.check_nick(&actor.user, address.resource_part())?;
        Ok(SmolStr::new(address.resource_part()))
    }

    /// Registers a nickname. A user without an affiliation becomes a member.
    pub(super) fn register_user(
        &mut self,
        now: &Moment,
        user: &BareJid,
        nick: &str,
        fx: &mut Effects,
    ) {
        let is_new = self.members.affiliation(user) == Affiliation::None;
        if is_new {
            self.members.set(user, Affiliation::Member, None, now.at);
        }
        let member = self.members.set_nick(user, Some(nick), now.at);
        fx.save_member(&member);
        self.forget_request(user, fx);
        if is_new && self.occupants.of_user(user).next().is_none() {
            self.announce_affiliation(user, Affiliation::Member, fx);
        } else if is_new {
            self.broadcast_new_member(user, fx);
        }
    }

    /// Shows all that an occupant has become a member. In a moderated room it gets voice (XEP-0045 §5.1.2).
    fn broadcast_new_member(&mut self, user: &BareJid, fx: &mut Effects) {
        let occupants = self.occupants.of_user(user);
        let nicks: Vec<_> = occupants.map(|o| (o.nick.clone(), o.role)).collect();
        for (nick, role) in nicks {
            let role = if self.config.moderated { role.max(Role::Participant) } else { role };
            self.broadcast_with_role(&nick, role, &Details::default(), fx);
        }
    }

    /// A user gives up the nickname, and the membership with it. Admins and owners stay what they are.
    fn unregister(
        &mut self,
        now: &Moment,
        actor: &Actor,
        query: &ElementRef<'_>,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        if query.children().count() != 1 {
            return Err(Condition::BadRequest.text("<remove/> must be alone"));
        }
        let user = &actor.user;
        let has_waited = self.forget_request(user, fx);
        if self.members.affiliation(user) == Affiliation::Member {
            // It must leave a room for members (XEP-0045 §9.4).
            let by = Cause { nick: None, ..self.cause(now.at, actor) };
            let change = AffiliationChange {
                user: user.clone(),
                affiliation: Affiliation::None,
                nick: None,
                reason: None,
            };
            self.apply_affiliation(&by, &change, fx);
        } else if self.members.nick_of(user).is_some() {
            let member = self.members.set_nick(user, None, now.at);
            fx.save_member(&member);
        } else if !has_waited {
            return Err(Condition::RegistrationRequired.text("you have not registered"));
        }
        Ok(())
    }

    /// The nickname that a user has registered, for the node `x-roomuser-item` of service discovery
    /// (XEP-0045 §7.12). `None`: the answer is empty.
    pub(super) fn reserved_nick_info(&self, actor: &Actor) -> Option<Identity> {
        let nick = self.members.nick_of(&actor.user)?;
        Some(Identity { category: "conference", kind: "text", name: Some(SmolStr::new(nick)) })
    }
}
