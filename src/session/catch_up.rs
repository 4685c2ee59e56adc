//! Catching up: a session reads from the store the messages that it was not given directly
//! (docs/delivery.md). The loop that reads is `modules/offline.rs`. It uses the methods of [`Mailbox`] here.

use std::time::Duration;

use rustc_hash::FxHashSet;

use super::archive_page::ArchivePage;
use super::catch_up_state::{CatchUpState, bytes_of};
use super::mailbox::Mailbox;
use super::session_ref::SessionRef;
use crate::storage::MessageId;

impl SessionRef {
    /// Tells the session to read what the store has for its account. Messages that come meanwhile are
    /// delivered in their turn.
    pub fn request_catch_up(&self) {
        let mut state = self.mailbox().state.lock();
        if !state.is_closed {
            state.catch_up.request();
        }
        drop(state);
        self.mailbox().catch_up_changed.notify_one();
    }

    /// A message for the account is in the store, and no session was given it. If this session is so new
    /// that its client may not have said yet whether it wants messages, no newer one overtakes it.
    pub fn note_skipped(&self, marker: MessageId) {
        let is_new = self.facts().since.elapsed() < JUST_BOUND;
        if is_new && self.available().is_none() {
            self.mailbox().state.lock().catch_up.note_skipped(marker);
        }
    }
}

impl Mailbox {
    /// The session has just been bound: its client has not said yet whether it wants messages.
    pub fn expect_decision(&self) {
        self.change(CatchUpState::expect_decision);
    }

    /// The client has not said yet whether it wants messages.
    #[must_use]
    pub fn is_undecided(&self) -> bool {
        self.change(|catch_up| catch_up.is_undecided())
    }

    /// Nothing was in the store when the session was bound: new messages need not be deferred.
    pub fn go_live_if_undecided(&self) {
        self.change(CatchUpState::go_live_if_undecided);
    }

    /// The newest message that [`SessionRef::note_skipped`] has noted.
    #[must_use]
    pub fn newest_skipped(&self) -> Option<MessageId> {
        self.change(|catch_up| catch_up.skipped())
    }

    /// Waits until the session is available. May be dropped at any time.
    pub async fn wait_until_available(&self) {
        while self.0.available().is_none() {
            self.shared().catch_up_changed.notified().await;
        }
    }

    /// Waits until catching up is requested. May be dropped at any time.
    pub async fn catch_up_requested(&self) {
        while !self.is_catching_up() {
            self.shared().catch_up_changed.notified().await;
        }
    }

    /// Catching up is requested and has not ended.
    #[must_use]
    pub fn is_catching_up(&self) -> bool {
        self.change(|catch_up| catch_up.is_requested())
    }

    /// Catching up begins: new messages are deferred. Answers what is in flight.
    #[must_use]
    pub fn begin_catch_up(&self) -> FxHashSet<MessageId> {
        self.change(CatchUpState::begin)
    }

    /// Catching up is near its end: from now on new messages are buffered. All that were deferred before
    /// have lower numbers.
    pub fn buffer_new(&self) {
        self.change(CatchUpState::buffer);
    }

    /// All that is in the store has been read: the session is live, and gets what was buffered. `false`
    /// if that was too much, or if catching up was requested again: then it begins again.
    #[must_use]
    pub fn end_catch_up(&self) -> bool {
        let shared = self.shared();
        let mut state = shared.state.lock();
        let Some(buffer) = state.catch_up.end() else { return false };
        state.bytes += bytes_of(&buffer);
        shared.memory.in_mailbox(state.bytes);
        state.queue.extend(buffer);
        drop(state);
        shared.filled.notify_one();
        true
    }

    /// The first message that was deferred and has not been read from the store. Another session of the
    /// account may have received it and later ones, so that their markers are gone.
    #[must_use]
    pub fn first_unread(&self) -> Option<MessageId> {
        self.change(|catch_up| catch_up.first_unread())
    }

    /// The message came while the session was there, and was deferred.
    #[must_use]
    pub fn was_deferred(&self, marker: MessageId) -> bool {
        self.change(|catch_up| catch_up.was_deferred(marker))
    }

    /// The session must not be given the message again: it is in flight, or the client has got it since
    /// catching up was requested.
    #[must_use]
    pub fn has(&self, marker: MessageId) -> bool {
        self.change(|catch_up| catch_up.has(marker))
    }

    /// Waits until at most so many messages, and so many bytes of them, are in flight, without those
    /// that are buffered; until none are if memory is short. May be dropped at any time.
    pub async fn wait_for_in_flight(&self, messages: usize, bytes: usize) {
        let shared = self.shared();
        loop {
            let is_short = shared.memory.is_short();
            let (messages, bytes) = if is_short { (0, 0) } else { (messages, bytes) };
            if self.change(|catch_up| catch_up.is_below(messages, bytes)) {
                return;
            }
            shared.catch_up_changed.notified().await;
        }
    }

    /// The client has the messages with these markers.
    pub fn release(&self, markers: &[MessageId]) {
        let is_live = self.change(|catch_up| catch_up.release(markers));
        if !is_live {
            self.shared().catch_up_changed.notify_one();
        }
    }

    /// The client is sent this page of its archive. Answers the oldest and the newest message of all that
    /// it has read without a gap, if there is nothing newer in the archive.
    pub fn note_archive_page(&self, page: ArchivePage) -> Option<(MessageId, MessageId)> {
        let read = self.change(|catch_up| catch_up.note_archive_page(page));
        read.is_newest.then_some((read.first, read.last))
    }

    pub(super) fn change<T>(&self, act: impl FnOnce(&mut CatchUpState) -> T) -> T {
        act(&mut self.shared().state.lock().catch_up)
    }
}

/// A session older than this whose client has not sent presence will hardly become available.
const JUST_BOUND: Duration = Duration::from_secs(10);
