//! Messages are removed: by their authors (XEP-0424), and by moderators (XEP-0425).

use super::{Actor, Effects, Moment, Room};
use crate::stanza::{Condition, Message, StanzaError};
use crate::xml::ElementRef;

/// The namespace of moderation.
pub(super) const NS: &str = "urn:xmpp:message-moderate:1";

/// Whether only a room may say this.
pub(super) fn is_forged(child: &ElementRef<'_>) -> bool {
    child.ns() == NS
}

impl Room {
    /// The id of the message that this one retracts.
    pub(super) fn retracts(&self, _message: &Message) -> Option<String> {
        None
    }

    pub(super) fn moderate(
        &mut self,
        _now: &Moment,
        _actor: &Actor,
        _moderate: &ElementRef<'_>,
        _fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        Err(Condition::FeatureNotImplemented.into())
    }
}
