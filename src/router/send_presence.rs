//! How presence is sent on: to an address, or straight to a session of ours.

use std::sync::Arc;

use super::contacts::Contacts;
use crate::host::{Cx, stanza_log};
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
/// does not take it, `false`: then nobody needs it any more.
pub(super) fn deliver(session: &SessionRef, presence: Arc<Stanza>) -> bool {
    let given = session.deliver(presence);
    stanza_log::note_delivery(session, given);
    given.is_ok()
}

/// As [`deliver`], with the address of the session as `to`.
pub(super) fn deliver_addressed(session: &SessionRef, presence: Arc<Stanza>) {
    let given = session.deliver_addressed(presence);
    stanza_log::note_delivery(session, given);
}

/// Sends presence to the contacts that may see the user, and to the user's own sessions.
pub(super) fn broadcast(
    cx: &mut Cx<'_>,
    session: &SessionRef,
    contacts: &Contacts,
    presence: &Presence,
) {
    for contact in contacts.iter().filter(|contact| contact.subscription.is_from()) {
        session.remove_directed(&contact.jid);
        send(cx, presence, contact.jid.clone());
    }
    // To the user's own sessions as to any contact: `to` is the address of the account
    // (RFC 6121 §4.2.2).
    let user = session.jid().to_bare();
    let mut copy = presence.clone();
    copy.head.to = Some(user.clone().into());
    let stanza = Arc::new(Stanza::Presence(copy));
    for own in cx.server.sessions.of(&user) {
        // Also to the session itself, when it becomes unavailable (RFC 6121 §4.5.2).
        if own == *session || own.available().is_some() {
            deliver(&own, Arc::clone(&stanza));
        }
    }
}
