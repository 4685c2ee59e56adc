//! Messages are retracted: by their authors (XEP-0424), and by moderators (XEP-0425).
//!
//! A room does not read its archive. Its effects say which message is retracted, and by whom ([`Retraction`]); the functions
//! here that are public judge and change what is found there.

use smol_str::SmolStr;

use super::affiliation::Role;
use super::author::kept_author;
use super::effect::{Effect, Publication, Retraction};
use super::{Actor, Effects, Moment, Room, occupant_id};
use crate::ns;
use crate::stanza::{Condition, Content, Head, Message, MessageKind, StanzaError};
use crate::xml::{ElementRef, Node, element};

/// The namespace of moderation.
pub(super) const NS: &str = "urn:xmpp:message-moderate:1";
/// The one before version 0.3.0. Requests of that version are read; what the room sends is of the newer one.
const NS_0: &str = "urn:xmpp:message-moderate:0";

/// Whether only a room may send this child: it says that a moderator retracts a message, or that one was retracted.
pub(super) fn is_forged(child: &ElementRef<'_>) -> bool {
    let is_moderation = |ns: &str| matches!(ns, NS | NS_0);
    let retracts = child.ns() == ns::RETRACT || child.is(ns::FASTEN, "apply-to");
    is_moderation(child.ns())
        || child.is(ns::RETRACT, "retracted")
        || (retracts && child.children().any(|inner| is_moderation(inner.ns())))
}

/// Whether a moderator has retracted a message with this: only the room makes such elements.
pub(super) fn is_by_moderator(child: &ElementRef<'_>) -> bool {
    child.is(ns::RETRACT, "retract") && child.has_child(NS, "moderated")
}

/// The message that this one retracts. `author`: the identifier of the occupant who has sent it.
///
/// The tombstone names the retraction by its `id` (XEP-0424 §4): one without an `id` gets one.
pub(super) fn retracts(now: &Moment, author: &str, message: &mut Message) -> Option<Retraction> {
    let id = retracted_id(message)?;
    let by = message.head.id.get_or_insert_with(|| now.token.clone()).as_str();
    let retracted = element("retracted").ns(ns::RETRACT).attr("id", by);
    Some(Retraction {
        id,
        author: Some(SmolStr::new(author)),
        retracted: retracted.attr("stamp", now.at.to_string()),
        must_exist: false,
    })
}

/// The id that a retraction names. Messages of a room are named by the id that the room gave them (XEP-0424 §5.1).
fn retracted_id(message: &Message) -> Option<String> {
    let id = if let Some(retract) = message.content.received_child(ns::RETRACT, "retract") {
        retract.attr("id")?
    } else {
        // Before version 0.4.0.
        let apply = message.content.received_child(ns::FASTEN, "apply-to")?;
        apply.child(ns::RETRACT_0, "retract")?;
        apply.attr("id")?
    };
    Some(id.into_owned()).filter(|id| !id.is_empty())
}

impl Room {
    /// A moderator retracts a message (XEP-0425 §3). The room announces it to all; the message becomes a tombstone.
    ///
    /// # Errors
    /// `forbidden` for others. The code that carries out the [`Publication`] answers `item-not-found` if there is no
    /// such message.
    pub(super) fn moderate(
        &mut self,
        now: &Moment,
        actor: &Actor,
        moderate: &ElementRef<'_>,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        if !moderate.has_child(ns::RETRACT, "retract") {
            return Err(Condition::BadRequest.text("messages can only be retracted"));
        }
        let reason = moderate.child(NS, "reason").map(|reason| reason.text().into_owned());
        let id = moderate.attr("id").unwrap_or_default();
        self.retract_by_moderator(now, actor, &id, reason.as_deref(), fx)
    }

    /// The same, as clients asked for it before version 0.3.0 of XEP-0425.
    pub(super) fn moderate_0(
        &mut self,
        now: &Moment,
        actor: &Actor,
        apply_to: &ElementRef<'_>,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        let moderate = apply_to.child(NS_0, "moderate").ok_or(Condition::ServiceUnavailable)?;
        if !moderate.children().any(|child| child.name() == "retract") {
            return Err(Condition::BadRequest.text("messages can only be retracted"));
        }
        let reason = moderate.child(NS_0, "reason").map(|reason| reason.text().into_owned());
        let id = apply_to.attr("id").unwrap_or_default();
        self.retract_by_moderator(now, actor, &id, reason.as_deref(), fx)
    }

    fn retract_by_moderator(
        &mut self,
        now: &Moment,
        actor: &Actor,
        id: &str,
        reason: Option<&str>,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        let moderator = self.occupants.of_session(&actor.jid);
        let moderator =
            moderator.filter(|occupant| occupant.role == Role::Moderator).ok_or_else(|| {
                Condition::Forbidden.text("only moderators retract messages of others")
            })?;
        if id.is_empty() {
            return Err(Condition::BadRequest.text("the id of the message is missing"));
        }
        let moderated = element("moderated")
            .ns(NS)
            .attr("by", moderator.address.as_str())
            .child(occupant_id::node(&moderator.id));
        let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
        let why = |node: Node| {
            node.child(moderated.clone()).children(reason.map(|why| element("reason").text(why)))
        };
        let retract = why(element("retract").ns(ns::RETRACT).attr("id", id));
        let stamp = now.at.to_string();
        let retracted =
            why(element("retracted").ns(ns::RETRACT).attr("id", &now.token).attr("stamp", stamp));
        let head = Head {
            from: Some(self.jid.clone().into_jid()),
            id: Some(now.token.clone()),
            ..Head::default()
        };
        fx.list.push(Effect::Publish(Box::new(Publication {
            message: Message {
                head,
                kind: MessageKind::Groupchat,
                content: Content::from(retract),
            },
            to: self.occupants.sessions(),
            archive: self.config.archive,
            in_history: true,
            author: None,
            retracts: Some(Retraction {
                id: id.to_owned(),
                author: None,
                retracted,
                must_exist: true,
            }),
        })));
        Ok(())
    }

    /// Whether a message of the archive may be retracted: an occupant has written it, the right one if there is one,
    /// and it is no tombstone. Authors do not retract their retractions, which must stay in the archive
    /// (XEP-0424 §5).
    #[must_use]
    pub fn may_retract(retraction: &Retraction, original: &Message) -> bool {
        let has = |name| original.content.has_received_child(ns::RETRACT, name);
        let by = author_of(original);
        original.kind == MessageKind::Groupchat
            && by.is_some()
            && !has("retracted")
            && retraction
                .author
                .as_deref()
                .is_none_or(|author| by.as_deref() == Some(author) && !has("retract"))
    }

    /// What stays of a message in the archive: its addresses, its id, and its author: the identifier of the occupant,
    /// and the real address, which only users with the right to see it get (XEP-0424 §4, XEP-0425 §4).
    /// `original` is as the archive has it.
    #[must_use]
    pub fn tombstone(original: &Message, retraction: &Retraction) -> Message {
        let mut content = Content::from(retraction.retracted.clone());
        if let Some(author) = author_of(original) {
            content.add(&occupant_id::node(&author));
        }
        if let Some(author) = kept_author(original) {
            content.add(&author);
        }
        Message { head: original.head.clone(), kind: original.kind, content }
    }

    /// Removes a retracted message from what newcomers get (XEP-0424 §5).
    pub fn note_retracted(&mut self, retraction: &Retraction) {
        self.history.forget(&retraction.id);
    }
}

/// The identifier of the occupant who has written a message.
fn author_of(message: &Message) -> Option<String> {
    let id = message.content.received_child(occupant_id::NS, "occupant-id")?.attr("id")?;
    Some(id.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::datetime::Timestamp;
    use crate::stanza::Stanza;
    use crate::xml::Frame;

    fn message(inner: &str) -> Message {
        let xml = format!(
            "<message type='groupchat' id='m' from='coven@chat.example/hag'>{inner}</message>"
        );
        match Stanza::read(Frame::from_bytes(xml).unwrap()).unwrap() {
            Stanza::Message(message) => message,
            other => panic!("{other:?}"),
        }
    }

    fn now() -> Moment {
        Moment { at: Timestamp::from_micros(1_795_161_600_123_000), token: "t".into() }
    }

    #[test]
    fn retractions_of_both_versions_name_a_message() {
        let found = |inner: &str| {
            retracts(&now(), "o", &mut message(inner)).map(|retraction| retraction.id)
        };
        let retract = "<retract xmlns='urn:xmpp:message-retract:1' id='a'/>";
        let old = "<apply-to xmlns='urn:xmpp:fasten:0' id='b'>\
                   <retract xmlns='urn:xmpp:message-retract:0'/></apply-to>";
        assert_eq!(found(retract).as_deref(), Some("a"));
        assert_eq!(found(old).as_deref(), Some("b"));
        assert_eq!(found("<retract xmlns='urn:xmpp:message-retract:1'/>"), None);
        assert_eq!(found("<apply-to xmlns='urn:xmpp:fasten:0' id='b'/>"), None);
        assert_eq!(found("<body>retract</body>"), None);
        let mut nameless = message(retract);
        nameless.head.id = None;
        let found = retracts(&now(), "o", &mut nameless).unwrap();
        assert_eq!(nameless.head.id.as_deref(), Some("t"));
        assert!(found.retracted.to_xml().contains("id='t'"));
    }

    #[test]
    fn only_the_room_says_that_a_moderator_did_it() {
        let forged =
            |inner: &str| message(inner).content.received_children().any(|c| is_forged(&c));
        for inner in [
            "<moderated xmlns='urn:xmpp:message-moderate:1'/>",
            "<retract xmlns='urn:xmpp:message-retract:1' id='a'>\
             <moderated xmlns='urn:xmpp:message-moderate:1' by='coven@chat.example/x'/></retract>",
            "<retracted xmlns='urn:xmpp:message-retract:1' id='a'/>",
            "<apply-to xmlns='urn:xmpp:fasten:0' id='a'>\
             <moderated xmlns='urn:xmpp:message-moderate:0'/></apply-to>",
        ] {
            assert!(forged(inner), "{inner}");
        }
        for inner in [
            "<retract xmlns='urn:xmpp:message-retract:1' id='a'/>",
            "<apply-to xmlns='urn:xmpp:fasten:0' id='a'>\
             <retract xmlns='urn:xmpp:message-retract:0'/></apply-to>",
            "<body>moderated</body>",
        ] {
            assert!(!forged(inner), "{inner}");
        }
    }

    #[test]
    fn an_author_retracts_only_own_messages() {
        let id = "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='o'/>\
                  <x xmlns='http://jabber.org/protocol/muc#user'><item jid='a@b'/></x>";
        let said = message(&format!("<body>x</body>{id}"));
        let retract = "<retract xmlns='urn:xmpp:message-retract:1' id='a'/>";
        let by = |author: Option<&str>| Retraction {
            author: author.map(SmolStr::new),
            ..retracts(&now(), "", &mut message(retract)).unwrap()
        };
        assert!(Room::may_retract(&by(Some("o")), &said));
        assert!(Room::may_retract(&by(None), &said));
        assert!(!Room::may_retract(&by(Some("p")), &said));
        assert!(!Room::may_retract(&by(None), &message("<body>x</body>")));
        let retraction = message(&format!("{retract}{id}"));
        assert!(!Room::may_retract(&by(Some("o")), &retraction));
        assert!(Room::may_retract(&by(None), &retraction));
        let tombstone = Room::tombstone(&said, &by(Some("o")));
        let xml = Stanza::Message(tombstone).to_xml();
        let expected = "<message from='coven@chat.example/hag' id='m' type='groupchat'>\
            <retracted xmlns='urn:xmpp:message-retract:1' id='m' stamp='2026-11-20T08:00:00.123Z'/>\
            <occupant-id xmlns='urn:xmpp:occupant-id:0' id='o'/>\
            <x xmlns='http://jabber.org/protocol/muc#user'><item jid='a@b'/></x></message>";
        assert_eq!(xml, expected);
        let Ok(Stanza::Message(read)) = Stanza::read(Frame::from_bytes(xml).unwrap()) else {
            panic!("a message")
        };
        assert!(!Room::may_retract(&by(None), &read));
    }
}
