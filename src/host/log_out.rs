//! Logs a client out, for its user.

use std::time::Duration;

use tokio::time::sleep;

use super::{Client, Invalidation, ServerState, revoke_client};
use crate::jid::BareJid;
use crate::session::{CloseReason, SessionRef};
use crate::storage;

/// Takes away the access of a client, as far as that can be done, and ends its sessions. `by`: the session that asks
/// for it; if it belongs to the client, it gets the answer before it ends.
///
/// # Errors
/// If the store fails.
pub async fn log_out_client(
    server: &ServerState,
    user: &BareJid,
    client: &Client,
    by: Option<&SessionRef>,
) -> storage::Result<()> {
    let (storage, sessions, now) = (&*server.storage, &*server.sessions, server.clock.now());
    revoke_client(storage, Some(sessions), user, client, false, now).await?;
    server.invalidate(&Invalidation::Push(user.clone()));
    // Looks up the sessions only now: a login may have ended in the meantime.
    for session in sessions.of(user).into_iter().filter(|session| client.has(session)) {
        let reason = CloseReason::Kicked(Some("the user has logged out this client".into()));
        if by != Some(&session) {
            session.close(reason);
            continue;
        }
        // An order to close overtakes what waits to be written, and the client is to read the answer.
        let end = async move {
            sleep(ANSWER_FIRST).await;
            session.close(reason);
        };
        drop(server.tasks.spawn("farewell", end));
    }
    tracing::info!(jid = %user, client = client.id, "access of a client revoked by its owner");
    Ok(())
}

/// The time between the answer to a client that logs itself out and the end of its stream.
const ANSWER_FIRST: Duration = Duration::from_millis(250);
