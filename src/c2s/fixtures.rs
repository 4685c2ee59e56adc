//! Values for the tests of this module.

use std::sync::Arc;

use crate::host::block_list::BlockLists;
use crate::host::contact_list::ContactLists;
use crate::host::{Registry, ServerState};
use crate::jid::FullJid;
use crate::router::Router;
use crate::session::{MailboxLimits, Session, SessionFacts};

/// A router without features, and a server that keeps nothing. Block lists and contact lists are empty.
pub(super) fn router() -> Router {
    let mut registry = Registry::default();
    registry.shared(BlockLists::default());
    registry.shared(ContactLists::default());
    Router::for_tests(&["localhost"], registry)
}

/// A server that keeps nothing.
pub(super) fn server() -> Arc<ServerState> {
    router().server
}

/// Romeo's session, with stream management.
pub(super) fn session(server: &ServerState) -> Session {
    session_of(server, "romeo@localhost/orchard")
}

/// The session with this address, with stream management.
pub(super) fn session_of(server: &ServerState, jid: &str) -> Session {
    let facts = SessionFacts::for_tests();
    let jid = FullJid::parse(jid).unwrap();
    let bounds = MailboxLimits { stanzas: 1_000, bytes: 1 << 20 };
    let session = Session::open(Arc::clone(&server.sessions), jid, facts, bounds, 9);
    assert!(session.manage(None));
    session
}
