//! What waited of a stranger is delivered when the stanza at hand is done.

use crate::host::Cx;
use crate::host::strangers::{Choice, Guarded};
use crate::jid::{BareJid, Jid};

/// What waits for `user` of an address is delivered: all of it if the address `is_known`, else what is let
/// through of everybody.
pub(super) fn release(
    cx: &mut Cx<'_>,
    guarded: &Guarded,
    user: &BareJid,
    other: &Jid,
    is_known: bool,
) {
    let bare = other.bare_str();
    let is_meant = |approach| is_known || guarded.policy.on(approach) == Choice::Allow;
    if guarded.waiting.iter().any(|p| p.from.as_str() == bare && is_meant(p.approach)) {
        cx.outbox.release(user.clone(), other.to_bare().into());
    }
}
