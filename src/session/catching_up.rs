//! What a handle offers for catching up: reading, from the store, the messages that a session was not
//! given directly (docs/delivery.md).

use std::time::Duration;

use rustc_hash::FxHashSet;

use super::SessionRef;
use super::catch_up::{ArchivePage, CatchUp};
use crate::storage::MessageId;

impl SessionRef {
    /// The client gets this page of its archive. Answers the oldest and the newest message of all that
    /// it has got page by page without a gap, if nothing newer is in the archive.
    pub fn read_archive(&self, page: ArchivePage) -> Option<(MessageId, MessageId)> {
        self.inbox().backlog(|backlog| backlog.read_archive(page))
    }

    /// The client has the messages with these markers.
    pub fn release(&self, markers: &[MessageId]) {
        self.inbox().release(markers);
    }

    /// The session was given this message and its client has not got it yet.
    #[must_use]
    pub fn is_in_flight(&self, marker: MessageId) -> bool {
        self.inbox().is_in_flight(marker)
    }

    /// What waits for its account is to be read, and what comes meanwhile comes in its turn.
    pub fn want_backlog(&self) {
        self.inbox().want_backlog();
    }

    /// It has just been bound, and may yet ask for what waits.
    pub fn expect_backlog(&self) {
        self.inbox().backlog(CatchUp::expect);
    }

    /// It may yet ask for what waits.
    #[must_use]
    pub fn expects_backlog(&self) -> bool {
        self.inbox().backlog(|backlog| backlog.is_expected())
    }

    /// Nothing waited when it was bound.
    pub fn dismiss_backlog(&self) {
        self.inbox().backlog(CatchUp::dismiss);
    }

    /// It has told whether it is available. What it reads of what waits depends on that.
    pub fn appeared(&self) {
        self.inbox().wake_backlog();
    }

    /// Waits until it is available. For the owner; may be dropped.
    pub async fn available_at_last(&self) {
        while self.available().is_none() {
            self.inbox().backlog_changed().await;
        }
    }

    /// What waits has not been read to its end.
    #[must_use]
    pub fn has_backlog(&self) -> bool {
        self.inbox().backlog(|backlog| backlog.is_wanted())
    }

    /// Waits until what waits is to be read. For the owner; may be dropped.
    pub async fn backlog_wanted(&self) {
        self.inbox().backlog_wanted().await;
    }

    /// The reading begins: what comes is deferred. Answers what the session has already.
    #[must_use]
    pub fn begin_backlog(&self) -> FxHashSet<MessageId> {
        self.inbox().backlog(CatchUp::begin)
    }

    /// The first message that was deferred and has not been read: it and those behind it may have lost
    /// their markers to another session of the account.
    #[must_use]
    pub fn unread(&self) -> Option<MessageId> {
        self.inbox().backlog(|backlog| backlog.unread())
    }

    /// A message for the account waits, and no session took it. If this one is so new that it may
    /// not have told yet whether it wants messages, nothing overtakes it.
    pub fn leave_out(&self, marker: MessageId) {
        let is_new = self.facts().since.elapsed() < JUST_BOUND;
        if is_new && self.available().is_none() {
            self.inbox().backlog(|backlog| backlog.leave_out(marker));
        }
    }

    /// The newest of those messages.
    #[must_use]
    pub fn left_out(&self) -> Option<MessageId> {
        self.inbox().backlog(|backlog| backlog.left_out())
    }

    /// The message came while the session was there, and was deferred as others waited before it.
    #[must_use]
    pub fn was_deferred(&self, marker: MessageId) -> bool {
        self.inbox().backlog(|backlog| backlog.was_deferred(marker))
    }

    /// The end is near: what comes is held, and what was deferred has lower numbers.
    pub fn buffer_backlog(&self) {
        self.inbox().backlog(CatchUp::buffer);
    }

    /// All that waits has been read. `false`: too much came meanwhile, or it was asked for again, so
    /// begin again.
    #[must_use]
    pub fn end_backlog(&self) -> bool {
        self.inbox().end_backlog()
    }

    /// There is no connection, and much waits: stanzas that are worthless later are refused until
    /// there is one.
    pub fn shed_transient(&self) {
        self.inbox().shed_transient();
    }

    /// Waits until the client has all but so many messages, and bytes of them, of those that it was
    /// given. For the owner; may be dropped.
    pub async fn in_flight_below(&self, messages: usize, bytes: usize) {
        self.inbox().in_flight_below(messages, bytes).await;
    }
}

/// A session older than this that has not told that it is there will hardly do so.
const JUST_BOUND: Duration = Duration::from_secs(10);
