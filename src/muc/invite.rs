//! Messages to the room itself that are not for all: invitations and refusals (XEP-0045 §7.8), requests for voice
//! and the answers of moderators.

use super::{Actor, Effects, Moment, Room};
use crate::stanza::{Condition, Message, StanzaError};

impl Room {
    pub(super) fn message_to_room(
        &mut self,
        _now: &Moment,
        _actor: &Actor,
        _message: Message,
        _fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        Err(Condition::BadRequest.into())
    }
}
