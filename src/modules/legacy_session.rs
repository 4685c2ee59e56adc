//! RFC 3921 §3: the session request. It has no meaning since RFC 6121; older clients insist on it.

use async_trait::async_trait;

use crate::host::{Cx, IqHandler, IqReply, Manifest, Module, Registry, Scope};
use crate::ns;
use crate::stanza::{Iq, IqKind};

/// Says yes to session requests.
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
        for scope in [Scope::Account, Scope::Host] {
            on.iq(scope, IqKind::Set, (ns::SESSION, "session"), &Self);
        }
    }
}

#[async_trait]
impl IqHandler for LegacySession {
    async fn handle(&self, _: &mut Cx<'_>, _: &Iq) -> IqReply {
        Ok(None)
    }
}
