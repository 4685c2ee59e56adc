//! An occupant writes to another one (XEP-0045 §7.5).

use super::affiliation::Role;
use super::{Actor, AllowPm, Effects, Room};
use crate::ns;
use crate::payload::hints;
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
        for (nth, session) in recipient.sessions().enumerate() {
            let mut copy = message.clone();
            copy.head = Head {
                from: Some(from.clone()),
                to: Some(session.clone()),
                ..message.head.clone()
            };
            if nth > 0 {
                // The account keeps it once.
                copy.content.add(&element("no-store").ns(hints::NS));
            }
            fx.send(Stanza::Message(copy));
        }
        Ok(())
    }
}
