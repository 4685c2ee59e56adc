//! Catching up: a session reads from the store the messages that it was not given directly
//! (docs/delivery.md). [`CatchUp`] is the state, which never waits; the loop that reads is
//! `modules/offline.rs`, and uses the methods of [`Mailbox`] below.

use std::collections::VecDeque;
use std::time::Duration;

use rustc_hash::FxHashSet;

use super::SessionRef;
use super::archive_page::ArchivePage;
use super::in_flight::InFlight;
use super::mailbox::{Delivery, Mailbox};
use crate::storage::MessageId;

/// What is in flight, and what becomes of messages that come while older ones are in the store.
#[derive(Debug, Default)]
pub(super) struct CatchUp {
    in_flight: InFlight,
    /// `None`: the session is live. New messages go to its mailbox.
    mode: Option<Mode>,
    /// Catching up was requested again since it began.
    is_requested_again: bool,
    /// The first message that was deferred since the session was live. Another session of the account
    /// may have received it meanwhile, so that its marker is gone.
    deferred_since: Option<MessageId>,
    /// The newest message that was read from the store since then.
    read_to: Option<MessageId>,
    /// The newest message that was stored and not given to the session, because its client had not said
    /// yet whether it wants messages.
    skipped: Option<MessageId>,
    /// What the client has read of its archive, page by page without a gap.
    pub(super) archive: Option<Box<ArchivePage>>,
}

/// What becomes of new messages while the session is not live.
#[derive(Debug)]
enum Mode {
    /// They are buffered here until the last of the deferred ones have been read from the store.
    Buffering(VecDeque<Delivery>),
    /// They are deferred: the session will read all that is in the store, and them with it.
    Deferring,
    /// The client has not said yet whether it wants messages. The first one is deferred, so that it does
    /// not overtake older ones; then the session looks whether there are any.
    Undecided,
}

impl CatchUp {
    /// The session was given a message. `is_stored`: it was read from the store.
    pub(super) fn sent(&mut self, marker: MessageId, size: usize, is_stored: bool) {
        self.in_flight.insert(marker, size);
        if is_stored {
            self.read_to = self.read_to.max(Some(marker));
        }
    }

    pub(super) fn is_in_flight(&self, marker: MessageId) -> bool {
        self.in_flight.contains(marker)
    }

    /// New messages go to the mailbox.
    pub(super) fn is_live(&self) -> bool {
        self.mode.is_none()
    }

    /// A message comes while older ones are in the store, or while the mailbox is full: it is buffered
    /// or deferred.
    pub(super) fn defer(&mut self, delivery: Delivery, marker: MessageId) {
        match &mut self.mode {
            Some(Mode::Buffering(buffer)) if has_capacity(buffer) => {
                let size = delivery.stanza.size();
                buffer.push_back(delivery);
                self.sent(marker, size, false);
            }
            _ => {
                self.defer_buffered();
                self.mode = Some(Mode::Deferring);
                self.note_deferred(marker);
            }
        }
    }

    /// As a session was when the server before ended: it will read what is in the store, from `since` on
    /// with or without a marker.
    pub(super) fn restore(
        &mut self,
        in_flight: impl IntoIterator<Item = (MessageId, usize)>,
        since: Option<MessageId>,
    ) {
        self.mode = Some(Mode::Deferring);
        self.deferred_since = since;
        for (marker, size) in in_flight {
            self.sent(marker, size, false);
        }
    }

    /// The first message that was deferred and has not been read from the store.
    pub(super) fn first_unread(&self) -> Option<MessageId> {
        let next = self.read_to.and_then(|read| MessageId::new(read.get() + 1));
        self.deferred_since.map(|first| next.map_or(first, |next| first.max(next)))
    }

    /// At most so many messages, and so many bytes of them, are in flight, without those buffered.
    fn is_below(&self, messages: usize, bytes: usize) -> bool {
        let (buffered, buffered_bytes) = match &self.mode {
            Some(Mode::Buffering(buffer)) => (buffer.len(), bytes_of(buffer)),
            _ => (0, 0),
        };
        self.in_flight.len() - buffered <= messages
            && self.in_flight.bytes() - buffered_bytes <= bytes
    }

    fn request(&mut self) {
        self.is_requested_again = true;
        if !matches!(self.mode, Some(Mode::Buffering(_))) {
            self.mode = Some(Mode::Deferring);
        }
    }

    pub(super) fn is_requested(&self) -> bool {
        matches!(self.mode, Some(Mode::Buffering(_) | Mode::Deferring))
    }

    fn begin(&mut self) -> FxHashSet<MessageId> {
        self.defer_buffered();
        self.is_requested_again = false;
        self.mode = Some(Mode::Deferring);
        self.in_flight.markers()
    }

    fn buffer(&mut self) {
        self.defer_buffered();
        self.mode = Some(Mode::Buffering(VecDeque::new()));
    }

    /// The session is live again. Answers what was buffered; `None` if that was too much, or if catching
    /// up was requested again: then all of it is deferred.
    fn end(&mut self) -> Option<VecDeque<Delivery>> {
        if self.is_requested_again {
            self.defer_buffered();
        }
        let Some(Mode::Buffering(buffer)) = self.mode.take() else {
            self.mode = Some(Mode::Deferring);
            return None;
        };
        (self.deferred_since, self.read_to) = (None, None);
        Some(buffer)
    }

    fn note_deferred(&mut self, marker: MessageId) {
        self.deferred_since = Some(self.deferred_since.map_or(marker, |first| first.min(marker)));
    }

    fn defer_buffered(&mut self) {
        if let Some(Mode::Buffering(buffer)) = self.mode.take() {
            for marker in buffer.iter().filter_map(|delivery| delivery.marker) {
                self.in_flight.remove(marker);
                self.note_deferred(marker);
            }
        }
    }
}

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
            let mut state = self.mailbox().state.lock();
            state.catch_up.skipped = state.catch_up.skipped.max(Some(marker));
            state.catch_up.mode.get_or_insert(Mode::Undecided);
        }
    }
}

impl Mailbox {
    /// The session has just been bound: its client has not said yet whether it wants messages.
    pub fn expect_decision(&self) {
        self.change(|catch_up| _ = catch_up.mode.get_or_insert(Mode::Undecided));
    }

    /// The client has not said yet whether it wants messages.
    #[must_use]
    pub fn is_undecided(&self) -> bool {
        self.change(|catch_up| matches!(catch_up.mode, Some(Mode::Undecided)))
    }

    /// Nothing was in the store when the session was bound: new messages need not be deferred.
    pub fn go_live_if_undecided(&self) {
        self.change(|catch_up| {
            if matches!(catch_up.mode, Some(Mode::Undecided)) && catch_up.skipped.is_none() {
                catch_up.mode = None;
            }
        });
    }

    /// The newest message that [`SessionRef::note_skipped`] has noted.
    #[must_use]
    pub fn newest_skipped(&self) -> Option<MessageId> {
        self.change(|catch_up| catch_up.skipped)
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
        self.change(CatchUp::begin)
    }

    /// Catching up is near its end: from now on new messages are buffered. All that were deferred before
    /// have lower numbers.
    pub fn buffer_new(&self) {
        self.change(CatchUp::buffer);
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

    /// The first message that was deferred and has not been read from the store. It and those behind it
    /// may have lost their markers to another session of the account.
    #[must_use]
    pub fn first_unread(&self) -> Option<MessageId> {
        self.change(|catch_up| catch_up.first_unread())
    }

    /// The message came while the session was there, and was deferred.
    #[must_use]
    pub fn was_deferred(&self, marker: MessageId) -> bool {
        self.change(|catch_up| catch_up.deferred_since.is_some_and(|first| first <= marker))
    }

    /// The message is in flight.
    #[must_use]
    pub fn is_in_flight(&self, marker: MessageId) -> bool {
        self.change(|catch_up| catch_up.is_in_flight(marker))
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
        let is_live = self.change(|catch_up| {
            markers.iter().for_each(|marker| catch_up.in_flight.remove(*marker));
            catch_up.is_live()
        });
        if !is_live {
            self.shared().catch_up_changed.notify_one();
        }
    }

    pub(super) fn change<T>(&self, act: impl FnOnce(&mut CatchUp) -> T) -> T {
        act(&mut self.shared().state.lock().catch_up)
    }
}

fn has_capacity(buffer: &VecDeque<Delivery>) -> bool {
    buffer.len() < BUFFERED && bytes_of(buffer) < BUFFERED_BYTES
}

fn bytes_of(buffer: &VecDeque<Delivery>) -> usize {
    buffer.iter().map(|delivery| delivery.stanza.size()).sum()
}

/// A session older than this whose client has not sent presence will hardly become available.
const JUST_BOUND: Duration = Duration::from_secs(10);
/// Messages buffered while the last of those before them are read from the store.
const BUFFERED: usize = 64;
/// Bytes of them; the last message may be beyond.
const BUFFERED_BYTES: usize = 256 * 1024;
