//! A stanza leaves for another server. There are no connections to other servers yet; they will begin
//! here.

use crate::host::{Cx, Halt, Origin};
use crate::stanza::{Condition, Stanza};

/// Sends a stanza to a remote domain. A client that sends one is told that the domain cannot be
/// reached (RFC 6120 §10.4). What we send on its behalf, as its presence to a remote contact, is
/// dropped: the client did not ask for this stanza, and waits for no answer.
pub(super) fn leaves(cx: &Cx<'_>, _stanza: Stanza) -> Result<(), Halt> {
    match cx.origin {
        Origin::Client(_) => Err(Condition::RemoteServerNotFound.into()),
        Origin::Internal => Err(Halt::Drop("remote server not found")),
    }
}
