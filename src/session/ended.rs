//! What is left of a session that has ended.

use super::delivery::Delivery;
use super::session_ref::SessionRef;
use super::sm_state::Resumption;

/// What a session that has ended did not deliver.
#[derive(Debug)]
pub struct Unread {
    /// What the session was given and its client does not have.
    pub deliveries: Vec<Delivery>,
    /// The session was catching up: there may be more for it in the store.
    pub was_catching_up: bool,
}

/// A session that was dropped and not closed: the task that owned it has panicked. It is no longer in the
/// table, and its mailbox is closed.
#[derive(Debug)]
pub struct DroppedSession {
    /// The session.
    pub handle: SessionRef,
    /// How it could be resumed.
    pub resumption: Option<Resumption>,
    /// What it did not deliver.
    pub unread: Unread,
}
