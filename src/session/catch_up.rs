//! What a session has been given and its client has not got yet, and what becomes of messages that
//! come while others wait for the account (docs/delivery.md). State without any waiting: the mailbox
//! locks it and wakes who waits.

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};

use super::Delivery;
use crate::storage::MessageId;

/// What is in flight, and the reading of what waits.
#[derive(Debug, Default)]
pub(super) struct CatchUp {
    /// Messages that the session was given and its client has not got yet, with their sizes.
    in_flight: FxHashMap<MessageId, usize>,
    /// The sum of the sizes.
    bytes: usize,
    /// `None`: the session is live, what comes goes to its mailbox.
    mode: Option<Mode>,
    /// What waits was asked for again since the reading began.
    wanted_again: bool,
    /// The first message that was deferred since the session was live: another session of the
    /// account may have got it meanwhile, so that it has no marker any more.
    deferred_since: Option<MessageId>,
    /// How far the reading has come since then.
    read_to: Option<MessageId>,
    /// The newest message that waits since the session began, as it had not told yet whether it wants
    /// any.
    left_out: Option<MessageId>,
    /// What the client has read of its archive, page by page without a gap.
    archive: Option<ArchivePage>,
}

/// A page of an archive between whose ends no message was left out (XEP-0313 §4.3).
#[derive(Clone, Copy, Debug)]
pub struct ArchivePage {
    /// Its oldest message.
    pub first: MessageId,
    /// Its newest message.
    pub last: MessageId,
    /// It begins directly behind this message.
    pub after: Option<MessageId>,
    /// It ends directly before this message.
    pub before: Option<MessageId>,
    /// There was no newer message in the archive.
    pub is_newest: bool,
}

impl ArchivePage {
    /// With a page that was read later, if there is no gap between them; else that one alone.
    fn join(self, next: Self) -> Self {
        if next.after == Some(self.last) && self.last < next.first {
            Self { first: self.first, after: self.after, ..next }
        } else if next.before == Some(self.first) && next.last < self.first {
            Self { first: next.first, after: next.after, ..self }
        } else {
            next
        }
    }
}

/// What becomes of messages that come while others wait.
#[derive(Debug)]
enum Mode {
    /// They stand here, until the last of those that were deferred have been read.
    Buffering(VecDeque<Delivery>),
    /// They are deferred, as what waits will be read to its end, and they with it.
    Deferring,
    /// Nobody has asked for what waits yet. What comes must not overtake it: the first message is
    /// deferred, and then what waits is looked for.
    Unasked,
}

impl CatchUp {
    /// The session is given a message; `read`: it was read from what waits.
    pub(super) fn take(&mut self, marker: MessageId, size: usize, read: bool) {
        if self.in_flight.insert(marker, size).is_none() {
            self.bytes += size;
        }
        if read {
            self.read_to = self.read_to.max(Some(marker));
        }
    }

    /// The client has these.
    pub(super) fn release(&mut self, markers: &[MessageId]) {
        for marker in markers {
            self.leave(marker);
        }
        if self.in_flight.is_empty() {
            self.in_flight = FxHashMap::default();
        }
    }

    fn leave(&mut self, marker: &MessageId) {
        if let Some(size) = self.in_flight.remove(marker) {
            self.bytes -= size;
        }
    }

    pub(super) fn has(&self, marker: MessageId) -> bool {
        self.in_flight.contains_key(&marker)
    }

    /// At most so many messages, and so many bytes of them, are in in_flight, without those held.
    pub(super) fn is_below(&self, messages: usize, bytes: usize) -> bool {
        let (held, held_bytes) = match &self.mode {
            Some(Mode::Buffering(held)) => (held.len(), held.iter().map(|d| d.stanza.size()).sum()),
            _ => (0, 0),
        };
        self.in_flight.len() - held <= messages && self.bytes - held_bytes <= bytes
    }

    /// Nothing goes to the mailbox directly.
    pub(super) fn is_closed(&self) -> bool {
        self.mode.is_some()
    }

    /// What waits is to be read.
    pub(super) fn want(&mut self) {
        self.wanted_again = true;
        if !matches!(self.mode, Some(Mode::Buffering(_))) {
            self.mode = Some(Mode::Deferring);
        }
    }

    /// What waits is being read, or is to be.
    pub(super) fn is_wanted(&self) -> bool {
        matches!(self.mode, Some(Mode::Buffering(_) | Mode::Deferring))
    }

    /// The session has just begun, and what waits may be asked for.
    pub(super) fn expect(&mut self) {
        self.mode.get_or_insert(Mode::Unasked);
    }

    pub(super) fn is_expected(&self) -> bool {
        matches!(self.mode, Some(Mode::Unasked))
    }

    /// This message waits: what comes to the session's own address comes behind it.
    pub(super) fn leave_out(&mut self, marker: MessageId) {
        self.left_out = self.left_out.max(Some(marker));
        self.expect();
    }

    pub(super) fn left_out(&self) -> Option<MessageId> {
        self.left_out
    }

    /// The client gets this page of its archive. Answers the oldest and the newest message of all that
    /// it has got without a gap, if nothing newer is in the archive.
    pub(super) fn read_archive(&mut self, page: ArchivePage) -> Option<(MessageId, MessageId)> {
        let read = self.archive.map_or(page, |before| before.join(page));
        self.archive = Some(read);
        read.is_newest.then_some((read.first, read.last))
    }

    /// Nothing waited when the session began.
    pub(super) fn dismiss(&mut self) {
        if self.is_expected() && self.left_out.is_none() {
            self.mode = None;
        }
    }

    /// The reading begins; answers what is in in_flight already. What was held is deferred.
    pub(super) fn begin(&mut self) -> FxHashSet<MessageId> {
        self.pass_held();
        self.wanted_again = false;
        self.mode = Some(Mode::Deferring);
        self.in_flight.keys().copied().collect()
    }

    /// From now on what comes is held. What was deferred before has lower numbers.
    pub(super) fn buffer(&mut self) {
        self.pass_held();
        self.mode = Some(Mode::Buffering(VecDeque::new()));
    }

    /// All that waits has been read: the session is live, and what was held is given. `None` if it was
    /// too much, or what waits was asked for again: then it was deferred.
    pub(super) fn end(&mut self) -> Option<VecDeque<Delivery>> {
        if self.wanted_again {
            self.pass_held();
        }
        let Some(Mode::Buffering(held)) = self.mode.take() else {
            self.mode = Some(Mode::Deferring);
            return None;
        };
        (self.deferred_since, self.read_to) = (None, None);
        Some(held)
    }

    /// A message comes while others wait, or does not find room: it is held, or will be read.
    pub(super) fn defer(&mut self, delivery: Delivery, marker: MessageId) {
        match &mut self.mode {
            Some(Mode::Buffering(held)) if has_room(held) => {
                let size = delivery.stanza.size();
                held.push_back(delivery);
                self.take(marker, size, false);
            }
            _ => {
                self.pass_held();
                self.mode = Some(Mode::Deferring);
                self.passed(marker);
            }
        }
    }

    /// The first message that was deferred and has not been read.
    pub(super) fn unread(&self) -> Option<MessageId> {
        let next = self.read_to.and_then(|read| MessageId::new(read.get() + 1));
        self.deferred_since.map(|first| next.map_or(first, |next| first.max(next)))
    }

    /// It came while the session read what waits, or was about to.
    pub(super) fn was_deferred(&self, marker: MessageId) -> bool {
        self.deferred_since.is_some_and(|first| first <= marker)
    }

    /// As a session of a server before had it: it is to read what waits, and what has come since.
    pub(super) fn restore(
        &mut self,
        in_flight: impl IntoIterator<Item = (MessageId, usize)>,
        since: Option<MessageId>,
    ) {
        self.mode = Some(Mode::Deferring);
        self.deferred_since = since;
        for (marker, size) in in_flight {
            self.take(marker, size, false);
        }
    }

    fn passed(&mut self, marker: MessageId) {
        self.deferred_since = Some(self.deferred_since.map_or(marker, |first| first.min(marker)));
    }

    /// What was held will be read.
    fn pass_held(&mut self) {
        if let Some(Mode::Buffering(held)) = self.mode.take() {
            for marker in held.iter().filter_map(|delivery| delivery.marker) {
                self.leave(&marker);
                self.passed(marker);
            }
        }
    }
}

fn has_room(held: &VecDeque<Delivery>) -> bool {
    let bytes = || held.iter().map(|delivery| delivery.stanza.size()).sum::<usize>();
    held.len() < HELD && bytes() < HELD_BYTES
}

/// Messages held while the last of those before them are read.
const HELD: usize = 64;
/// Bytes of them; the last one may be beyond.
const HELD_BYTES: usize = 256 * 1024;
