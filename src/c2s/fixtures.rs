//! Values for the tests of this module.

use std::sync::Arc;

use crate::host::{Registry, ServerState};
use crate::jid::FullJid;
use crate::router::Router;
use crate::session::{MailboxLimits, Session, SessionFacts};

/// A router without features, and a server that keeps nothing.
pub(super) fn router() -> Router {
    Router::for_tests(&["localhost"], Registry::default())
}

/// A server that keeps nothing.
pub(super) fn server() -> Arc<ServerState> {
    router().server
}

/// A session with stream management.
pub(super) fn session(server: &ServerState) -> Session {
    let facts = SessionFacts::for_tests();
    let jid = FullJid::parse("romeo@localhost/orchard").unwrap();
    let bounds = MailboxLimits { stanzas: 1_000, bytes: 1 << 20 };
    let session = Session::open(Arc::clone(&server.sessions), jid, facts, bounds, 9);
    assert!(session.manage(None));
    session
}
