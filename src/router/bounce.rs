//! Errors go back to the sender. An error is never answered with an error (RFC 6120 §8.3.1).

use std::sync::Arc;

use tracing::debug;

use super::outcome::{self, Outcome};
use crate::host::{Cx, Halt, ServerState};
use crate::log::STANZA;
use crate::session::SessionRef;
use crate::stanza::{Stanza, StanzaError};

/// The end of a stanza: its sender is told if it was refused, and the log is told what became of it.
pub(super) fn end(cx: &mut Cx<'_>, stanza: &Stanza, done: Result<Outcome, Halt>) {
    match done {
        Ok(outcome) => outcome::log(outcome),
        Err(Halt::Drop(reason)) => debug!(target: STANZA, reason, "dropped"),
        Err(Halt::Bounce(error, reason)) => {
            let condition = error.condition.as_str();
            match bounce(cx, stanza, &error) {
                true => debug!(target: STANZA, condition, reason, "bounced"),
                // An error is never answered with an error.
                false => debug!(target: STANZA, condition, reason, "dropped"),
            }
        }
    }
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

/// Delivers the error straight to the client that has sent the stanza, also if the user has blocked the
/// address that it comes from (XEP-0191 §3.3). A session that ends does not take it.
pub fn to_client(server: &ServerState, session: &SessionRef, stanza: &Stanza, error: &StanzaError) {
    if let Some(answer) = answer(server, stanza, error) {
        give(session, answer);
    }
}

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
