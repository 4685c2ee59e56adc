//! Errors on their way back. An error is never answered with an error (RFC 6120 §8.3.1).

use std::sync::Arc;

use super::{iq, message};
use crate::host::{Cx, Halt, Hosts};
use crate::session::SessionRef;
use crate::stanza::{Condition, Stanza, StanzaError};

/// Tells the sender of `stanza` why it goes no further, unless it must not be told.
pub fn bounce(cx: &mut Cx<'_>, stanza: &Stanza, halt: Halt) {
    let Halt::Bounce(error) = halt else { return };
    match cx.origin.session() {
        Some(session) => to_client(cx.hosts, session, stanza, &error),
        None => {
            if let Some(answer) = answer(cx.hosts, stanza, &error) {
                cx.outbox.send(answer);
            }
        }
    }
}

/// Straight to the client that sent it: it learns of an error from an address that it has blocked,
/// too (XEP-0191 §3.3). If it does not take it, it ends.
pub fn to_client(hosts: &Hosts, session: &SessionRef, stanza: &Stanza, error: &StanzaError) {
    if let Some(answer) = answer(hosts, stanza, error)
        && session.deliver(Arc::new(answer)).is_err()
    {
        tracing::debug!("error dropped: the session ends");
    }
}

/// What a session has not read before its end: who waits for an answer, or must know that nobody is
/// there any more, is told.
pub async fn unread(hosts: &Hosts, stanza: &Stanza) {
    if (iq::must_be_answered(stanza) || message::must_be_read(stanza))
        && let Some(answer) = StanzaError::from(Condition::ServiceUnavailable).answer(stanza)
    {
        hosts.route(answer).await;
    }
}

fn answer(hosts: &Hosts, stanza: &Stanza, error: &StanzaError) -> Option<Stanza> {
    hosts.metrics.stanzas_bounced.inc([error.condition.as_str()]);
    let mut answer = error.answer(stanza)?;
    let head = answer.head_mut();
    // To nobody in particular means the sender's own account (RFC 6120 §10.3).
    if head.from.is_none() {
        head.from = stanza.head().from.as_ref().map(|from| from.to_bare().into());
    }
    head.to.is_some().then_some(answer)
}
