//! The state of a session that catches up (docs/delivery.md): what is in flight, and what becomes of messages
//! that come while older ones are in the store. It never waits. What is done with it is in `catch_up.rs`.

use std::collections::VecDeque;

use rustc_hash::FxHashSet;

use super::archive_page::ArchivePage;
use super::delivery::Delivery;
use super::in_flight::InFlight;
use crate::storage::MessageId;

/// What is in flight, and what becomes of messages that come while older ones are in the store.
#[derive(Debug, Default)]
pub(super) struct CatchUpState {
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
    /// What the client has got since catching up was requested, but not from the store. It may be in the
    /// archive behind the first deferred message, or on a page that was read before, and is not read again.
    received: Option<Box<FxHashSet<MessageId>>>,
    /// What the client has read of its archive, page by page without a gap.
    archive: Option<Box<ArchivePage>>,
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

impl CatchUpState {
    /// The session was given a message. `is_stored`: it was read from the store.
    pub(super) fn sent(&mut self, marker: MessageId, size: usize, is_stored: bool) {
        self.in_flight.insert(marker, size);
        if is_stored {
            self.read_to = self.read_to.max(Some(marker));
        }
    }

    /// The client has the messages with these markers. `true` if the session is live.
    pub(super) fn release(&mut self, markers: &[MessageId]) -> bool {
        for marker in markers {
            self.in_flight.remove(*marker);
            if self.is_requested() && self.read_to < Some(*marker) {
                self.received.get_or_insert_default().insert(*marker);
            }
        }
        self.is_live()
    }

    /// The session must not be given the message again: it is in flight, or the client has got it meanwhile.
    pub(super) fn has(&self, marker: MessageId) -> bool {
        let is_received = |received: &FxHashSet<_>| received.contains(&marker);
        self.is_in_flight(marker) || self.received.as_deref().is_some_and(is_received)
    }

    /// For a snapshot: what the client has got of the messages that it may find again.
    pub(super) fn received(&self) -> Vec<MessageId> {
        let mut received: Vec<_> =
            self.received.iter().flat_map(|all| all.iter().copied()).collect();
        received.sort_unstable();
        received
    }

    pub(super) fn is_in_flight(&self, marker: MessageId) -> bool {
        self.in_flight.contains(marker)
    }

    /// At most so many messages, and so many bytes of them, are in flight, without those buffered.
    pub(super) fn is_below(&self, messages: usize, bytes: usize) -> bool {
        let (buffered, buffered_bytes) = match &self.mode {
            Some(Mode::Buffering(buffer)) => (buffer.len(), bytes_of(buffer)),
            _ => (0, 0),
        };
        self.in_flight.len() - buffered <= messages
            && self.in_flight.bytes() - buffered_bytes <= bytes
    }

    /// New messages go to the mailbox.
    pub(super) fn is_live(&self) -> bool {
        self.mode.is_none()
    }

    /// The client has not said yet whether it wants messages. Nothing happens if the session catches up.
    pub(super) fn expect_decision(&mut self) {
        self.mode.get_or_insert(Mode::Undecided);
    }

    pub(super) fn is_undecided(&self) -> bool {
        matches!(self.mode, Some(Mode::Undecided))
    }

    /// The client has not said yet whether it wants messages, and there is none: the session is live.
    pub(super) fn go_live_if_undecided(&mut self) {
        if self.is_undecided() && self.skipped.is_none() {
            self.mode = None;
        }
    }

    /// A message was stored and not given to the session. No newer one overtakes it.
    pub(super) fn note_skipped(&mut self, marker: MessageId) {
        self.skipped = self.skipped.max(Some(marker));
        self.expect_decision();
    }

    /// The newest message that was skipped.
    pub(super) fn skipped(&self) -> Option<MessageId> {
        self.skipped
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

    /// Restores a session that the previous server has saved. The session will read what is in the store,
    /// from `since` on with or without a marker, but not what the client has `received`.
    pub(super) fn restore(
        &mut self,
        in_flight: impl IntoIterator<Item = (MessageId, usize)>,
        since: Option<MessageId>,
        received: FxHashSet<MessageId>,
    ) {
        self.mode = Some(Mode::Deferring);
        self.deferred_since = since;
        self.received = (!received.is_empty()).then(|| Box::new(received));
        for (marker, size) in in_flight {
            self.sent(marker, size, false);
        }
    }

    /// The first message that was deferred and has not been read from the store.
    pub(super) fn first_unread(&self) -> Option<MessageId> {
        let next = self.read_to.and_then(|read| MessageId::new(read.get() + 1));
        self.deferred_since.map(|first| next.map_or(first, |next| first.max(next)))
    }

    /// For a snapshot: the same, and what is buffered counts as deferred, because it is not saved.
    pub(super) fn first_unsaved(&self) -> Option<MessageId> {
        let buffered = match &self.mode {
            Some(Mode::Buffering(buffer)) => buffer.iter().filter_map(|held| held.marker).min(),
            _ => None,
        };
        [self.first_unread(), buffered].into_iter().flatten().min()
    }

    /// The message came while the session was there, and was deferred.
    pub(super) fn was_deferred(&self, marker: MessageId) -> bool {
        self.deferred_since.is_some_and(|first| first <= marker)
    }

    /// Catching up is requested. Messages that are being buffered are buffered until its end.
    pub(super) fn request(&mut self) {
        self.is_requested_again = true;
        if !matches!(self.mode, Some(Mode::Buffering(_))) {
            self.mode = Some(Mode::Deferring);
        }
    }

    /// Catching up is requested and has not ended.
    pub(super) fn is_requested(&self) -> bool {
        matches!(self.mode, Some(Mode::Buffering(_) | Mode::Deferring))
    }

    /// Catching up begins: new messages are deferred. Answers what is in flight.
    pub(super) fn begin(&mut self) -> FxHashSet<MessageId> {
        self.defer_buffered();
        self.is_requested_again = false;
        self.mode = Some(Mode::Deferring);
        self.in_flight.markers()
    }

    /// Catching up is near its end: new messages are buffered.
    pub(super) fn buffer(&mut self) {
        self.defer_buffered();
        self.mode = Some(Mode::Buffering(VecDeque::new()));
    }

    /// The session is live again. Answers what was buffered; `None` if that was too much, or if catching
    /// up was requested again: then all of it is deferred.
    pub(super) fn end(&mut self) -> Option<VecDeque<Delivery>> {
        if self.is_requested_again {
            self.defer_buffered();
        }
        let Some(Mode::Buffering(buffer)) = self.mode.take() else {
            self.mode = Some(Mode::Deferring);
            return None;
        };
        (self.deferred_since, self.read_to, self.received) = (None, None, None);
        Some(buffer)
    }

    /// The client is sent this page of its archive. Answers all pages that it has read without a gap, as
    /// one.
    pub(super) fn note_archive_page(&mut self, page: ArchivePage) -> ArchivePage {
        let read = self.archive.as_deref().map_or(page, |before| before.join(page));
        self.archive = Some(Box::new(read));
        read
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

fn has_capacity(buffer: &VecDeque<Delivery>) -> bool {
    buffer.len() < BUFFERED && bytes_of(buffer) < BUFFERED_BYTES
}

/// The size of what was buffered, in bytes.
pub(super) fn bytes_of(buffer: &VecDeque<Delivery>) -> usize {
    buffer.iter().map(|delivery| delivery.stanza.size()).sum()
}

/// Messages buffered while the last of those before them are read from the store.
const BUFFERED: usize = 64;
/// Bytes of them; the last message may be beyond.
const BUFFERED_BYTES: usize = 256 * 1024;
