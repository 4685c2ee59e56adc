//! An occupant sends a groupchat message (XEP-0045 §7.4).

use super::affiliation::Role;
use super::effect::{Effect, Publication};
use super::occupants::is_delayed_by;
use super::program::Speaker;
use super::{Actor, Affiliation, Effects, Moment, Room, moderation, occupant_id, subject};
use crate::archive::policy::is_lasting;
use crate::jid::Jid;
use crate::ns;
use crate::payload::hints::Hints;
use crate::payload::stanza_id;
use crate::stanza::{Condition, Message, MessageKind, StanzaError, is_encrypted};
use crate::xml::ElementRef;

impl Room {
    /// Handles a message to the room, or to an occupant.
    pub(super) fn message(
        &mut self,
        now: &Moment,
        actor: &Actor,
        message: Message,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        let is_to_occupant = message.head.to.as_ref().is_some_and(Jid::is_full);
        let is_locked = self.config.locked && self.affiliation_of(actor) != Affiliation::Owner;
        if is_locked && message.kind != MessageKind::Error {
            return Err(Condition::ItemNotFound.text("this room is being made")); // §17.2
        }
        match message.kind {
            MessageKind::Error => {
                self.bounced(actor, message, fx);
                Ok(())
            }
            MessageKind::Groupchat if is_to_occupant => {
                Err(Condition::BadRequest
                    .text("a private message must not be of the type groupchat"))
            }
            MessageKind::Groupchat => self.groupchat(now, actor, message, fx),
            _ if is_to_occupant => self.private_message(actor, message, fx),
            _ => self.message_to_room(now, actor, &message, fx),
        }
    }

    /// A groupchat message.
    fn groupchat(
        &mut self,
        now: &Moment,
        actor: &Actor,
        mut message: Message,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        let Speaker { address, id, role } = self.speaker(actor)?;
        if role < Role::Participant && (self.config.moderated || role == Role::None) {
            return Err(Condition::Forbidden.text("visitors may not write to all"));
        }
        self.clean(&mut message);
        message.head.from = Some(address.into_jid());
        message.head.to = None;
        let is_subject = subject::is_change(&message);
        let says = message.content.received_children().any(|child| is_lasting(&child));
        let has_text = message.content.has_received_child(ns::CLIENT, "body");
        if has_text {
            self.may_speak(now, actor)?;
        }
        if is_subject {
            self.set_subject(now, (role, &id), &message, fx)?;
        }
        message.content.add(&occupant_id::node(&id));
        if has_text {
            self.note_spoken(now, &actor.user);
        }
        let hints = Hints::of(&message.content);
        let lasts = (says || hints.store) && !hints.no_store && !hints.no_permanent_store;
        let in_history = is_for_newcomers(&message);
        let retracts = moderation::retracts(now, &id, &mut message);
        fx.list.push(Effect::Publish(Box::new(Publication {
            archive: self.config.archive && (lasts || is_subject),
            in_history: in_history && !hints.no_store,
            to: self.occupants.sessions(),
            author: Some(actor.jid.clone()),
            retracts,
            message,
        })));
        Ok(())
    }

    /// Removes children that only the room may add: about occupants, its archive, and delays.
    pub(super) fn clean(&self, message: &mut Message) {
        let room = &self.jid;
        message.content.remove(|child| {
            (child.ns() == ns::MUC_USER && child.name() == "x")
                || child.ns() == occupant_id::NS
                || child.ns() == super::extra::HATS
                || stanza_id::is_by(child, room)
                || is_delayed_by(child, room)
                || child.is(ns::ADDRESSES, "addresses")
                || moderation::is_forged(child)
        });
    }
}

/// Whether the history for newcomers has messages of this kind (XEP-0045 §7.2.13): with a text, encrypted, with a
/// file, or a moderator's retraction (XEP-0425), which takes the place of one. The other messages of the archive are
/// useful only for clients that read the archive.
#[must_use]
pub fn is_for_newcomers(message: &Message) -> bool {
    let shows = |child: ElementRef<'_>| {
        child.is(ns::CLIENT, "body")
            || is_encrypted(&child)
            || child.is(ns::FILES, "file-sharing")
            || moderation::is_by_moderator(&child)
    };
    message.content.received_children().any(shows)
}
