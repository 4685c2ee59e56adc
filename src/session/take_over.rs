//! A session moves from the task that owns it to another one (XEP-0198 §5).

use std::sync::Arc;

use tokio::sync::oneshot;

use super::Session;
use super::mailbox::Mailbox;
use super::owner_state::OwnerState;
use super::session_ref::SessionRef;
use super::table::SessionTable;

/// Takes a session out of the task that owns it. The owner finishes the stanza in hand first.
///
/// Only for a session of this node.
#[derive(Debug)]
pub struct TakeOver {
    table: Arc<SessionTable>,
    handle: SessionRef,
    answer: oneshot::Receiver<OwnerState>,
}

impl TakeOver {
    /// Tells the owner of the session to hand it over.
    #[must_use]
    pub fn begin(table: Arc<SessionTable>, handle: SessionRef) -> Self {
        let answer = handle.order_hand_over();
        Self { table, handle, answer }
    }

    /// Waits for the session. `None` if it is ending, or if another task has asked for it since. May be
    /// dropped at any time: then the session is still to come.
    pub async fn session(&mut self) -> Option<Session> {
        let own = (&mut self.answer).await.ok()?;
        Some(self.session_with(own))
    }

    /// Waits no longer. Answers the session if it has come meanwhile.
    pub fn give_up(&mut self) -> Option<Session> {
        self.answer.close();
        let own = self.answer.try_recv().ok()?;
        Some(self.session_with(own))
    }

    fn session_with(&self, own: OwnerState) -> Session {
        let table = Some(Arc::clone(&self.table));
        Session { mailbox: Mailbox(self.handle.clone()), table, own }
    }
}

impl Drop for TakeOver {
    /// A session that has come and that nobody has taken ends.
    fn drop(&mut self) {
        drop(self.give_up());
    }
}
