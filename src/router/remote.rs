//! A stanza leaves for an external component, or for another server.

use crate::host::{Cx, Halt, Origin, components};
use crate::stanza::{Condition, Stanza};

/// Gives a stanza to the component that has its domain, or to what takes it to the server of its domain. If it cannot
/// be delivered, its sender gets the error, now or later (RFC 6120 §10.4).
///
/// What another server sends goes to no third one: this server is no relay.
pub(super) fn leaves(cx: &Cx<'_>, stanza: Stanza) -> Result<(), Halt> {
    let Some(to) = stanza.head().to.clone() else { return Err(Halt::Drop("no recipient")) };
    let is_presence = matches!(stanza, Stanza::Presence(_));
    let stanza = match components::send(cx.server, &to, stanza) {
        Ok(None) => return Ok(()),
        Ok(Some(stanza)) => stanza,
        // Nobody waits for an answer to what the server tells contacts.
        Err(_) if is_presence && matches!(cx.origin, Origin::Internal) => {
            return Err(Halt::Drop("the component is not connected"));
        }
        Err(error) => return Err(error.into()),
    };
    if matches!(cx.origin, Origin::Server(_)) {
        return Err(Condition::RemoteServerNotFound.into());
    }
    match cx.server.remote_servers() {
        Some(remote) => {
            let by = cx.origin.user();
            remote.send(stanza, by.as_ref()).map_err(Halt::from)
        }
        None if matches!(cx.origin, Origin::Internal) => Err(Halt::Drop("remote server not found")),
        None => Err(Condition::RemoteServerNotFound.into()),
    }
}
