//! Unavailable presence for a contact that may see the user no longer.

use crate::host::Cx;
use crate::jid::{BareJid, FullJid, Jid};
use crate::stanza::{Presence, PresenceKind, Stanza};

/// Sends `contact` unavailable presence of all available sessions of `user` (RFC 6121 §3.2.2, §3.3.3).
pub fn gone(cx: &mut Cx<'_>, user: &BareJid, contact: &Jid) {
    for from in available(cx, user) {
        let gone = Presence::bare(PresenceKind::Unavailable, from, contact.clone());
        cx.outbox.send(Stanza::Presence(gone));
    }
}

/// The addresses of the available sessions of `user`.
pub(super) fn available(cx: &Cx<'_>, user: &BareJid) -> Vec<FullJid> {
    let sessions = cx.server.sessions.available(user);
    sessions.iter().map(|session| session.jid().clone()).collect()
}
