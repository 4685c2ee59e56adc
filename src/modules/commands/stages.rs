//! Sessions of ad-hoc commands (XEP-0050 §3): from the form that a client was sent until it comes back.
//! They belong to the client's own session, and end with it.

use std::time::Duration;

use tokio::time::Instant;

use super::outcome::bad;
use crate::session::{Execution, SessionRef};
use crate::stanza::{Condition, StanzaError};

/// The client was sent a form. Of too many the oldest is forgotten.
pub(super) fn begin(client: &SessionRef, id: &str, node: &str) {
    let execution = Execution { id: id.into(), node: node.into(), since: Instant::now() };
    client.update_presence(|p| {
        if p.executions.len() >= MOST {
            p.executions.remove(0);
        }
        p.executions.push(execution);
    });
}

/// The client goes on with a command that it has begun.
///
/// # Errors
/// `bad-sessionid` if it has not begun it under this id, `session-expired` if that was too long ago
/// (XEP-0050 §4.4).
pub(super) fn check(client: &SessionRef, id: &str, node: &str) -> Result<(), StanzaError> {
    let is_this = |execution: &&Execution| execution.id == id && execution.node == node;
    let since = client.presence(|p| p.executions.iter().find(is_this).map(|e| e.since));
    match since {
        None => Err(bad("bad-sessionid")),
        Some(since) if since.elapsed() > TOO_LATE => {
            end(client, id);
            let mut error = bad("session-expired");
            (error.condition, error.kind) = (Condition::NotAllowed, Condition::NotAllowed.kind());
            Err(error)
        }
        Some(_) => Ok(()),
    }
}

/// It is done, or given up.
pub(super) fn end(client: &SessionRef, id: &str) {
    client.update_presence(|p| p.executions.retain(|execution| execution.id != id));
}

/// Commands that a client may have begun and not ended.
const MOST: usize = 16;
/// After the form was sent.
const TOO_LATE: Duration = Duration::from_secs(30 * 60);
