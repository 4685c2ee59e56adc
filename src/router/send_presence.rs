//! How presence is sent on: to an address, or straight to a session of ours.

use std::sync::Arc;

use crate::host::Cx;
use crate::jid::Jid;
use crate::session::SessionRef;
use crate::stanza::{Presence, Stanza};

/// Sends a copy of `presence` to `to`, when the stanza in hand is done.
pub(super) fn send(cx: &mut Cx<'_>, presence: &Presence, to: Jid) {
    let mut copy = presence.clone();
    copy.head.to = Some(to);
    cx.outbox.send(Stanza::Presence(copy));
}

/// Queues presence for a session. A session that ends, or that is being closed because it does not read,
/// does not take it: then nobody needs it any more.
pub(super) fn deliver(session: &SessionRef, presence: Arc<Stanza>) {
    note_lost(session, session.deliver(presence).is_err());
}

/// As [`deliver`], with the address of the session as `to`.
pub(super) fn deliver_addressed(session: &SessionRef, presence: Arc<Stanza>) {
    note_lost(session, session.deliver_addressed(presence).is_err());
}

fn note_lost(session: &SessionRef, is_lost: bool) {
    if is_lost {
        tracing::debug!(jid = %session.jid(), "presence dropped: the session ends");
    }
}
