//! A stanza leaves for an external component, or for another server. There are no connections to other servers yet; they will begin
//! here.

use crate::host::{Cx, Halt, Origin, components};
use crate::stanza::{Condition, Stanza};

/// Sends a stanza to a domain that is not ours: to the component that has it, or to its server. The sender gets the error that the domain cannot be reached (RFC 6120
/// §10.4). A stanza that the server sends on behalf of an account, such as presence to its contacts, is
/// dropped: nobody waits for an answer.
pub(super) fn leaves(cx: &Cx<'_>, stanza: Stanza) -> Result<(), Halt> {
    let Some(to) = stanza.head().to.clone() else { return Err(Halt::Drop("no recipient")) };
    let is_presence = matches!(stanza, Stanza::Presence(_));
    match components::send(cx.server, &to, stanza) {
        Ok(None) => return Ok(()),
        Ok(Some(_)) => {}
        // Nobody waits for an answer to what the server tells contacts.
        Err(_) if is_presence && matches!(cx.origin, Origin::Internal) => {
            return Err(Halt::Drop("the component is not connected"));
        }
        Err(error) => return Err(error.into()),
    }
    match cx.origin {
        Origin::Client(_) | Origin::Component(_) | Origin::Server(_) | Origin::Service(_) => {
            Err(Condition::RemoteServerNotFound.into())
        }
        Origin::Internal => Err(Halt::Drop("remote server not found")),
    }
}
