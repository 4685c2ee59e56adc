//! Voice requests: visitors ask for voice, and moderators grant it (XEP-0045 §7.13, §8.6).

use std::sync::Arc;

use super::affiliation::Role;
use super::occupants::Occupant;
use super::presence_broadcast::Details;
use super::{Actor, Effects, Moment, Room};
use crate::jid::Jid;
use crate::ns;
use crate::payload::data_form::{Field, FieldKind, Form, FormKind, Submitted};
use crate::stanza::{Condition, Content, ErrorKind, Head, Message, MessageKind, StanzaError};

impl Room {
    /// A form about voice: a request, or the answer of a moderator.
    pub(super) fn voice_form(
        &mut self,
        now: &Moment,
        actor: &Actor,
        form: &Submitted,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        let bad = || Condition::BadRequest.text("the form is invalid");
        let role = form.text("muc#role").map_err(|_| bad())?;
        let answer = form.boolean("muc#request_allow").map_err(|_| bad())?;
        // Only who answers may leave it out.
        if role.map_or(answer.is_none(), |role| role != Role::Participant.as_str()) {
            return Err(Condition::BadRequest.text("only the role of a participant is given"));
        }
        match answer {
            None => self.ask_for_voice(now, actor, fx),
            Some(allows) => {
                let jid = form.jid("muc#jid").map_err(|_| bad())?;
                let nick = form.text("muc#roomnick").map_err(|_| bad())?;
                self.answer_voice_request(actor, jid.as_ref(), nick, allows, fx)
            }
        }
    }

    /// Sends the request of a visitor for voice to all moderators, as a form (XEP-0045 §8.6).
    ///
    /// # Errors
    /// `forbidden` if the room allows no requests, `policy-violation` if the visitor has asked already.
    fn ask_for_voice(
        &mut self,
        now: &Moment,
        actor: &Actor,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        let asker = self.occupants.of_session(&actor.jid);
        let asker =
            asker.ok_or_else(|| Condition::Forbidden.text("only occupants ask for voice"))?;
        if !self.config.voice_requests {
            return Err(Condition::Forbidden.text("nobody may ask for voice in this room"));
        }
        if asker.role >= Role::Participant {
            return Err(Condition::UnexpectedRequest.text("you have voice"));
        }
        let is_recent = |asked: crate::payload::datetime::Timestamp| {
            now.at.as_micros() < asked.as_micros() + ASK_AGAIN_MICROS
        };
        if asker.asked_for_voice.is_some_and(is_recent) {
            return Err(Condition::PolicyViolation
                .text("you have asked for voice: wait for an answer")
                .kind(ErrorKind::Wait));
        }
        let moderators = self.occupants.iter().filter(|o| o.role == Role::Moderator);
        let to: Arc<[Jid]> = moderators.flat_map(Occupant::sessions).cloned().collect();
        if to.is_empty() {
            return Err(Condition::RecipientUnavailable.text("no moderator is in the room"));
        }
        let nick = asker.nick.clone();
        let head = Head {
            from: Some(self.jid.clone().into_jid()),
            id: Some(now.token.clone()),
            ..Head::default()
        };
        let content = Content::from(approval(&actor.jid, &nick).to_node());
        let message = Message { head, kind: MessageKind::Normal, content };
        fx.tell_message(to, message);
        self.occupants.change(&nick, |asker| asker.asked_for_voice = Some(now.at));
        Ok(())
    }

    /// A moderator answers. Two may answer the same: what one has given, the other one does not take.
    ///
    /// # Errors
    /// `forbidden` for others, `item-not-found` if the visitor has gone.
    fn answer_voice_request(
        &mut self,
        actor: &Actor,
        jid: Option<&Jid>,
        nick: Option<&str>,
        allows: bool,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        let moderator = self.occupants.of_session(&actor.jid);
        let by = moderator.filter(|occupant| occupant.role == Role::Moderator);
        let by = by.ok_or_else(|| Condition::Forbidden.text("only moderators give voice"))?;
        let by = by.nick.clone();
        // The nickname may be another one by now. Without an address, it must do.
        let visitor = match jid {
            Some(jid) => self.occupants.of_session(jid),
            None => nick.and_then(|nick| self.occupants.get(nick)),
        };
        let visitor =
            visitor.ok_or_else(|| Condition::ItemNotFound.text("there is no such occupant"))?;
        let (nick, role, user) = (visitor.nick.clone(), visitor.role, visitor.user.clone());
        if allows && role < Role::Participant {
            let details = Details { actor: Some(&by), ..Details::default() };
            self.broadcast_with_role(&nick, Role::Participant, &details, fx);
            self.keep_role(&user, Role::Participant, fx);
        }
        self.occupants.change(&nick, |visitor| visitor.asked_for_voice = None);
        Ok(())
    }
}

/// What moderators fill in.
fn approval(jid: &Jid, nick: &str) -> Form {
    let field = |var, kind, label, value| Field::new(var, kind).label(label).value(value);
    let role = Role::Participant.as_str();
    Form::new(FormKind::Form)
        .title("Voice request")
        .instructions(
            "To approve this request for voice, select the \"Grant voice to this person?\" checkbox and \
             submit. To skip this request, cancel.",
        )
        .form_type(ns::MUC_REQUEST)
        .field(
            field("muc#role", FieldKind::ListSingle, "Requested role", role)
                .option(role, "Participant"),
        )
        .field(field("muc#jid", FieldKind::JidSingle, "User ID", jid.as_str()))
        .field(field("muc#roomnick", FieldKind::TextSingle, "Room Nickname", nick))
        .field(field(
            "muc#request_allow",
            FieldKind::Boolean,
            "Grant voice to this person?",
            "false",
        ))
}

/// How long a visitor whom nobody answers must wait before it asks again: five minutes.
const ASK_AGAIN_MICROS: i64 = 5 * 60 * 1_000_000;
