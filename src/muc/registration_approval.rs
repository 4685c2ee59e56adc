//! Registration requests: a user asks to become a member, and admins approve (XEP-0045 §9.9).

use super::extra::Registration;
use super::presence_broadcast::{item, status};
use super::register::{FORM, NICK};
use super::{Actor, Affiliation, Effects, Moment, Room};
use crate::jid::BareJid;
use crate::ns;
use crate::payload::data_form::{Field, FieldKind, Form, FormKind, Submitted};
use crate::stanza::{
    Condition, Content, ErrorKind, Head, Message, MessageKind, Stanza, StanzaError,
};
use crate::xml::element;

const ALLOW: &str = "muc#register_allow";
/// The form of XEP-0045 §9.9 does not say who asks.
const JID: &str = "muc#jid";

impl Room {
    /// Asks the admins and owners (XEP-0045 §9.9): in the room, or at their accounts if they are not there.
    pub(super) fn ask_admins(
        &mut self,
        now: &Moment,
        actor: &Actor,
        nick: &str,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        let at = now.at.as_micros();
        let pending = &mut self.extra.registrations;
        pending.retain(|pending| at < pending.at.saturating_add(KEEP_REQUEST_MICROS));
        let earlier = pending.iter().find(|pending| pending.user == actor.user.as_str());
        if let Some(earlier) = earlier.filter(|earlier| at < earlier.at + ASK_AGAIN_MICROS) {
            if earlier.nick == nick {
                return Ok(());
            }
            return Err(Condition::PolicyViolation
                .text("you have asked for another nickname: wait for an answer")
                .kind(ErrorKind::Wait));
        }
        pending.retain(|pending| pending.user != actor.user.as_str());
        if pending.len() >= MOST_REQUESTS {
            return Err(Condition::ResourceConstraint.text("too many others wait for an admin"));
        }
        let (user, nick) = (actor.user.to_string(), nick.to_owned());
        let content = Content::from(approval(&user, &nick).to_node());
        pending.push(Registration { user, nick, at });
        fx.change.extra = Some(self.extra.to_stored());
        let from = Some(self.jid.clone().into_jid());
        let head = Head { from, id: Some(now.token.clone()), ..Head::default() };
        let message = Message { head, kind: MessageKind::Normal, content };
        let owners = self.members.with(Affiliation::Owner);
        for admin in owners.into_iter().chain(self.members.with(Affiliation::Admin)) {
            let mut is_here = false;
            for occupant in self.occupants.of_user(&admin.jid) {
                is_here = true;
                let sessions = occupant.sessions().cloned().collect();
                fx.tell_message(sessions, message.clone());
            }
            if !is_here && admin.jid.local().is_some() {
                let mut message = message.clone();
                message.head.to = Some(admin.jid.clone().into_jid());
                fx.send(Stanza::Message(message));
            }
        }
        Ok(())
    }

    /// An admin answers a request (XEP-0045 §9.9).
    ///
    /// # Errors
    /// `forbidden` for others, `item-not-found` if nobody waits, `conflict` if the nickname was taken meanwhile.
    pub(super) fn approve_registration(
        &mut self,
        now: &Moment,
        actor: &Actor,
        form: &Submitted,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        if !self.affiliation_of(actor).is_admin() {
            return Err(Condition::Forbidden.text("only admins approve of registrations"));
        }
        let bad = || Condition::BadRequest.text("the form is invalid");
        let allows = form.boolean(ALLOW).map_err(|_| bad())?.ok_or_else(bad)?;
        let jid = form.jid(JID).map_err(|_| bad())?;
        let nick = form.text(NICK).map_err(|_| bad())?;
        let is_meant = |pending: &Registration| match &jid {
            Some(jid) => pending.user == jid.bare_str(),
            None => nick == Some(pending.nick.as_str()),
        };
        let nobody = || Condition::ItemNotFound.text("nobody waits for this");
        let pending = self.extra.registrations.iter().find(|pending| is_meant(pending));
        let Registration { user, nick, .. } = pending.cloned().ok_or_else(nobody)?;
        let user = BareJid::parse(&user).map_err(|_| nobody())?;
        if allows {
            if self.members.affiliation(&user) == Affiliation::Outcast {
                return Err(Condition::NotAllowed.text("who asked is banned from this room"));
            }
            let asker = Actor::new(user.clone().into_jid(), false);
            let nick = self.nick_to_register(&asker, &nick)?;
            if !self.members.is_needed(&user) {
                self.have_room_for_members(1)?;
            }
            self.register_user(now, &user, &nick, fx);
            if self.occupants.of_user(&user).next().is_none() {
                fx.send(Stanza::Message(self.affiliation_notice(&user)));
            }
        }
        self.forget_request(&user, fx);
        Ok(())
    }

    /// Tells somebody who is not in the room of the affiliation (status 101, XEP-0045 §18.1).
    fn affiliation_notice(&self, user: &BareJid) -> Message {
        let item = item(self.members.affiliation(user), None).attr("jid", user.as_str());
        let x = element("x").ns(ns::MUC_USER).child(item).child(status(101));
        Message {
            head: Head::between(self.jid.clone(), user.clone()),
            kind: MessageKind::Normal,
            content: Content::from(x),
        }
    }

    /// Removes the request of a user. Returns whether there was one.
    pub(super) fn forget_request(&mut self, user: &BareJid, fx: &mut Effects) -> bool {
        let waiting = self.extra.registrations.len();
        self.extra.registrations.retain(|pending| pending.user != user.as_str());
        let has_waited = self.extra.registrations.len() < waiting;
        if has_waited {
            fx.change.extra = Some(self.extra.to_stored());
        }
        has_waited
    }
}

/// What admins fill in.
fn approval(user: &str, nick: &str) -> Form {
    let allow = Field::new(ALLOW, FieldKind::Boolean);
    Form::new(FormKind::Form)
        .title("Registration request")
        .instructions(
            "To approve this registration request, select the \"Allow this person to register with the \
             room?\" checkbox and submit. To skip this request, cancel.",
        )
        .form_type(FORM)
        .field(Field::new(JID, FieldKind::JidSingle).label("User ID").value(user))
        .field(Field::new(NICK, FieldKind::TextSingle).label("Desired Nickname").value(nick))
        .field(allow.label("Allow this person to register with the room?").value("0"))
}

/// Requests that wait in a room, at most.
const MOST_REQUESTS: usize = 64;
/// How long one waits: 30 days.
const KEEP_REQUEST_MICROS: i64 = 30 * 24 * 3_600 * 1_000_000;
/// How long it takes until the admins are asked again: a day.
const ASK_AGAIN_MICROS: i64 = 24 * 3_600 * 1_000_000;
