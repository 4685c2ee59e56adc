//! Newcomers answer a question before they enter (XEP-0158): a challenge that people can answer and programs, unless
//! they were written for this room, cannot. Owners choose the question, and the answer.
//!
//! Open questions are kept in memory only. If the room is given up meanwhile, the user must enter again.

use super::challenges::Asked;
use super::{Actor, Effects, Moment, Room};
use crate::jid::{BareJid, FullJid};
use crate::payload::data_form::{self, Field, FieldKind, Form, FormKind, Submitted};
use crate::stanza::{
    Condition, Content, ErrorKind, Head, Message, MessageKind, Presence, Stanza, StanzaError,
};
use crate::xml::{ElementRef, element};

impl Room {
    /// Asks somebody who wants to enter. `false` if nobody is asked, or this user is not: it belongs to the room, is in
    /// it, or has answered before. `given`: the password that came with the presence. Clients that do not know forms of
    /// this kind can give the answer there.
    pub(super) fn challenge(
        &mut self,
        now: &Moment,
        actor: &Actor,
        (address, presence): (&FullJid, &Presence),
        given: Option<&str>,
        fx: &mut Effects,
    ) -> bool {
        if !self.config.asks() {
            return false;
        }
        let is_known = self.affiliation_of(actor).is_member()
            || self.occupants.of_user(&actor.user).next().is_some()
            || self.has_answered(&actor.user);
        if is_known {
            return false;
        }
        if given.is_some_and(|given| self.is_answer(given)) {
            self.challenges.pass(actor.user.clone());
            return false;
        }
        self.challenges.ask(Asked {
            session: actor.jid.clone(),
            id: now.token.clone(),
            at: now.at,
            address: address.clone(),
            presence: presence.clone(),
        });
        fx.tell(&actor.jid, Stanza::Message(self.question(now, address, presence)));
        true
    }

    /// The challenge (XEP-0158 §3.1.2).
    fn question(&self, now: &Moment, address: &FullJid, presence: &Presence) -> Message {
        let hidden = |var: &str, value: &str| Field::new(var, FieldKind::Hidden).value(value);
        let question = &self.config.question;
        let mut form = Form::new(FormKind::Form)
            .form_type(NS)
            .field(hidden("from", address.as_str()))
            .field(hidden("challenge", &now.token));
        if let Some(id) = &presence.head.id {
            form = form.field(hidden("sid", id));
        }
        let form =
            form.field(Field::new(ANSWER, FieldKind::TextSingle).label(question).required(true));
        let text = format!(
            "{question}\n(If your client shows no form for the answer, enter the room with the answer as password.)"
        );
        let mut content = Content::from(element("body").text(&text));
        content.add(&element("captcha").ns(NS).child(form.to_node()));
        let head = Head {
            from: Some(self.jid.clone().into_jid()),
            id: Some(now.token.clone()),
            lang: presence.head.lang.clone(),
            ..Head::default()
        };
        Message { head, kind: MessageKind::Normal, content }
    }

    /// Reads an answer (XEP-0158 §3.1.3). The user enters if it is right, unless the user is in the room by now.
    ///
    /// # Errors
    /// `service-unavailable` if the user was not asked, or too long ago; `not-acceptable` for a wrong answer: then the user
    /// must enter again to be asked again. And the errors of entering.
    pub(super) fn answer_challenge(
        &mut self,
        now: &Moment,
        actor: &Actor,
        captcha: &ElementRef<'_>,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        let x = captcha.child(data_form::NS, "x").ok_or(Condition::BadRequest)?;
        let form = Submitted::read(&x).map_err(|_| Condition::BadRequest)?;
        let text = |var: &str| match form.text(var) {
            Ok(text) if form.form_type() == Some(NS) => Ok(text.unwrap_or_default()),
            _ => Err(Condition::BadRequest),
        };
        let (id, answer) = (text("challenge")?, text(ANSWER)?);
        let asked = self.challenges.take(&actor.jid, id, now.at);
        let asked = asked.ok_or_else(|| {
            Condition::ServiceUnavailable.text("there is no such question any more")
        })?;
        if !self.is_answer(answer) {
            return Err(Condition::NotAcceptable
                .text("the answer is wrong: enter again to be asked again")
                .kind(ErrorKind::Cancel));
        }
        self.challenges.pass(actor.user.clone());
        fx.is_answered_first = true;
        if self.occupants.of_session(&actor.jid).is_some() {
            // It has entered another way meanwhile, as by the password that the question advises.
            return Ok(());
        }
        self.enter(now, actor, asked.address, asked.presence, fx)
    }

    /// Whether a user has answered, or need not.
    pub(super) fn has_answered(&self, user: &BareJid) -> bool {
        !self.config.asks() || self.challenges.has_passed(user)
    }

    fn is_answer(&self, text: &str) -> bool {
        let plain = |text: &str| text.trim().to_lowercase();
        plain(text) == plain(&self.config.answer)
    }
}

/// Whether a request answers a challenge.
#[must_use]
pub fn is_answer_to_challenge(payload: &ElementRef<'_>) -> bool {
    payload.is(NS, "captcha")
}

/// The namespace.
pub(super) const NS: &str = "urn:xmpp:captcha";
/// The field for the answer to a question (XEP-0158 §9).
const ANSWER: &str = "qa";

#[cfg(test)]
mod tests {
    use crate::jid::Jid;
    use crate::muc::tests::Coven;

    /// A coven that asks newcomers.
    fn coven() -> Coven {
        let mut coven = Coven::new();
        coven.room.config.question = "What is foul?".to_owned();
        coven.room.config.answer = "Fair".to_owned();
        coven
    }

    fn is_in(coven: &Coven, user: &str) -> bool {
        coven.room.has_session(&Jid::parse(&format!("{user}@witches/pda")).unwrap())
    }

    #[test]
    fn who_answers_is_not_asked_again() {
        let mut coven = coven();
        let enters = |answer: &str| {
            format!(
                "<presence to='coven@chat.example/hecate'><x xmlns='http://jabber.org/protocol/muc'>\
                 <password>{answer}</password></x></presence>"
            )
        };
        coven.receives("hecate", &enters("foul")).unwrap();
        assert!(!is_in(&coven, "hecate"));
        coven.receives("hecate", &enters(" fair ")).unwrap();
        assert!(is_in(&coven, "hecate"));
        coven
            .receives("hecate", "<presence type='unavailable' to='coven@chat.example/hecate'/>")
            .unwrap();
        coven.enter("hecate", "hecate").unwrap();
        assert!(is_in(&coven, "hecate"));
    }
}
