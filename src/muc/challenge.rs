//! Newcomers answer a question before they enter (XEP-0158): a challenge that people can answer and programs, unless
//! they were written for this room, cannot. Owners choose the question, and the answer.
//!
//! What is waiting is kept in memory alone: who is asked when the room is given up enters again.

use std::collections::VecDeque;

use smol_str::SmolStr;

use super::{Actor, Effects, Moment, Room};
use crate::jid::{BareJid, FullJid, Jid};
use crate::payload::data_form::{self, Field, FieldKind, Form, FormKind, Submitted};
use crate::payload::datetime::Timestamp;
use crate::stanza::{
    Condition, Content, ErrorKind, Head, Message, MessageKind, Presence, Stanza, StanzaError,
};
use crate::xml::{ElementRef, element};

/// Who has been asked, and who has answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Challenges {
    /// The oldest first.
    asked: VecDeque<Asked>,
    /// Users who have answered, the oldest first: they are not asked again.
    passed: VecDeque<BareJid>,
}

/// Somebody who wants to enter.
#[derive(Clone, Debug)]
struct Asked {
    session: Jid,
    /// The id of the challenge.
    id: SmolStr,
    at: Timestamp,
    address: FullJid,
    presence: Presence,
}

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
        let asked = &mut self.challenges.asked;
        asked.retain(|asked| asked.session != actor.jid);
        if asked.len() >= MOST_ASKED {
            asked.pop_front();
        }
        asked.push_back(Asked {
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

    /// Somebody answers (XEP-0158 §3.1.3), and enters if the answer is right.
    ///
    /// # Errors
    /// `service-unavailable` if nobody has asked, or too long ago; `not-acceptable` for a wrong answer: then one enters
    /// again to be asked again. And those of entering.
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
        let is_it = |asked: &Asked| asked.session == actor.jid && asked.id == id;
        let place = self.challenges.asked.iter().position(is_it);
        let asked = place.and_then(|place| self.challenges.asked.remove(place));
        let asked = asked.filter(|asked| !asked.is_over(now.at));
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
        self.enter(now, actor, asked.address, asked.presence, fx)
    }

    /// Whether a user has answered, or need not.
    pub(super) fn has_answered(&self, user: &BareJid) -> bool {
        !self.config.asks() || self.challenges.passed.contains(user)
    }

    fn is_answer(&self, text: &str) -> bool {
        let plain = |text: &str| text.trim().to_lowercase();
        plain(text) == plain(&self.config.answer)
    }
}

impl Challenges {
    fn pass(&mut self, user: BareJid) {
        if self.passed.len() >= MOST_PASSED {
            self.passed.pop_front();
        }
        self.passed.push_back(user);
    }
}

impl Asked {
    fn is_over(&self, now: Timestamp) -> bool {
        now.as_micros() >= self.at.as_micros().saturating_add(PATIENCE_MICROS)
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
/// Those who are asked at the same time. If one more comes, the one that has waited longest is forgotten.
const MOST_ASKED: usize = 100;
/// Users who are known to have answered.
const MOST_PASSED: usize = 1000;
/// How long one may think about the answer.
const PATIENCE_MICROS: i64 = 5 * 60 * 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;
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

    #[test]
    fn not_everybody_is_asked_at_once() {
        let mut coven = coven();
        for n in 0..=MOST_ASKED {
            coven.enter(&format!("witch{n}"), &format!("witch{n}")).unwrap();
        }
        assert_eq!(coven.room.challenges.asked.len(), MOST_ASKED);
        let asked = &coven.room.challenges.asked;
        assert!(asked.iter().all(|asked| asked.session.bare_str() != "witch0@witches"));
    }
}
