//! Errors on their way back. An error is never answered with an error (RFC 6120 §8.3.1).

use std::sync::Arc;

use crate::host::{Cx, Halt};
use crate::stanza::Stanza;

/// Tells the sender of `stanza` why it goes no further, unless it must not be told.
pub fn bounce(cx: &mut Cx<'_>, stanza: &Stanza, halt: Halt) {
    let Halt::Bounce(error) = halt else { return };
    cx.hosts.metrics.stanzas_bounced.inc([error.condition.as_str()]);
    let Some(mut answer) = error.answer(stanza) else { return };
    let head = answer.head_mut();
    // To nobody in particular means the sender's own account (RFC 6120 §10.3).
    if head.from.is_none() {
        head.from = stanza.head().from.as_ref().map(|from| from.to_bare().into());
    }
    if head.to.is_none() {
        return;
    }
    match cx.origin.session() {
        // Straight to the client that sent it: it learns of an error from an address that it has
        // blocked, too (XEP-0191 §3.3). If it does not take it, it ends.
        Some(session) => drop(session.deliver(Arc::new(answer))),
        None => cx.outbox.send(answer),
    }
}
