//! What waits for a server that cannot be reached goes back to its senders (RFC 6120 §10.4).

use super::failure::Failure;
use super::link::Waiting;
use crate::host::ServerState;
use crate::stanza::{Stanza, StanzaError};

/// Tells the senders. Errors are dropped: no error answers an error (RFC 6120 §8.3.1).
pub(super) async fn bounce(server: &ServerState, stanzas: Vec<Waiting>, why: Failure) {
    let Some(route) = server.route() else { return };
    let error = error(why);
    for Waiting { stanza, held } in stanzas {
        drop(held);
        if let Some(answer) = answer(server, &stanza, &error) {
            Box::pin(route.route(answer)).await;
        }
    }
}

/// The error that a sender gets.
pub(super) fn error(why: Failure) -> StanzaError {
    why.condition.text(why.why)
}

fn answer(server: &ServerState, stanza: &Stanza, error: &StanzaError) -> Option<Stanza> {
    let answer = error.answer(stanza)?;
    server.metrics.stanzas_bounced.inc([error.condition.as_str()]);
    Some(answer)
}
