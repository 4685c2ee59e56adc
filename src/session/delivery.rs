//! A stanza on its way to one session, and how the session accepts it.

use std::sync::Arc;

use crate::jid::Jid;
use crate::stanza::Stanza;
use crate::storage::MessageId;

/// A stanza on its way to one session. The stanza is shared: a broadcast to a thousand sessions is one
/// stanza.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The stanza.
    pub stanza: Arc<Stanza>,
    /// Written as `to` in place of the stanza's own.
    pub to: Option<Jid>,
    /// The undelivered marker that is removed when the client has the stanza.
    pub marker: Option<MessageId>,
    /// Undelivered markers of other messages that are removed at the same time: the client has read these
    /// messages in its archive.
    pub read: Option<Arc<[MessageId]>>,
}

impl Delivery {
    /// All markers that are removed when the client has the stanza.
    pub fn markers(&self) -> impl Iterator<Item = MessageId> {
        self.marker.into_iter().chain(self.read.iter().flat_map(|read| read.iter().copied()))
    }
}

/// How a session accepts a stanza.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Accepted {
    /// The session reads it from the store later: it catches up, or its mailbox is full.
    Deferred,
    /// It is in the mailbox, or in flight already.
    Queued,
    /// It is dropped: nobody looks at the client, and the stanza is worthless later (XEP-0352).
    Shed,
}

/// Why a session does not accept a stanza. Then the stanza is treated as for an offline user.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Undelivered {
    /// The session has ended.
    Closed,
    /// The session is being closed, and `budgets.memory` or `budgets.memory_per_account` is used up.
    NoMemory,
    /// The client does not read, and the session is being closed.
    Overrun,
    /// The session has no connection, much waits for its client, and the stanza is worthless later.
    Shed,
}

impl Undelivered {
    /// The reason as text, for the log.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Closed => "the session has ended",
            Self::NoMemory => "too much memory is in use: the session is closed",
            Self::Overrun => "the mailbox is full: the session is closed",
            Self::Shed => "dropped: the client is not connected, and much waits for it",
        }
    }
}
