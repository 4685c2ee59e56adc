//! Errors go back to the sender. An error is never answered with an error (RFC 6120 §8.3.1).

use std::sync::Arc;

use tracing::debug;

use super::outcome::{self, Outcome};
use crate::host::stanza_log::{self, note_refusal};
use crate::host::{Cx, Halt, ServerState, not_stored};
use crate::log::STANZA;
use crate::session::SessionRef;
use crate::stanza::{Condition, Stanza, StanzaError};
use crate::storage::StorageError;

/// The end of a stanza: its sender is told if it was refused, and the log is told what became of it.
pub(super) fn end(cx: &mut Cx<'_>, stanza: &Stanza, done: Result<Outcome, Halt>) {
    match done {
        Ok(outcome) => outcome::log(outcome),
        Err(Halt::Drop(reason)) => debug!(target: STANZA, reason, "dropped"),
        Err(Halt::Bounce(error, reason)) => {
            let is_told = bounce(cx, stanza, &error);
            note_refusal(&error, reason, is_told);
        }
    }
}

/// The end of a stanza of this client that cannot be routed, because it has a fault.
pub(super) fn refused(
    server: &ServerState,
    client: &SessionRef,
    stanza: &Stanza,
    error: &StanzaError,
) {
    let is_told = to_client(server, client, stanza, error);
    note_refusal(error, error.text.or(Some("an address is malformed")), is_told);
}

/// Tells the sender of `stanza` why it goes no further. `false` if the sender must not be told, or there
/// is none.
fn bounce(cx: &mut Cx<'_>, stanza: &Stanza, error: &StanzaError) -> bool {
    let Some(answer) = answer(cx.server, stanza, error) else { return false };
    match cx.origin.session() {
        Some(session) => give(session, answer),
        None => cx.outbox.send(answer),
    }
    true
}

/// Delivers the error to the client that has sent the stanza, also if the user has blocked the address from
/// which it comes (XEP-0191 §3.3). `false` if no error answers the stanza.
fn to_client(
    server: &ServerState,
    client: &SessionRef,
    stanza: &Stanza,
    error: &StanzaError,
) -> bool {
    let Some(answer) = answer(server, stanza, error) else { return false };
    give(client, answer);
    true
}

/// The store has failed after it was given a stanza of a client: the client gets an error.
pub fn not_kept(server: &ServerState, session: &SessionRef, stanza: &Stanza, error: StorageError) {
    server.count_refusal(&error);
    let error = match (error, stanza) {
        // XEP-0160 §2: too many messages wait already.
        (StorageError::Limit(_), Stanza::Message(_)) => {
            Condition::ServiceUnavailable.text("the recipient has too many undelivered messages")
        }
        // The store has logged it, once for all stanzas.
        (error, _) => not_stored(&error),
    };
    stanza_log::note_not_stored(stanza, &error);
    to_client(server, session, stanza, &error);
}

/// Delivers an error to a client. A session that has ended does not take it.
fn give(session: &SessionRef, answer: Stanza) {
    if let Err(undelivered) = session.deliver(Arc::new(answer)) {
        debug!(target: STANZA, reason = undelivered.reason(), "error not delivered");
    }
}

fn answer(server: &ServerState, stanza: &Stanza, error: &StanzaError) -> Option<Stanza> {
    server.metrics.stanzas_bounced.inc([error.condition.as_str()]);
    let mut answer = error.answer(stanza)?;
    let head = answer.head_mut();
    // A stanza without `to` was for the sender's own account (RFC 6120 §10.3).
    if head.from.is_none() {
        head.from = stanza.head().from.as_ref().map(|from| from.to_bare().into());
    }
    head.to.is_some().then_some(answer)
}
