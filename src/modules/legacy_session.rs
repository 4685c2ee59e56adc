//! RFC 3921 §3: the session request. It has no meaning since RFC 6121; older clients insist on it.

use async_trait::async_trait;

use crate::host::{Access, AddressKind, Cx, IqHandler, IqReply, Manifest, Module, Registry};
use crate::ns;
use crate::stanza::{Condition, Iq, IqKind};

/// Says yes to session requests of a client to its own domain or account.
///
/// COMPAT: Converse 14, XMPPFramework and others send it (2026).
pub struct LegacySession;

impl Module for LegacySession {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "legacy_session",
            summary: "Answers the session request of clients older than RFC 6121",
            xeps: &[],
        }
    }

    fn register(&self, on: &mut Registry) {
        for (address, access) in
            [(AddressKind::Account, Access::Contacts), (AddressKind::Host, Access::Public)]
        {
            on.iq(address, IqKind::Set, (ns::SESSION, "session"), access, &Self);
        }
    }
}

#[async_trait]
impl IqHandler for LegacySession {
    async fn handle(&self, cx: &mut Cx<'_>, request: &Iq) -> IqReply {
        let own = cx.origin.client().ok_or(Condition::ServiceUnavailable)?;
        let to = request.head.to.as_ref().ok_or(Condition::BadRequest)?;
        let is_own = match to.local() {
            None => to.domain() == own.domain(),
            Some(_) => *to == *own.to_bare(),
        };
        // As for all others that it is nothing to: nobody offers it to them.
        if is_own { Ok(None) } else { Err(Condition::ServiceUnavailable.into()) }
    }
}
