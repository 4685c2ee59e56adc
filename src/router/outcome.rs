//! Says in the log what becomes of each stanza, at level `debug`: one span with its addresses and its
//! id, and one record at its end. docs/operations.md shows how to read them.
//!
//! If that level is off, a stanza costs the comparison of two numbers: no field is computed.

use std::fmt::Display;

use tracing::{Span, debug};

use crate::host::Origin;
use crate::jid::Jid;
use crate::log::STANZA;
use crate::session::{Accepted, SessionRef, Undelivered};
use crate::stanza::{Stanza, StanzaError, StreamCondition};
use crate::xml::ElementRef;

/// What became of a stanza that was not refused or dropped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The request is answered.
    Answered,
    /// It is in the archive of its recipient. No session has got it, and none will get it later.
    Archived,
    /// It has changed what it changes. Others learn of the change by stanzas of their own.
    Done,
    /// This number of sessions have it in their mailboxes, or read it later in their catch-up.
    Delivered(usize),
    /// A service, or another server, has it.
    HandedOver,
    /// It waits until the user accepts its sender, who is a stranger.
    Request,
    /// It is stored until a client of its recipient comes.
    Waiting,
}

/// The span of a stanza. All records of the stanza are in it.
pub(super) fn span(stanza: &Stanza, origin: &Origin<'_>) -> Span {
    macro_rules! span {
        ($name:literal) => {
            tracing::debug_span!(
                target: STANZA, $name, kind = stanza.kind(), from = text(&stanza.head().from),
                to = text(&stanza.head().to), id = stanza.head().id.as_deref(),
                origin = origin.word()
            )
        };
    }
    match stanza {
        Stanza::Iq(_) => span!("iq"),
        Stanza::Message(_) => span!("message"),
        Stanza::Presence(_) => span!("presence"),
    }
}

/// Says why a client does not get a stanza at once, though there is a session for it.
pub(super) fn note_delivery(session: &SessionRef, given: Result<Accepted, Undelivered>) {
    if !tracing::enabled!(target: STANZA, tracing::Level::DEBUG) {
        return;
    }
    let reason = match given {
        Err(undelivered) => undelivered.reason(),
        Ok(Accepted::Deferred) => "deferred: the session catches up, or its mailbox is full",
        Ok(Accepted::Queued) if session.hibernation().is_some() => {
            "queued: the client is not connected"
        }
        Ok(Accepted::Queued) => return,
    };
    debug!(target: STANZA, session = %session.jid(), reason, "not delivered at once");
}

/// Says what becomes of a stanza that a session was given, when the session ends and its client has not
/// acknowledged it. A message with a marker waits for the next client.
pub(super) fn note_unread(session: &SessionRef, stanza: &Stanza, has_marker: bool) {
    if tracing::enabled!(target: STANZA, tracing::Level::DEBUG) {
        let _inside = span(stanza, &Origin::Internal).entered();
        let session = session.jid();
        match has_marker {
            true => debug!(target: STANZA, %session, "not acknowledged: waits for the next client"),
            false => debug!(target: STANZA, %session, "not acknowledged when the session ended"),
        }
    }
}

/// Says that a message was refused after its delivery, as it could not be stored.
pub(super) fn note_not_stored(stanza: &Stanza, error: &StanzaError) {
    if tracing::enabled!(target: STANZA, tracing::Level::DEBUG) {
        let _inside = span(stanza, &Origin::Internal).entered();
        debug!(target: STANZA, condition = error.condition.as_str(), "bounced: not stored");
    }
}

/// Says that a stream ends because of a stanza that it must not carry, or of bytes that are no stanza. They
/// go nowhere. `from`: the client, as far as it is known. `root`: the element, if it was read.
pub fn note_refused(
    from: Option<&str>,
    root: Option<&ElementRef<'_>>,
    condition: StreamCondition,
    reason: Option<&dyn Display>,
) {
    if !tracing::enabled!(target: STANZA, tracing::Level::DEBUG) {
        return;
    }
    let attr = |name| root.and_then(|root| root.attr(name));
    debug!(
        target: STANZA, name = root.map(ElementRef::name), kind = attr("type").as_deref(), from,
        to = attr("to").as_deref(), id = attr("id").as_deref(), condition = condition.as_str(),
        reason = reason.map(tracing::field::display), "refused: the stream ends"
    );
}

/// The record at the end of a stanza that was not refused or dropped.
pub(super) fn log(outcome: Outcome) {
    match outcome {
        Outcome::Answered => debug!(target: STANZA, "answered"),
        Outcome::Archived => debug!(target: STANZA, "archived, not to be delivered later"),
        Outcome::Delivered(0) => {
            debug!(target: STANZA, reason = "no session is there for it", "dropped")
        }
        Outcome::Delivered(sessions) => debug!(target: STANZA, sessions, "delivered"),
        Outcome::Done => debug!(target: STANZA, "done"),
        Outcome::HandedOver => debug!(target: STANZA, "handed over"),
        Outcome::Request => debug!(target: STANZA, "waits until the user accepts its sender"),
        Outcome::Waiting => debug!(target: STANZA, "stored until a client comes"),
    }
}

/// An address, as a field.
fn text(jid: &Option<Jid>) -> Option<&str> {
    jid.as_ref().map(Jid::as_str)
}

#[cfg(test)]
mod tests;
