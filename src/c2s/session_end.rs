//! The end of a session.

use crate::router::Router;
use crate::session::Session;

/// Ends a session: contacts see it become unavailable, and what it was not delivered is treated as for a
/// user who is offline.
pub(super) async fn end(router: &Router, session: Session, why: &'static str) {
    let server = &router.server;
    let handle = session.handle().clone();
    let resumption = session.sm(|sm| sm.resumption());
    let unread = session.close();
    server.metrics.sessions.dec();
    if let Some(number) = resumption.and_then(|resumption| resumption.number)
        && let Err(error) = server.storage.resumption().end(number, server.clock.now()).await
    {
        tracing::warn!(%error, "cannot record the end of a session");
    }
    if handle.has_overrun() {
        server.metrics.overruns.inc();
    }
    tracing::info!(jid = %handle.jid(), reason = why, "session ends");
    // Last: it waits for a store that fails.
    router.session_ended(&handle, unread).await;
}
