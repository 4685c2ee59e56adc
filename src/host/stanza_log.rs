//! Says in the log what becomes of each stanza, at level `debug`: one span with its addresses and its id, and one
//! record where it ends. docs/operations.md shows how to read them.
//!
//! If that level is off, a stanza costs the comparison of two numbers: no field is computed, and nothing is looked up.

use std::fmt::Display;
use std::sync::Arc;

use tracing::{Level, Span, debug};

use super::Origin;
use crate::jid::Jid;
use crate::log::STANZA;
use crate::session::{Accepted, SessionRef, Undelivered};
use crate::stanza::{Stanza, StanzaError, StreamCondition};
use crate::xml::ElementRef;

/// The span of a stanza. All records of the stanza are in it. `origin`: who has sent it, if that is known where the
/// span begins.
#[must_use]
pub fn span(stanza: &Stanza, origin: Option<&Origin<'_>>) -> Span {
    macro_rules! span {
        ($name:literal) => {
            tracing::debug_span!(
                target: STANZA, $name, kind = stanza.kind(), from = text(&stanza.head().from),
                to = text(&stanza.head().to), id = stanza.head().id.as_deref(),
                origin = origin.map(|origin| origin.word())
            )
        };
    }
    match stanza {
        Stanza::Iq(_) => span!("iq"),
        Stanza::Message(_) => span!("message"),
        Stanza::Presence(_) => span!("presence"),
    }
}

/// Gives a session a stanza that several sessions may share, with its own address as `to`. If the client does not get
/// it at once, the log says why.
///
/// # Errors
/// As [`SessionRef::deliver`].
pub fn give(session: &SessionRef, stanza: &Arc<Stanza>) -> Result<Accepted, Undelivered> {
    let given = session.deliver_addressed(Arc::clone(stanza));
    note_delivery_of(stanza, session, given);
    given
}

/// Says why a client does not get this stanza at once. It need not be the one in hand.
pub fn note_delivery_of(
    stanza: &Stanza,
    session: &SessionRef,
    given: Result<Accepted, Undelivered>,
) {
    if is_on() && reason(session, given).is_some() {
        span(stanza, None).in_scope(|| note_delivery(session, given));
    }
}

/// Says why a client does not get the stanza in hand at once, though there is a session for it.
pub fn note_delivery(session: &SessionRef, given: Result<Accepted, Undelivered>) {
    if is_on()
        && let Some(reason) = reason(session, given)
    {
        debug!(target: STANZA, session = %session.jid(), reason, "not delivered at once");
    }
}

/// Says why nobody at this address gets the stanza.
pub fn note_not_delivered(stanza: &Stanza, to: &Jid, reason: &'static str) {
    if is_on() {
        span(stanza, None)
            .in_scope(|| debug!(target: STANZA, session = %to, reason, "not delivered"));
    }
}

/// Says whether a session that catches up has got a message that was stored. If it has not, the message is still
/// there.
pub fn note_stored(stanza: &Stanza, session: &SessionRef, given: Result<Accepted, Undelivered>) {
    if is_on() {
        let session = session.jid();
        span(stanza, None).in_scope(|| match given {
            Ok(_) => debug!(target: STANZA, %session, "delivered from the store"),
            Err(why) => {
                let reason = why.reason();
                debug!(target: STANZA, %session, reason, "not delivered from the store");
            }
        });
    }
}

/// Says what becomes of a stanza that a session was given, when the session ends and its client has not
/// acknowledged it. A message with a marker waits for the next client.
pub fn note_unread(session: &SessionRef, stanza: &Stanza, has_marker: bool) {
    if is_on() {
        let session = session.jid();
        span(stanza, None).in_scope(|| match has_marker {
            true => debug!(target: STANZA, %session, "not acknowledged: waits for the next client"),
            false => debug!(target: STANZA, %session, "not acknowledged when the session ended"),
        });
    }
}

/// Says that a message was refused after its delivery, as it could not be stored.
pub fn note_not_stored(stanza: &Stanza, error: &StanzaError) {
    if is_on() {
        let condition = error.condition.as_str();
        span(stanza, None).in_scope(|| debug!(target: STANZA, condition, "bounced: not stored"));
    }
}

/// Says that a stanza that was taken goes no further after all, because of this error. `is_told`: its sender is told.
pub fn note_returned(stanza: &Stanza, error: &StanzaError, is_told: bool) {
    if is_on() {
        span(stanza, None).in_scope(|| note_refusal(error, error.text, is_told));
    }
}

/// Says that a stanza that was taken is lost, for this reason: nobody is told.
pub fn note_lost(stanza: &Stanza, reason: &'static str) {
    if is_on() {
        span(stanza, None).in_scope(|| debug!(target: STANZA, reason, "dropped"));
    }
}

/// The record at the end of the stanza in hand, which was refused. An error is never answered with an error: then
/// nobody is told.
pub fn note_refusal(error: &StanzaError, reason: Option<&'static str>, is_told: bool) {
    let condition = error.condition.as_str();
    match is_told {
        true => debug!(target: STANZA, condition, reason, "bounced"),
        false => debug!(target: STANZA, condition, reason, "dropped"),
    }
}

/// Says that a stream ends because of a stanza that it must not carry, or of bytes that are no stanza. They
/// go nowhere. `from`: the peer, as far as it is known. `root`: the element, if it was read.
pub fn note_refused(
    from: Option<&str>,
    root: Option<&ElementRef<'_>>,
    condition: StreamCondition,
    reason: Option<&dyn Display>,
) {
    if !is_on() {
        return;
    }
    let attr = |name| root.and_then(|root| root.attr(name));
    debug!(
        target: STANZA, name = root.map(ElementRef::name), kind = attr("type").as_deref(), from,
        to = attr("to").as_deref(), id = attr("id").as_deref(), condition = condition.as_str(),
        reason = reason.map(tracing::field::display), "refused: the stream ends"
    );
}

/// Says that a stanza of another server or of a component goes nowhere: its origin may not send it.
pub fn note_refused_stanza(stanza: &Stanza, origin: &Origin<'_>, condition: StreamCondition) {
    if is_on() {
        let condition = condition.as_str();
        span(stanza, Some(origin)).in_scope(|| debug!(target: STANZA, condition, "refused"));
    }
}

/// Whether these records are logged.
#[must_use]
pub fn is_on() -> bool {
    tracing::enabled!(target: STANZA, Level::DEBUG)
}

/// Why a client does not get a stanza at once. `None` if it does.
fn reason(session: &SessionRef, given: Result<Accepted, Undelivered>) -> Option<&'static str> {
    match given {
        Err(undelivered) => Some(undelivered.reason()),
        Ok(Accepted::Deferred) => Some("deferred: the session catches up, or its mailbox is full"),
        Ok(Accepted::Shed) => {
            Some("dropped: nobody looks at the client, and it is worthless later")
        }
        Ok(Accepted::Queued) if session.hibernation().is_some() => {
            Some("queued: the client is not connected")
        }
        Ok(Accepted::Queued) => None,
    }
}

/// An address, as a field.
fn text(jid: &Option<Jid>) -> Option<&str> {
    jid.as_ref().map(Jid::as_str)
}
