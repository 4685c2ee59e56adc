//! An occupant writes to another one (XEP-0045 §7.5).

use super::affiliation::Role;
use super::{Actor, AllowPm, Effects, Room};
use crate::ns;
use crate::stanza::{Condition, Head, Message, Stanza, StanzaError};
use crate::xml::element;

impl Room {
    /// A message to an occupant: it goes to all its sessions.
    pub(super) fn private_message(
        &self,
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
        // Whoever may not write to others may still write to moderators and to itself.
        let is_open = recipient.role == Role::Moderator && self.config.allow_pm != AllowPm::None;
        if !may && !is_open && sender.nick != recipient.nick {
            return Err(Condition::Forbidden.text("private messages are not allowed here"));
        }
        self.clean(&mut message);
        message.content.add(&super::occupant_id::node(&sender.id));
        message.content.add(&element("x").ns(ns::MUC_USER));
        let from = sender.address.clone().into_jid();
        let Some(best) = recipient.best() else { return Ok(()) };
        message.head = Head { from: Some(from), to: None, ..message.head };
        let to = Some(best.session.clone());
        let first = Message { head: Head { to, ..message.head.clone() }, ..message.clone() };
        fx.send(Stanza::Message(first));
        // The account keeps it once. The others get it as they get messages to all.
        let others = recipient.sessions().filter(|session| **session != best.session);
        let others: Vec<_> = others.cloned().collect();
        fx.tell_message(others.into(), message);
        Ok(())
    }
}
