//! Requests from one occupant to another (XEP-0045 §17.4), and pings of one's own place (XEP-0410).

use super::{Actor, Effects, Room};
use crate::stanza::{Condition, Iq, StanzaError};

impl Room {
    pub(super) fn relay_request(
        &self,
        _actor: &Actor,
        _iq: &Iq,
        _fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        Err(Condition::ServiceUnavailable.into())
    }

    pub(super) fn relay_response(&self, _actor: &Actor, _iq: Iq, _fx: &mut Effects) {}
}
