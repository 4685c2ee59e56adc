//! Requests of owners: the configuration, and the end of the room (XEP-0045 §10).

use super::{Actor, Effects, Moment, Room};
use crate::stanza::{Condition, IqKind, StanzaError};
use crate::xml::ElementRef;

/// The namespace.
pub(super) const NS: &str = "http://jabber.org/protocol/muc#owner";

impl Room {
    pub(super) fn owner(
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
