//! An occupant writes to another one (XEP-0045 §7.5), and is told what was not delivered.
//!
//! An error is passed on only if it is about a stanza that an occupant has sent: otherwise people could write to others
//! by errors.

use super::affiliation::Role;
use super::leave::readable;
use super::relay::without_by;
use super::sent_private_messages::SentPrivateMessage;
use super::{Actor, AllowPm, Effects, Room, says_gone};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{Condition, Head, Message, Stanza, StanzaError};
use crate::xml::element;

impl Room {
    /// Sends a message to an occupant: to all its sessions.
    pub(super) fn private_message(
        &mut self,
        actor: &Actor,
        mut message: Message,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        let sender = self.occupant(actor)?;
        let to = message.head.to.as_ref().and_then(|to| to.resource()).unwrap_or_default();
        let recipient = self
            .occupants
            .get(to)
            .ok_or_else(|| Condition::ItemNotFound.text("there is no such occupant"))?;
        let may = match self.config.allow_pm {
            AllowPm::Anyone => true,
            AllowPm::Participants => sender.role >= Role::Participant,
            AllowPm::Moderators => sender.role == Role::Moderator,
            AllowPm::None => false,
        };
        if !may && sender.nick != recipient.nick {
            return Err(Condition::Forbidden.text("private messages are not allowed here"));
        }
        self.clean(&mut message);
        message.content.add(&super::occupant_id::node(&sender.id));
        message.content.add(&element("x").ns(ns::MUC_USER));
        let from = sender.address.clone().into_jid();
        let Some(best) = recipient.best() else { return Ok(()) };
        let id = message.head.id.clone();
        message.head = Head { from: Some(from), to: None, ..message.head };
        let to = Some(best.session.clone());
        let first = Message { head: Head { to, ..message.head.clone() }, ..message.clone() };
        fx.send(Stanza::Message(first));
        // One copy is routed, so the account stores it once. The other sessions get it like a groupchat message.
        let others = recipient.sessions().filter(|session| **session != best.session);
        let others: Vec<_> = others.cloned().collect();
        fx.tell_message(others.into(), message);
        let sent = SentPrivateMessage {
            id,
            by: actor.jid.clone(),
            from: sender.address.clone(),
            to: recipient.address.clone(),
            user: recipient.user.clone(),
            left: 1,
        };
        self.private_messages.note(sent);
        Ok(())
    }

    /// Handles a stanza of the room that has come back from a session. If the session can no longer be reached, it is removed
    /// (XEP-0045 §11.1, §18.1.2).
    pub(super) fn bounced(&mut self, actor: &Actor, message: Message, fx: &mut Effects) {
        let is_gone = says_gone(&message.content);
        match message.head.to.as_ref().is_some_and(Jid::is_bare) {
            true => self.not_invited(actor, &message, fx),
            false => self.undelivered(actor, message, fx),
        }
        if is_gone {
            self.lost(&actor.jid, fx);
        }
    }

    /// Tells the sender of a private message that no session of the recipient has got it: with the error of the last
    /// one, and without real addresses.
    pub(super) fn undelivered(&mut self, actor: &Actor, message: Message, fx: &mut Effects) {
        let Message { head, kind, content } = message;
        let Some(to) = &head.to else { return };
        let bounced = self.private_messages.bounced(&actor.user, to, head.id.as_deref());
        let Some(sent) = bounced else { return };
        if sent.left == 0 && self.has_session(&sent.by) {
            let mut content = readable(&content);
            content.remove(|child| !child.is(ns::CLIENT, "error"));
            let head = Head {
                from: Some(sent.to.into_jid()),
                to: Some(sent.by.clone()),
                id: sent.id,
                lang: head.lang,
            };
            let content = without_by(content);
            fx.tell(&sent.by, Stanza::Message(Message { head, kind, content }));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::muc::tests::{Coven, told};
    use crate::muc::{Effect, Effects};

    fn error(id: &str, to: &str, condition: &str) -> String {
        format!(
            "<message type='error' id='{id}' to='coven@chat.example/{to}'><body>x</body>\
             <error type='cancel' by='hag66@witches'>\
             <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
        )
    }

    fn write(coven: &mut Coven, id: &str) {
        let message = format!(
            "<message type='chat' id='{id}' to='coven@chat.example/hag'><body>psst</body></message>"
        );
        coven.receives("crone1", &message).unwrap();
    }

    fn xml(fx: &Effects) -> String {
        match fx.list.as_slice() {
            [Effect::Tell(stanza, _)] => stanza.to_xml(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_sender_hears_once_of_a_private_message_that_came_back() {
        let mut coven = Coven::new();
        write(&mut coven, "p1");
        let blocked = error("p1", "crone", "service-unavailable");
        let fx = coven.receives("hag66", &blocked).unwrap();
        assert_eq!(
            xml(&fx),
            "<message from='coven@chat.example/hag' to='crone1@witches/pda' id='p1' type='error'>\
             <error type='cancel'>\
             <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
        );
        assert_eq!(coven.room.occupants(), 3, "who has blocked the sender is there");
        let fx = coven.receives("hag66", &error("p1", "crone", "not-allowed")).unwrap();
        assert!(fx.list.is_empty());
    }

    #[test]
    fn who_is_gone_is_removed_and_the_sender_hears_of_it() {
        let mut coven = Coven::new();
        write(&mut coven, "p1");
        let fx = coven.receives("hag66", &error("p1", "crone", "recipient-unavailable")).unwrap();
        let told = told(&fx);
        assert_eq!(told[0], "crone1: error");
        assert_eq!(told[1], "crone1: hag unavailable none/none jid 333");
    }

    #[test]
    fn nobody_writes_to_others_by_errors() {
        let mut coven = Coven::new();
        write(&mut coven, "p1");
        for (from, error) in [
            ("hag66", error("p2", "crone", "not-allowed")),
            ("hag66", error("p1", "wicca", "not-allowed")),
            ("wiccarocks", error("p1", "crone", "not-allowed")),
        ] {
            assert!(coven.receives(from, &error).unwrap().list.is_empty(), "{error}");
        }
    }
}
