//! What the server knows of a session: facts of its login and its connection.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::Instant;

use super::restored::Restored;
use crate::payload::datetime::Timestamp;
use crate::storage::MessageId;

/// What is known of a session since its login.
#[derive(Clone, Debug)]
pub struct SessionFacts {
    /// Where the client is.
    pub peer: SocketAddr,
    /// How the connection is protected, for example `TLSv1.3`.
    pub tls: &'static str,
    /// When it was bound.
    pub since: Instant,
    /// Its user has no account (XEP-0175): nothing is stored for the user.
    pub anonymous: bool,
    /// It outlives its connection (XEP-0198 §5).
    pub resumable: bool,
    /// The id of the client's installation, if the client told it (XEP-0388 §2.3). Others must not see it.
    pub installation: Option<Arc<str>>,
    /// The newest message of the server before it was bound.
    pub newest: Option<MessageId>,
    /// The newest message of the server when others could find it in the table.
    pub newest_seen: Option<MessageId>,
    /// It was saved by the server before this one: what it may have missed in rooms. `None` if it was bound here.
    pub restored: Option<Arc<Restored>>,
}

/// A session without a connection, which waits for its client (XEP-0198 §5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Hibernation {
    /// When it lost its connection.
    pub since: Timestamp,
    /// When it ends, unless its client has resumed it.
    pub until: Timestamp,
}

#[cfg(test)]
impl SessionFacts {
    /// The facts of a session that was just bound.
    pub(crate) fn for_tests() -> Self {
        Self {
            peer: SocketAddr::from(([192, 0, 2, 1], 5222)),
            tls: "TLSv1.3",
            since: Instant::now(),
            anonymous: false,
            resumable: false,
            installation: None,
            newest: None,
            newest_seen: None,
            restored: None,
        }
    }
}
