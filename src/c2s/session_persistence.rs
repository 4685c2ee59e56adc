//! Saves a session for the next server (XEP-0198 §5).

use super::session_end::end;
use crate::host::ServerState;
use crate::jid::FullJid;
use crate::payload::datetime::Timestamp;
use crate::router::Router;
use crate::session::Session;
use crate::storage::SavedSession;

/// A session as it was saved when the server began to end.
pub(super) struct SavedAhead {
    at: Timestamp,
    saved: SavedSession,
}

/// Saves a session for the next server while it still waits in this one.
pub(super) async fn save_ahead(server: &ServerState, session: &Session) -> Option<SavedAhead> {
    let at = server.clock.now();
    let saved = session.save_ahead(at, server.storage.archive().horizon())?;
    write(server, session.handle().jid(), &saved).await.then_some(SavedAhead { at, saved })
}

/// Saves a session for the next server, if anything has changed since it was saved ahead. A session that
/// cannot be resumed ends.
pub(super) async fn save(router: &Router, session: Session, ahead: Option<SavedAhead>) {
    let server = &router.server;
    let handle = session.handle().clone();
    let at = ahead.as_ref().map_or_else(|| server.clock.now(), |ahead| ahead.at);
    let (saved, unread) = match session.save(at, server.storage.archive().horizon()) {
        Ok(saved) => saved,
        Err(session) => return end(router, session, "the server ends").await,
    };
    server.metrics.sessions.dec();
    let is_new = ahead.as_ref().is_none_or(|ahead| ahead.saved != saved);
    // Its messages have their markers. If nothing at all was saved, its contacts are told that it ends.
    if is_new && !write(server, handle.jid(), &saved).await && ahead.is_none() {
        router.session_ended(&handle, unread).await;
    }
}

/// `false` if the store fails.
async fn write(server: &ServerState, jid: &FullJid, saved: &SavedSession) -> bool {
    match server.storage.resumption().save(vec![saved.clone()]).await {
        Ok(()) => {
            tracing::debug!(%jid, "session saved");
            true
        }
        Err(error) => {
            tracing::error!(%jid, %error, "cannot save a session: it ends with the server");
            false
        }
    }
}
