//! Requests of moderators and admins: lists, kicks, bans, roles, affiliations (XEP-0045 §8, §9).

use super::{Actor, Effects, Moment, Room};
use crate::stanza::{Condition, IqKind, StanzaError};
use crate::xml::ElementRef;

/// The namespace.
pub(super) const NS: &str = "http://jabber.org/protocol/muc#admin";

impl Room {
    pub(super) fn admin(
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
