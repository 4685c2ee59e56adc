//! A stanza leaves for another server. There are no connections to other servers yet; they will begin
//! here.

use crate::host::{Cx, Halt, Origin};
use crate::stanza::{Condition, Stanza};

/// Sends a stanza to a remote domain. The sender gets the error that the domain cannot be reached (RFC 6120
/// §10.4). A stanza that the server sends on behalf of an account, such as presence to its contacts, is
/// dropped: nobody waits for an answer.
pub(super) fn leaves(cx: &Cx<'_>, _stanza: Stanza) -> Result<(), Halt> {
    match cx.origin {
        Origin::Client(_) | Origin::Component(_) | Origin::Server(_) | Origin::Service(_) => {
            Err(Condition::RemoteServerNotFound.into())
        }
        Origin::Internal => Err(Halt::Drop("remote server not found")),
    }
}
