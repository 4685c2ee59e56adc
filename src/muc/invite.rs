//! Messages to the room itself that are no groupchat messages: invitations, declined invitations (XEP-0045 §7.8.2), and
//! forms, which ask for voice or approve a request.

use std::borrow::Cow;

use super::invited::Invited;
use super::{Actor, Affiliation, Effects, Moment, Room, register};
use crate::jid::Jid;
use crate::ns;
use crate::payload::data_form::{self, FormKind, Submitted};
use crate::stanza::{Condition, Content, Head, Message, MessageKind, Stanza, StanzaError};
use crate::xml::{ElementRef, Node, element};

/// An invitation, as its sender wrote it.
struct Invite {
    to: Jid,
    reason: Option<String>,
    /// It continues a conversation of two people. The inner option: its thread.
    continues: Option<Option<String>>,
}

impl Room {
    /// Handles a message to the room that is not of the type `groupchat`.
    ///
    /// # Errors
    /// `forbidden` for users who are not in the room (XEP-0045 §17.2), `bad-request` for a message to all occupants with
    /// another type than `groupchat`.
    pub(super) fn message_to_room(
        &mut self,
        now: &Moment,
        actor: &Actor,
        message: &Message,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        let Message { head, content, .. } = message;
        if self.affiliation_of(actor) == Affiliation::Outcast {
            return Err(Condition::Forbidden.text("you are banned from this room"));
        }
        let x = content.received_child(ns::MUC_USER, "x");
        if let Some(decline) = x.and_then(|x| x.child(ns::MUC_USER, "decline")) {
            return self.decline(actor, head, &decline, fx);
        }
        if let Some(x) = x.filter(|x| x.has_child(ns::MUC_USER, "invite")) {
            return self.invite(now, actor, head, &x, fx);
        }
        if let Some(x) = content.received_child(data_form::NS, "x") {
            return self.form_to_room(now, actor, &x, fx);
        }
        if self.occupants.of_session(&actor.jid).is_none() {
            return Err(Condition::Forbidden.text("only occupants may do this"));
        }
        Err(Condition::BadRequest.text("a message to all must be of the type groupchat"))
    }

    /// Handles a form that somebody has filled in.
    fn form_to_room(
        &mut self,
        now: &Moment,
        actor: &Actor,
        x: &ElementRef<'_>,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        if x.attr("type").as_deref() == Some(FormKind::Cancel.as_str()) {
            // A moderator or admin skips a request (XEP-0045 §8.6). It can still be answered by others.
            return Ok(());
        }
        let bad = || Condition::BadRequest.text("this is no form that the room knows");
        let form = Submitted::read(x).map_err(|_| bad())?;
        match form.form_type() {
            Some(ns::MUC_REQUEST) => self.voice_form(now, actor, &form, fx),
            Some(register::FORM) => self.approve_registration(now, actor, &form, fx),
            _ => Err(bad()),
        }
    }

    /// An occupant invites others (XEP-0045 §7.8.2, §7.9). All of one message are invited, or nobody.
    fn invite(
        &mut self,
        now: &Moment,
        actor: &Actor,
        head: &Head,
        x: &ElementRef<'_>,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        if self.occupants.of_session(&actor.jid).is_none() {
            return Err(Condition::Forbidden.text("only occupants invite others")); // §17.2
        }
        let affiliation = self.affiliation_of(actor);
        let may_add =
            affiliation.is_admin() || (self.config.allow_invites && affiliation.is_member());
        if self.config.members_only && !may_add {
            return Err(Condition::Forbidden.text("only admins invite others to this room"));
        }
        let invites = x.children().filter(|child| child.is(ns::MUC_USER, "invite"));
        let invites: Vec<Invite> =
            invites.map(|invite| self.read_invite(&invite)).collect::<Result<_, _>>()?;
        if invites.len() > MOST_INVITES {
            return Err(Condition::PolicyViolation.text("too many people are invited at once"));
        }
        if self.config.members_only {
            self.have_room_for_members(invites.len())?;
        }
        for invite in invites {
            let user = invite.to.to_bare();
            if self.config.members_only && self.members.affiliation(&user) == Affiliation::None {
                let member = self.members.set(&user, Affiliation::Member, None, now.at);
                fx.save_member(&member);
                self.announce_affiliation(&user, Affiliation::Member, fx);
            }
            fx.send(Stanza::Message(self.invitation(actor, head, &invite)));
            let sent = Some((actor.jid.clone(), head.id.clone()));
            self.note_invited(Invited { by: actor.user.clone(), user, sent });
        }
        Ok(())
    }

    fn read_invite(&self, invite: &ElementRef<'_>) -> Result<Invite, StanzaError> {
        let to = invite.attr("to").ok_or(Condition::BadRequest)?;
        let to = Jid::parse(to.trim()).map_err(|_| Condition::JidMalformed)?;
        if to.local().is_none() || to.domain() == self.jid.domain() {
            return Err(Condition::ItemNotFound.text("people are invited by their own addresses"));
        }
        if self.members.affiliation(&to.to_bare()) == Affiliation::Outcast {
            return Err(Condition::NotAllowed.text("who is invited is banned from this room"));
        }
        let continues = invite.child(ns::MUC_USER, "continue");
        Ok(Invite {
            to,
            reason: reason_of(invite),
            continues: continues.map(|c| c.attr("thread").map(Cow::into_owned)),
        })
    }

    /// The invitation, as the room sends it: also in the form of direct invitations, which clients send without a room
    /// (XEP-0249).
    fn invitation(&self, actor: &Actor, head: &Head, invite: &Invite) -> Message {
        let Invite { to, reason, continues } = invite;
        let thread = continues.as_ref().and_then(Option::as_deref);
        let go_on = continues.as_ref().map(|_| element("continue").maybe_attr("thread", thread));
        let by = element("invite").attr("from", actor.jid.as_str());
        let password = self.config.password.as_deref();
        let mediated = element("x")
            .ns(ns::MUC_USER)
            .child(by.children(reason.as_deref().map(reason_node)).children(go_on))
            .children(password.map(|password| element("password").text(password)));
        let direct = element("x")
            .ns(ns::DIRECT_INVITE)
            .attr("jid", self.jid.as_str())
            .maybe_attr("password", password)
            .maybe_attr("reason", reason.as_deref())
            .maybe_attr("continue", continues.as_ref().map(|_| "true"))
            .maybe_attr("thread", thread);
        let mut content = Content::from(mediated);
        content.add(&direct);
        let head = Head {
            from: Some(self.jid.clone().into_jid()),
            to: Some(to.clone()),
            id: head.id.clone(),
            lang: head.lang.clone(),
        };
        Message { head, kind: MessageKind::Normal, content }
    }

    /// Remembers an invitation, so that it can be declined.
    pub(super) fn note_invited(&mut self, invited: Invited) {
        self.invited.retain(|known| known.by != invited.by || known.user != invited.user);
        if self.invited.len() >= MOST_REMEMBERED {
            self.invited.pop_front();
        }
        self.invited.push_back(invited);
    }

    /// Handles an invitation that has come back, because its address does not exist or refuses it. The inviter is told, if it
    /// is still in the room (§7.8.2).
    pub(super) fn not_invited(&mut self, actor: &Actor, message: &Message, fx: &mut Effects) {
        let is_this = |known: &Invited| {
            let sent = known.sent.as_ref();
            known.user == actor.user && sent.is_some_and(|(_, id)| *id == message.head.id)
        };
        let Some(found) = self.invited.iter().position(is_this) else { return };
        let invited = self.invited.remove(found);
        let Some((inviter, id)) = invited.and_then(|invited| invited.sent) else { return };
        if !self.has_session(&inviter) {
            return;
        }
        let error = Condition::ItemNotFound.text("who is invited cannot be reached").by(&self.jid);
        let head = Head {
            from: Some(self.jid.clone().into_jid()),
            to: Some(inviter.clone()),
            id,
            ..Head::default()
        };
        let content = Content::from(error.to_node());
        fx.tell(&inviter, Stanza::Message(Message { head, kind: MessageKind::Error, content }));
    }

    /// Declines an invitation (XEP-0045 §7.8.2): the inviter is told, if it is still in the room. No error tells who is in
    /// the room. Only invited users can decline: otherwise people could write through the room to users who have blocked
    /// them.
    fn decline(
        &mut self,
        actor: &Actor,
        head: &Head,
        decline: &ElementRef<'_>,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        let to = decline.attr("to").ok_or(Condition::BadRequest)?;
        let to = Jid::parse(to.trim()).map_err(|_| Condition::JidMalformed)?;
        let user = to.to_bare();
        let is_this = |known: &Invited| known.by == user && known.user == actor.user;
        let Some(found) = self.invited.iter().position(is_this) else { return Ok(()) };
        self.invited.remove(found);
        let Some(inviter) = self.occupants.of_user(&user).next() else { return Ok(()) };
        let Some(seat) = inviter.seat(&to).or_else(|| inviter.best()) else { return Ok(()) };
        let by = element("decline").attr("from", actor.user.as_str());
        let reason = reason_of(decline);
        let x =
            element("x").ns(ns::MUC_USER).child(by.children(reason.as_deref().map(reason_node)));
        let head = Head {
            from: Some(self.jid.clone().into_jid()),
            to: Some(seat.session.clone()),
            id: head.id.clone(),
            lang: head.lang.clone(),
        };
        let content = Content::from(x);
        fx.send(Stanza::Message(Message { head, kind: MessageKind::Normal, content }));
        Ok(())
    }

    /// Whether this number of further addresses may have an affiliation.
    ///
    /// # Errors
    /// `resource-constraint`
    pub(super) fn have_room_for_members(&self, more: usize) -> Result<(), StanzaError> {
        match self.members.needed() + more <= self.limits.members {
            true => Ok(()),
            false => Err(Condition::ResourceConstraint.text("this room has too many members")),
        }
    }
}

fn reason_of(element: &ElementRef<'_>) -> Option<String> {
    let reason = element.child(ns::MUC_USER, "reason")?.text().trim().to_owned();
    (!reason.is_empty()).then_some(reason)
}

fn reason_node(reason: &str) -> Node {
    element("reason").text(reason)
}

/// People that one message invites, at most.
const MOST_INVITES: usize = 50;
/// Invitations that can be declined, at most; the oldest are forgotten.
const MOST_REMEMBERED: usize = 256;
