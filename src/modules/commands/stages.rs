//! Sessions of ad-hoc commands (XEP-0050 §3): from the form that a client was sent until it comes back.
//! They belong to the client's own session, and end with it.

use std::time::Duration;

use smol_str::SmolStr;
use tokio::time::Instant;

use super::outcome::bad;
use crate::session::Session;
use crate::stanza::{Condition, StanzaError};

/// The ad-hoc commands that a client has begun and not ended, oldest first.
#[derive(Default)]
struct Executions(Vec<Execution>);

/// An ad-hoc command whose form the client was sent.
struct Execution {
    /// The `sessionid`.
    id: SmolStr,
    /// Which command.
    node: SmolStr,
    /// When the form was sent.
    since: Instant,
}

/// Notes that the client was sent a form. If there are too many, the oldest is forgotten.
pub(super) fn begin(client: &Session, id: &str, node: &str) {
    let execution = Execution { id: id.into(), node: node.into(), since: Instant::now() };
    client.feature(|Executions(begun)| {
        if begun.len() >= MOST {
            begun.remove(0);
        }
        begun.push(execution);
    });
}

/// The client goes on with a command that it has begun.
///
/// # Errors
/// `bad-sessionid` if it has not begun it under this id, `session-expired` if that was too long ago
/// (XEP-0050 §4.4).
pub(super) fn check(client: &Session, id: &str, node: &str) -> Result<(), StanzaError> {
    let is_this = |execution: &&Execution| execution.id == id && execution.node == node;
    let since = client.feature(|Executions(begun)| begun.iter().find(is_this).map(|e| e.since));
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

/// The command is done, or the client has given it up.
pub(super) fn end(client: &Session, id: &str) {
    client.feature(|Executions(begun)| begun.retain(|execution| execution.id != id));
}

/// Commands that a client may have begun and not ended.
const MOST: usize = 16;
/// How long after a form was sent its answer is too late.
const TOO_LATE: Duration = Duration::from_secs(30 * 60);
