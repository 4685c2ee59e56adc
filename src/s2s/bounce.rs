//! What waits for a server that cannot be reached goes back to its senders (RFC 6120 §10.4).

use super::failure::Failure;
use super::link::Waiting;
use crate::host::{ServerState, stanza_log};
use crate::stanza::{Condition, ErrorKind, Stanza, StanzaError};

/// Tells the senders. Errors are dropped: no error answers an error (RFC 6120 §8.3.1).
pub(super) async fn bounce(server: &ServerState, stanzas: Vec<Waiting>, why: Failure) {
    let Some(route) = server.route() else { return };
    let error = error(why);
    for Waiting { stanza, held } in stanzas {
        drop(held);
        let answer = answer(server, &stanza, &error);
        stanza_log::note_returned(&stanza, &error, answer.is_some());
        if let Some(answer) = answer {
            Box::pin(route.route(answer)).await;
        }
    }
}

/// The error that a sender gets.
pub(super) fn error(why: Failure) -> StanzaError {
    let error = why.condition.text(why.why);
    // RFC 6120 §8.3.3.17: what is of a more permanent nature.
    let is_timeout = why.condition == Condition::RemoteServerTimeout;
    if is_timeout && why.is_permanent { error.kind(ErrorKind::Cancel) } else { error }
}

fn answer(server: &ServerState, stanza: &Stanza, error: &StanzaError) -> Option<Stanza> {
    let answer = error.answer(stanza)?;
    server.metrics.stanzas_bounced.inc([error.condition.as_str()]);
    Some(answer)
}
