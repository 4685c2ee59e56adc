//! A session: a bound resource (RFC 6120 §7), a value that exactly one task owns.
//!
//! Others reach it through its [`SessionHandle`], which they find in the [`SessionTable`]. They
//! offer stanzas and never wait: a session that does not keep up is closed.

mod handle;
mod inbox;
pub mod stream_management;
mod table;

pub use handle::{CloseReason, PresenceState, SessionFacts, SessionHandle, Undelivered};
pub use inbox::{Delivery, InboxLimits};
pub use table::SessionTable;

use std::sync::Arc;

use crate::jid::FullJid;

/// A bound resource. Exactly one task owns it; it can move from one to another by value.
///
/// Dropping it, also after a panic, closes its mailbox and takes it out of the table.
#[derive(Debug)]
pub struct Session {
    handle: SessionHandle,
    table: Arc<SessionTable>,
}

impl Session {
    /// Enters a new session into the table. The newer one wins: an older one of the same full
    /// JID, and the oldest ones above `limit` of the account, are told to close
    /// (RFC 6120 §7.7.2.2).
    #[must_use]
    pub fn open(
        table: Arc<SessionTable>,
        jid: FullJid,
        facts: SessionFacts,
        bounds: InboxLimits,
        limit: usize,
    ) -> Self {
        let handle = SessionHandle::new(jid, facts, bounds);
        table.enter(&handle, limit);
        Self { handle, table }
    }

    /// How others reach it.
    #[must_use]
    pub fn handle(&self) -> &SessionHandle {
        &self.handle
    }

    /// Takes it out of the table and closes its mailbox. Answers what nobody has written: the
    /// caller sends it the way of the absent.
    #[must_use]
    pub fn close(self) -> Vec<Delivery> {
        self.table.leave(&self.handle);
        self.handle.inbox().close()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.table.leave(&self.handle);
        drop(self.handle.inbox().close());
    }
}
