//! Users register with a room, and with a nickname (XEP-0045 §7.10).

use super::{Actor, Effects, Moment, Room};
use crate::stanza::{Condition, IqKind, StanzaError};
use crate::xml::ElementRef;

impl Room {
    pub(super) fn register(
        &mut self,
        _now: &Moment,
        _actor: &Actor,
        _kind: IqKind,
        _query: &ElementRef<'_>,
        _fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        Err(Condition::FeatureNotImplemented.into())
    }
}
