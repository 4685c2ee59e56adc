//! A session: a bound resource (RFC 6120 §7), a value that exactly one task owns.
//!
//! Others reach it through its [`SessionRef`], which they find in the [`SessionTable`]. They
//! offer stanzas and never wait: a session that does not keep up is closed. A session that can be
//! resumed outlives its connection (XEP-0198 §5): it moves, by value, to the new one.

mod catch_up;
mod catching_up;
mod inbox;
mod memory;
mod session_ref;
mod sm_state;
mod snapshot;
pub mod stream_management;
mod table;

pub use catch_up::ArchivePage;
pub use inbox::{Delivery, InboxLimits};
pub use session_ref::{
    CloseReason, Execution, Order, PresenceState, SessionFacts, SessionRef, Undelivered,
};
pub use sm_state::{Batch, Resumption, SmState};
pub use table::SessionTable;

use std::sync::Arc;

use parking_lot::Mutex;

use crate::jid::FullJid;

/// A bound resource. Exactly one task owns it; it can move from one to another by value.
///
/// Dropping it, also after a panic, closes its mailbox and takes it out of the table.
#[derive(Debug)]
pub struct Session {
    handle: SessionRef,
    table: Arc<SessionTable>,
    /// Shared by the two loops of the owner, and by nobody else.
    link: Mutex<SmState>,
}

/// What the client of a session that has ended has not got.
#[derive(Debug)]
pub struct Unread {
    /// What it was given.
    pub deliveries: Vec<Delivery>,
    /// There was more for it in the store.
    pub had_backlog: bool,
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
        let memory = table.memory(&jid);
        let handle = SessionRef::new(jid, facts, bounds, memory);
        if !handle.is_anonymous() {
            // What others send to this very address must not overtake what waits.
            handle.expect_backlog();
        }
        table.enter(&handle, limit);
        Self { handle, table, link: Mutex::default() }
    }

    /// How others reach it.
    #[must_use]
    pub fn handle(&self) -> &SessionRef {
        &self.handle
    }

    /// Looks at what its loops share. The closure must be short and must not call others.
    pub fn link<T>(&self, act: impl FnOnce(&mut SmState) -> T) -> T {
        let mut link = self.link.lock();
        let answer = act(&mut link);
        let (_, bytes) = link.unacknowledged();
        self.handle.inbox().memory().unacknowledged(bytes);
        answer
    }

    /// Stream management begins (XEP-0198 §3), and how the session can be resumed, if the client
    /// wants that. `false` if it has begun already.
    pub fn manage(&self, resumption: Option<Resumption>) -> bool {
        let id = resumption.as_ref().map(|resumption| resumption.id.clone());
        let begun = self.link(|link| link.enable(resumption));
        if let Some(id) = id.filter(|_| begun) {
            self.table.resumable(id, &self.handle);
        }
        begun
    }

    /// Takes it out of the table and closes its mailbox. Answers what the client has not
    /// acknowledged, or nobody has written: the caller sends it the way of the absent.
    #[must_use]
    pub fn close(self) -> Unread {
        self.leave();
        let had_backlog = self.handle.has_backlog();
        let mut deliveries: Vec<_> = self.link(SmState::end).into();
        deliveries.extend(self.handle.inbox().close());
        Unread { deliveries, had_backlog }
    }

    fn leave(&self) {
        self.table.leave(&self.handle);
        if let Some(resumption) = self.link(|link| link.resumption()) {
            self.table.not_resumable(&resumption.id);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.leave();
        drop(self.handle.inbox().close());
    }
}

#[cfg(test)]
mod tests;
