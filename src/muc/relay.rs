//! Requests from one occupant to another (XEP-0045 §17.4), and self-pings (XEP-0410).
//!
//! A request that is passed on gets a new id, which nobody can guess. The room remembers it until it is answered, once
//! (RFC 6120 §8.2.3): by its recipient, or by the room if one of the two occupants leaves or no answer comes in time.

use super::leave::readable;
use super::open_requests::OpenRequest;
use super::{Actor, Effects, Moment, Room};
use crate::ns;
use crate::payload::datetime::Timestamp;
use crate::payload::{photo, vcard4};
use crate::stanza::{Condition, Content, ErrorKind, Head, Iq, IqKind, Stanza, StanzaError};
use crate::xml::{ElementRef, element};

impl Room {
    /// Passes on a request of one occupant to another.
    ///
    /// The setting for private messages does not apply here: it is about conversations, and clients query vCards and
    /// avatars on their own.
    ///
    /// # Errors
    /// For users who are not in the room `not-acceptable` (XEP-0410 §3.2), or `bad-request` if they ask what an
    /// occupant can do (XEP-0045 §6.6); `item-not-found` if nobody has the nickname; `resource-constraint` if too many
    /// requests wait for an answer.
    pub(super) fn relay_request(
        &mut self,
        now: &Moment,
        actor: &Actor,
        iq: &Iq,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        let payload = iq.payload().ok_or(Condition::BadRequest)?;
        let Some(asker) = self.occupants.of_session(&actor.jid) else {
            if matches!(payload.ns(), ns::DISCO_INFO | ns::DISCO_ITEMS) {
                return Err(Condition::BadRequest.text("you are not in the room"));
            }
            return Err(Condition::NotAcceptable
                .text("you are not in the room")
                .kind(ErrorKind::Cancel));
        };
        let nick = iq.head.to.as_ref().and_then(|to| to.resource()).unwrap_or_default();
        let asked = self.occupants.get(nick);
        let asked =
            asked.ok_or_else(|| Condition::ItemNotFound.text("there is no such occupant"))?;
        if asked.nick == asker.nick && payload.is(ns::PING, "ping") {
            // XEP-0410 §3.3: the room answers for the occupant's sessions, so that none need be reached.
            return Ok(());
        }
        let best = asked.best().ok_or(Condition::ItemNotFound)?;
        let to = if is_for_account(&payload) {
            asked.user.clone().into_jid()
        } else {
            best.session.clone()
        };
        if !self.open_requests.has_room_for(&actor.jid, now.at) {
            return Err(Condition::ResourceConstraint.text("too many requests wait for an answer"));
        }
        let request = OpenRequest {
            id: now.token.clone(),
            asked_with: iq.head.id.clone().unwrap_or_default(),
            asker: actor.jid.clone(),
            from: asker.address.clone(),
            asked: asked.address.clone(),
            to: to.clone(),
            at: now.at,
        };
        let head = Head {
            from: Some(asker.address.clone().into_jid()),
            to: Some(to),
            id: Some(now.token.clone()),
            lang: iq.head.lang.clone(),
        };
        self.open_requests.add(request);
        fx.send(Stanza::Iq(Iq { head, kind: iq.kind, content: iq.content.clone() }));
        fx.is_answered_later = true;
        Ok(())
    }

    /// Passes on the answer to a request. An answer to any other request is dropped, since answers are never answered.
    pub(super) fn relay_response(&mut self, actor: &Actor, mut iq: Iq, fx: &mut Effects) {
        let (id, to) = (iq.head.id.as_ref(), iq.head.to.as_ref());
        let open = id.zip(to).and_then(|(id, to)| self.open_requests.answered(&actor.user, id, to));
        let Some(open) = open else {
            fx.ignored = Some("an answer that nobody in the room waits for");
            return;
        };
        iq.head.from = Some(open.asked.into_jid());
        iq.head.to = Some(open.asker);
        iq.head.id = Some(open.asked_with);
        if iq.kind == IqKind::Error {
            iq.content = without_by(readable(&iq.content));
        }
        fx.send(Stanza::Iq(iq));
    }

    /// Requests that nobody has answered in time are answered now (RFC 6120 §8.2.3).
    pub(super) fn end_overdue_requests(&mut self, now: &Moment, fx: &mut Effects) {
        for open in self.open_requests.overdue(now.at) {
            fx.send(refusal(open, Condition::RemoteServerTimeout));
        }
    }

    /// Whether a request waits for an answer that has not come in time. Any input makes the room answer it.
    #[must_use]
    pub fn has_overdue_requests(&self, now: Timestamp) -> bool {
        self.open_requests.has_overdue(now)
    }

    /// Occupants have left: the requests to them and from them are answered now, if they still can be.
    pub(super) fn end_requests_of_gone(&mut self, fx: &mut Effects) {
        if fx.change.gone.is_empty() {
            return;
        }
        let occupants = &self.occupants;
        let is_in = |open: &OpenRequest| {
            let is_asked_in = match open.to.is_full() {
                true => occupants.of_session(&open.to).is_some(),
                false => occupants.of_user(&open.to.to_bare()).next().is_some(),
            };
            is_asked_in && occupants.of_session(&open.asker).is_some()
        };
        for open in self.open_requests.take(|open| !is_in(open)) {
            fx.send(refusal(open, Condition::RecipientUnavailable));
        }
    }
}

/// The error with which the room answers an open request itself.
fn refusal(open: OpenRequest, condition: Condition) -> Stanza {
    let head = Head {
        from: Some(open.asked.into_jid()),
        to: Some(open.asker),
        id: Some(open.asked_with),
        ..Head::default()
    };
    let content = Content::from(StanzaError::from(condition).to_node());
    Stanza::Iq(Iq { head, kind: IqKind::Error, content })
}

/// Whether the account answers a request, not the client: cards, nodes, what clients keep.
fn is_for_account(payload: &ElementRef<'_>) -> bool {
    matches!(
        payload.ns(),
        ns::PRIVATE | ns::PUBSUB | ns::PUBSUB_OWNER | photo::CARD_NS | vcard4::NS
    )
}

/// An error without `by`, which would tell the real address of an occupant (RFC 6120 §8.3.1). An error without that
/// attribute stays as it is; one with it is written anew.
pub(super) fn without_by(content: Content) -> Content {
    let Some(error) = content.received_child(ns::CLIENT, "error") else { return content };
    if error.attr("by").is_none() {
        return content;
    }
    let of_stanzas = |child: &ElementRef<'_>| child.ns() == ns::STANZA_ERRORS;
    let found = error.children().filter(of_stanzas).find_map(|child| {
        Condition::ALL.iter().find(|condition| condition.as_str() == child.name())
    });
    let condition = found.copied().unwrap_or(Condition::UndefinedCondition);
    let kind = error.attr("type").unwrap_or(condition.kind().as_str().into());
    let text = error.child(ns::STANZA_ERRORS, "text");
    let text = text.map(|text| element("text").ns(ns::STANZA_ERRORS).text(&text.text()));
    let named = element(condition.as_str()).ns(ns::STANZA_ERRORS);
    Content::from(element("error").attr("type", kind).child(named).children(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jid::{BareJid, Jid};
    use crate::muc::{Effect, Input, RoomConfig, RoomLimits};
    use crate::xml::Frame;

    fn read(xml: &str) -> Stanza {
        Stanza::read(Frame::from_bytes(xml.to_owned()).unwrap()).unwrap()
    }

    fn actor(jid: &str) -> Actor {
        Actor::new(Jid::parse(jid).unwrap(), false)
    }

    fn apply(room: &mut Room, jid: &str, xml: &str) -> Result<Effects, StanzaError> {
        apply_at(room, 1, "token", jid, xml)
    }

    fn apply_at(
        room: &mut Room,
        at: i64,
        token: &str,
        jid: &str,
        xml: &str,
    ) -> Result<Effects, StanzaError> {
        let stanza = read(xml);
        let input = match &stanza {
            Stanza::Iq(iq) if iq.is_request() => Input::Request(iq),
            Stanza::Iq(iq) => Input::Response(iq.clone()),
            Stanza::Message(message) => Input::Message(message.clone()),
            Stanza::Presence(presence) => Input::Presence(presence.clone()),
        };
        let now = Moment { at: Timestamp::from_micros(at), token: token.into() };
        room.apply(&now, &actor(jid), input)
    }

    /// A room with `a@x/1` as `hag`, and `b@x/1` and `b@x/2` as `witch`.
    fn room() -> Room {
        let mut room = Room::new(
            BareJid::parse("coven@chat.x").unwrap(),
            BareJid::parse("a@x").unwrap(),
            RoomConfig::default(),
            RoomLimits::default(),
            [7; 32],
            Timestamp::from_micros(0),
        );
        for (jid, nick) in [("a@x/1", "hag"), ("b@x/1", "witch"), ("b@x/2", "witch")] {
            let xml = format!(
                "<presence to='coven@chat.x/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
            );
            apply(&mut room, jid, &xml).unwrap();
        }
        room
    }

    fn sent(fx: &Effects) -> String {
        match fx.list.as_slice() {
            [Effect::Send(stanza)] => stanza.to_xml(),
            other => panic!("{other:?}"),
        }
    }

    const DISCO: &str = "<query xmlns='http://jabber.org/protocol/disco#info'/>";

    #[test]
    fn a_request_is_passed_on_and_its_answer_finds_the_session() {
        let mut room = room();
        let asked = format!("<iq type='get' id='1' to='coven@chat.x/hag'>{DISCO}</iq>");
        let fx = apply(&mut room, "b@x/1", &asked).unwrap();
        assert!(fx.is_answered_later);
        let xml = sent(&fx);
        assert!(xml.starts_with("<iq from='coven@chat.x/witch' to='a@x/1' id='"), "{xml}");
        let Stanza::Iq(passed) = read(&xml) else { panic!("{xml}") };
        let id = passed.head.id.unwrap();
        let answer = format!("<iq type='result' id='{id}' to='coven@chat.x/witch'>{DISCO}</iq>");
        // Nobody else answers, and nothing else is an answer.
        for (from, answer) in [
            ("b@x/2", answer.clone()),
            ("c@x/1", answer.clone()),
            ("a@x/1", answer.replace(id.as_str(), "1")),
            ("a@x/1", answer.replace(id.as_str(), &format!("{id}2"))),
            ("a@x/1", answer.replace("/witch", "/hag")),
        ] {
            assert!(apply(&mut room, from, &answer).unwrap().list.is_empty(), "{from} {answer}");
        }
        // From another client of the same user, which is how accounts answer.
        let xml = sent(&apply(&mut room, "a@x", &answer).unwrap());
        assert!(
            xml.starts_with("<iq from='coven@chat.x/hag' to='b@x/1' id='1' type='result'>"),
            "{xml}"
        );
        assert!(apply(&mut room, "a@x/1", &answer).unwrap().list.is_empty(), "answered already");
    }

    /// The conditions of the answers that the room itself gives, and to whom.
    fn refused(fx: &Effects) -> Vec<String> {
        let iqs = fx.list.iter().filter_map(|effect| match effect {
            Effect::Send(Stanza::Iq(iq)) if iq.kind == IqKind::Error => {
                let to = iq.head.to.clone().unwrap();
                let condition = Condition::ALL.iter().find(|condition| {
                    Stanza::Iq(iq.clone()).to_xml().contains(&format!("<{} ", condition.as_str()))
                });
                Some(format!("{to} {}", condition.unwrap().as_str()))
            }
            _ => None,
        });
        iqs.collect()
    }

    #[test]
    fn a_request_to_somebody_who_leaves_is_answered_by_the_room() {
        let mut room = room();
        let asked = format!("<iq type='get' id='1' to='coven@chat.x/hag'>{DISCO}</iq>");
        apply(&mut room, "b@x/1", &asked).unwrap();
        let leaves =
            |nick: &str| format!("<presence type='unavailable' to='coven@chat.x/{nick}'/>");
        assert!(refused(&apply(&mut room, "b@x/2", &leaves("witch")).unwrap()).is_empty());
        let fx = apply(&mut room, "a@x/1", &leaves("hag")).unwrap();
        assert_eq!(refused(&fx), ["b@x/1 recipient-unavailable"]);
        let late = "<iq type='result' id='token' to='coven@chat.x/witch'/>";
        assert!(apply(&mut room, "a@x/1", late).unwrap().list.is_empty());
    }

    #[test]
    fn requests_do_not_wait_for_ever_and_not_in_any_number() {
        let mut room = room();
        let asked = format!("<iq type='get' id='1' to='coven@chat.x/hag'>{DISCO}</iq>");
        let mut ask = |at: i64, token: &str| apply_at(&mut room, at, token, "b@x/1", &asked);
        for nth in 0..256 {
            ask(1_000_000, &format!("t{nth}")).unwrap();
        }
        let refusal = ask(2_000_000, "u").unwrap_err();
        assert_eq!(refusal.condition, Condition::ResourceConstraint);
        let fx = ask(121_000_000, "v").unwrap();
        assert_eq!(refused(&fx).len(), 256);
        assert_eq!(refused(&fx)[0], "b@x/1 remote-server-timeout");
    }

    #[test]
    fn strangers_ask_nothing() {
        let mut room = room();
        for (payload, condition) in [
            (DISCO, Condition::BadRequest),
            ("<query xmlns='http://jabber.org/protocol/disco#items'/>", Condition::BadRequest),
            ("<x xmlns='urn:x'/>", Condition::NotAcceptable),
        ] {
            let asked = format!("<iq type='get' id='1' to='coven@chat.x/hag'>{payload}</iq>");
            assert_eq!(apply(&mut room, "c@x/1", &asked).unwrap_err().condition, condition);
        }
    }

    #[test]
    fn cards_and_nodes_are_asked_of_the_account() {
        let mut room = room();
        for payload in
            ["<vCard xmlns='vcard-temp'/>", "<pubsub xmlns='http://jabber.org/protocol/pubsub'/>"]
        {
            let asked = format!("<iq type='get' id='1' to='coven@chat.x/witch'>{payload}</iq>");
            let xml = sent(&apply(&mut room, "a@x/1", &asked).unwrap());
            assert!(xml.contains(" to='b@x' "), "{xml}");
        }
    }

    #[test]
    fn the_room_answers_pings_of_ones_own_place() {
        let mut room = room();
        let ping = |nick: &str| {
            format!(
                "<iq type='get' id='1' to='coven@chat.x/{nick}'><ping xmlns='urn:xmpp:ping'/></iq>"
            )
        };
        let fx = apply(&mut room, "b@x/1", &ping("witch")).unwrap();
        assert!(fx.list.is_empty() && fx.answer.is_none() && !fx.is_answered_later);
        assert!(apply(&mut room, "b@x/1", &ping("hag")).unwrap().is_answered_later);
        let error = |jid: &str, nick: &str, room: &mut Room| {
            apply(room, jid, &ping(nick)).unwrap_err().condition
        };
        assert_eq!(error("b@x/1", "nobody", &mut room), Condition::ItemNotFound);
        assert_eq!(error("b@x/3", "witch", &mut room), Condition::NotAcceptable);
    }

    #[test]
    fn an_error_does_not_say_where_it_comes_from() {
        let content = |inner: &str| {
            let Stanza::Iq(iq) = read(&format!("<iq type='error' id='1'>{inner}</iq>")) else {
                panic!("{inner}")
            };
            let iq = Iq { content: without_by(iq.content), ..iq };
            Stanza::Iq(iq).to_xml()
        };
        let condition = "<forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>";
        let told = content(&format!("<error type='auth' by='a@x'>{condition}</error>"));
        assert_eq!(
            told,
            format!("<iq id='1' type='error'><error type='auth'>{condition}</error></iq>")
        );
        let other = format!("<error type='auth'>{condition}<x xmlns='urn:x'/></error>");
        assert!(content(&other).contains(&other));
    }
}
