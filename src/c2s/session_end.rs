//! The end of a session.

use crate::host::Hosts;
use crate::router;
use crate::session::Session;

/// Ends a session: contacts see it become unavailable, and what it was not delivered is treated as for a
/// user who is offline.
pub(super) async fn end(hosts: &Hosts, session: Session, why: &'static str) {
    let handle = session.handle().clone();
    let resumption = session.sm(|sm| sm.resumption());
    let unread = session.close();
    hosts.metrics.sessions.dec();
    if let Some(number) = resumption.and_then(|resumption| resumption.number)
        && let Err(error) = hosts.storage.resumption().end(number, hosts.clock.now()).await
    {
        tracing::warn!(%error, "cannot record the end of a session");
    }
    if handle.has_overrun() {
        hosts.metrics.overruns.inc();
    }
    tracing::info!(jid = %handle.jid(), reason = why, "session ends");
    // Last: it waits for a store that fails.
    router::session_ended(hosts, &handle, unread).await;
}
