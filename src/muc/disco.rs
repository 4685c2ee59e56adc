//! What a room tells of itself (XEP-0045 §6.4, §6.5), and requests that no other file answers.

use super::{Actor, Effects, Moment, Room};
use crate::stanza::{Condition, Iq, StanzaError};

impl Room {
    pub(super) fn other_request(
        &mut self,
        _now: &Moment,
        _actor: &Actor,
        _iq: &Iq,
        _fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        Err(Condition::ServiceUnavailable.into())
    }
}
