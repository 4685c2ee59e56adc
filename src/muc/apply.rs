//! Dispatches an input of a room to the file that handles it.

use super::{Actor, Effects, Input, Moment, Room};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{Condition, Iq, IqKind, StanzaError};

impl Room {
    /// Handles an input. Returns the effects, which the caller carries out.
    ///
    /// # Errors
    /// The error for the sender. Then the room has not changed.
    pub fn apply(
        &mut self,
        now: &Moment,
        actor: &Actor,
        input: Input<'_>,
    ) -> Result<Effects, StanzaError> {
        let mut fx = Effects::default();
        match input {
            Input::Presence(presence) => self.presence(now, actor, presence, &mut fx)?,
            Input::Ended(presence) => self.ended(actor, presence, &mut fx),
            Input::Refused(message) => self.undelivered(actor, message, &mut fx),
            Input::Message(message) => self.message(now, actor, message, &mut fx)?,
            Input::Request(iq) => self.request(now, actor, iq, &mut fx)?,
            Input::Response(iq) => self.relay_response(actor, iq, &mut fx),
            // The service checks whether the room has occupants. A locked room was never configured, and its creator has
            // left: nobody could enter it (XEP-0045 §10.1.3).
            Input::Lost
                if self.occupants.is_empty()
                    && (!self.config.is_persistent || self.config.locked) =>
            {
                fx.is_destroyed = true;
            }
            Input::Lost => self.lost(&actor.jid, &mut fx),
        }
        self.tell_affiliation_changes(&mut fx);
        self.forget_members(&mut fx);
        self.end_requests_of_gone(&mut fx);
        self.end_overdue_requests(now, &mut fx);
        self.end_if_empty(&mut fx);
        Ok(fx)
    }

    /// Ends a temporary room if its last occupant has left (XEP-0045 §7.14). A request does not end it.
    pub(super) fn end_if_empty(&self, fx: &mut Effects) {
        if self.occupants.is_empty() && !self.config.is_persistent && !fx.is_destroyed {
            fx.is_destroyed = !fx.change.gone.is_empty();
        }
    }

    /// A request to the room, or to an occupant.
    fn request(
        &mut self,
        now: &Moment,
        actor: &Actor,
        iq: &Iq,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        let payload = iq.payload().ok_or(Condition::BadRequest)?;
        if iq.head.to.as_ref().is_some_and(Jid::is_full) {
            return self.relay_request(now, actor, iq, fx);
        }
        match (payload.ns(), payload.name()) {
            (ns::MUC_ADMIN, "query") => self.admin(now, actor, iq.kind, &payload, fx),
            (ns::MUC_OWNER, "query") => self.owner(now, actor, iq.kind, &payload, fx),
            (super::challenge::NS, "captcha") if iq.kind == IqKind::Set => {
                self.answer_challenge(now, actor, &payload, fx)
            }
            (ns::REGISTER, "query") => self.register(now, actor, iq.kind, &payload, fx),
            (super::moderation::NS, "moderate") if iq.kind == IqKind::Set => {
                self.moderate(now, actor, &payload, fx)
            }
            (ns::FASTEN, "apply-to") if iq.kind == IqKind::Set => {
                self.moderate_0(now, actor, &payload, fx)
            }
            _ => self.other_request(now, actor, iq, fx),
        }
    }
}
