//! Requests from one occupant to another (XEP-0045 §17.4), and pings of one's own place (XEP-0410).
//!
//! A request that is passed on gets another id: a code that only this room can make, and the id that the asker
//! chose. The answer comes to the occupant address of the asker, and the code says which of its sessions has asked,
//! and whom. So the room remembers no requests. An answer finds nobody if the asker has left or has another
//! nickname by then, or if whoever was asked has left.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use smol_str::SmolStr;

use super::occupants::Occupant;
use super::{Actor, Effects, Room};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::payload::{photo, vcard4};
use crate::stanza::{Condition, Content, ErrorKind, Head, Iq, IqKind, Stanza, StanzaError};
use crate::xml::{ElementRef, element};

impl Room {
    /// An occupant asks another one.
    ///
    /// The option who may send private messages does not count here: it is about conversations, and clients ask for
    /// cards and pictures without their users.
    ///
    /// # Errors
    /// `not-acceptable` for those who are not in the room (XEP-0410 §3.2), `item-not-found` if nobody has the
    /// nickname.
    pub(super) fn relay_request(
        &self,
        actor: &Actor,
        iq: &Iq,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        let Some(asker) = self.occupants.of_session(&actor.jid) else {
            return Err(Condition::NotAcceptable
                .text("you are not in the room")
                .kind(ErrorKind::Cancel));
        };
        let nick = iq.head.to.as_ref().and_then(|to| to.resource()).unwrap_or_default();
        let asked = self.occupants.get(nick);
        let asked =
            asked.ok_or_else(|| Condition::ItemNotFound.text("there is no such occupant"))?;
        let payload = iq.payload().ok_or(Condition::BadRequest)?;
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
        let id = iq.head.id.as_deref().unwrap_or_default();
        let head = Head {
            from: Some(asker.address.clone().into_jid()),
            to: Some(to),
            id: Some(SmolStr::new(self.id_for(&actor.jid, asked, id))),
            lang: iq.head.lang.clone(),
        };
        fx.send(Stanza::Iq(Iq { head, kind: iq.kind, content: iq.content.clone() }));
        fx.is_answered_later = true;
        Ok(())
    }

    /// An answer comes back. What the room did not ask is dropped, since nobody answers an answer.
    pub(super) fn relay_response(&self, actor: &Actor, mut iq: Iq, fx: &mut Effects) {
        let Some((session, asked, id)) = self.asked_by(&actor.user, &iq.head) else { return };
        iq.head = Head {
            from: Some(asked.address.clone().into_jid()),
            to: Some(session.clone()),
            id: Some(SmolStr::new(id)),
            lang: iq.head.lang.take(),
        };
        if iq.kind == IqKind::Error {
            iq.content = without_by(iq.content);
        }
        fx.send(Stanza::Iq(iq));
    }

    /// Which session has asked whom, and under which id, if this is the head of an answer.
    fn asked_by<'a>(
        &'a self,
        responder: &BareJid,
        head: &'a Head,
    ) -> Option<(&'a Jid, &'a Occupant, &'a str)> {
        let id = head.id.as_deref()?.get(CODE_LENGTH..)?;
        let asker = self.occupants.get(head.to.as_ref()?.resource()?)?;
        let mut responders = self.occupants.of_user(responder);
        responders.find_map(|asked| {
            let mut sessions = asker.sessions();
            let session = sessions.find(|session| {
                Some(self.id_for(session, asked, id).as_str()) == head.id.as_deref()
            })?;
            Some((session, asked, id))
        })
    }

    /// The id with which a request is passed on.
    fn id_for(&self, asker: &Jid, asked: &Occupant, id: &str) -> String {
        let mut mac: Hmac<Sha256> =
            Mac::new_from_slice(&self.secret).expect("a key of any length is taken");
        let parts =
            [self.jid.as_str(), asker.as_str(), asked.user.as_str(), asked.nick.as_str(), id];
        mac.update(b"request");
        for part in parts {
            mac.update(b"\0");
            mac.update(part.as_bytes());
        }
        let mut code = URL_SAFE_NO_PAD.encode(&mac.finalize().into_bytes()[..CODE_BYTES]);
        code.push_str(id);
        code
    }
}

/// Whether the account answers a request, not the client: cards, nodes, what clients keep.
fn is_for_account(payload: &ElementRef<'_>) -> bool {
    matches!(
        payload.ns(),
        ns::PRIVATE | ns::PUBSUB | ns::PUBSUB_OWNER | photo::CARD_NS | vcard4::NS
    )
}

/// An error without the address of who has found it: that is at the real address of an occupant (RFC 6120 §8.3.1).
/// All else stays, unless the address is there: then the error is written anew.
fn without_by(content: Content) -> Content {
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

/// Bytes of the code in an id, and its characters.
const CODE_BYTES: usize = 12;
const CODE_LENGTH: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::muc::{Effect, Input, Moment, RoomConfig, RoomLimits};
    use crate::payload::datetime::Timestamp;
    use crate::xml::Frame;

    fn read(xml: &str) -> Stanza {
        Stanza::read(Frame::from_bytes(xml.to_owned()).unwrap()).unwrap()
    }

    fn actor(jid: &str) -> Actor {
        Actor::new(Jid::parse(jid).unwrap(), false)
    }

    fn moment() -> Moment {
        Moment { at: Timestamp::from_micros(1), token: "t".into() }
    }

    fn apply(room: &mut Room, jid: &str, xml: &str) -> Result<Effects, StanzaError> {
        let stanza = read(xml);
        let input = match &stanza {
            Stanza::Iq(iq) if iq.is_request() => Input::Request(iq),
            Stanza::Iq(iq) => Input::Response(iq.clone()),
            Stanza::Message(message) => Input::Message(message.clone()),
            Stanza::Presence(presence) => Input::Presence(presence.clone()),
        };
        room.apply(&moment(), &actor(jid), input)
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
        // From another client of the same user, which is how accounts answer.
        let xml = sent(&apply(&mut room, "a@x", &answer).unwrap());
        assert!(
            xml.starts_with("<iq from='coven@chat.x/hag' to='b@x/1' id='1' type='result'>"),
            "{xml}"
        );
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
