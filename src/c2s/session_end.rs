//! The end of a session.

use std::sync::Arc;

use crate::router::Router;
use crate::session::{DroppedSession, Resumption, Session, SessionRef, Unread};

/// Ends a session: contacts see it become unavailable, and what it was not delivered is treated as for a
/// user who is offline.
pub(super) async fn end(router: &Router, session: Session, why: &'static str) {
    let _ending = router.server.tasks.counted(ENDING);
    let handle = session.handle().clone();
    let resumption = session.sm(|sm| sm.resumption());
    let unread = session.close();
    ended(router, &handle, resumption, unread, why).await;
}

/// The kind of task under which the ends of sessions are counted.
pub(super) const ENDING: &str = "session-end";

/// Ends sessions that were dropped because the task that owned them has panicked. Otherwise their contacts
/// would see them as available for ever. Runs until the server ends.
pub async fn end_dropped_sessions(router: Arc<Router>) {
    let server = &router.server;
    let stopping = server.tasks.stopping();
    while let Some(dropped) = stopping.run_until_cancelled(server.sessions.dropped()).await {
        let DroppedSession { handle, resumption, unread } = dropped;
        let of = Arc::clone(&router);
        // In a task of its own: the end waits for a store that fails, and may panic, too.
        let end = async move { ended(&of, &handle, resumption, unread, "panic").await };
        drop(server.tasks.spawn(ENDING, end));
    }
}

/// A session has ended and is no longer in the table.
async fn ended(
    router: &Router,
    handle: &SessionRef,
    resumption: Option<Resumption>,
    unread: Unread,
    why: &'static str,
) {
    let server = &router.server;
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
    router.session_ended(handle, unread).await;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::c2s::fixtures::{router, session, session_of};
    use crate::jid::Jid;
    use crate::stanza::{Presence, PresenceKind, Stanza};

    #[tokio::test(start_paused = true)]
    async fn contacts_see_a_session_go_whose_task_panics() {
        let router = Arc::new(router());
        let server = &router.server;
        drop(server.tasks.spawn("dropped-sessions", end_dropped_sessions(Arc::clone(&router))));
        let (romeo, juliet) = (session(server), session_of(server, "juliet@localhost/balcony"));
        let from = Jid::parse("romeo@localhost/orchard").unwrap();
        let to = Jid::parse("juliet@localhost/balcony").unwrap();
        let available = Presence::bare(PresenceKind::Available, from.clone(), to.clone());
        romeo.set_available(Arc::new(available), 0);
        assert!(romeo.add_directed(&to));
        let fault = "as a fault in our code would";
        let task = server.tasks.spawn("hibernation", async move {
            let _romeo = romeo;
            if !fault.is_empty() {
                std::panic::resume_unwind(Box::new(fault));
            }
        });
        assert!(task.await.unwrap_err().is_panic());
        let told = tokio::time::timeout(Duration::from_secs(60), juliet.mailbox().filled()).await;
        assert!(told.is_ok(), "nobody tells the contact");
        let (stanzas, _) = juliet.mailbox().take();
        let Stanza::Presence(presence) = &*stanzas[0].stanza else { panic!("{stanzas:?}") };
        assert_eq!(presence.kind, PresenceKind::Unavailable);
        assert_eq!(presence.head.from.as_ref(), Some(&from));
    }
}
