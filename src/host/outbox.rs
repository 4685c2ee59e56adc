//! The stanzas that a stanza causes.

use std::collections::VecDeque;

use super::RosterLock;
use crate::jid::{BareJid, Jid};
use crate::stanza::Stanza;

/// New stanzas, which are routed in order when the stanza that is handled is done. So routing does not recurse.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: VecDeque<Stanza>,
    /// The stanzas that follow the answer to the request that is handled.
    behind: VecDeque<Stanza>,
    /// The rosters that stay locked until the answer and the stanzas behind it are routed.
    lock: Option<RosterLock>,
    /// How many stanzas of the queue are routed before the rosters are unlocked; `None` before there is an
    /// answer.
    locked: Option<usize>,
    /// Strangers whom a user has accepted, each with the user.
    accepted: Vec<(BareJid, Jid)>,
    /// Users whose photos have changed.
    photos: Vec<BareJid>,
}

impl Outbox {
    /// Sends a stanza when the one that is handled is done, before its answer. Its `from` must be at a host or at
    /// a service of ours, unless it is an error.
    pub fn send(&mut self, stanza: Stanza) {
        self.queue.push_back(stanza);
    }

    /// Sends a stanza directly behind the answer to the request that is handled, before stanzas that others
    /// send because of the request.
    pub fn send_behind(&mut self, stanza: Stanza) {
        self.behind.push_back(stanza);
    }

    /// Delivers what waits for `user` of a stranger, when all stanzas are routed: the user has accepted it.
    pub fn release(&mut self, user: BareJid, stranger: Jid) {
        if !self.accepted.iter().any(|known| (&known.0, &known.1) == (&user, &stranger)) {
            self.accepted.push((user, stranger));
        }
    }

    /// Takes a user, and a stranger whom the user has accepted.
    pub fn take_accepted(&mut self) -> Option<(BareJid, Jid)> {
        self.accepted.pop()
    }

    /// Does not deliver again what waits for `user` of `stranger`: it was tried just now.
    pub fn end_release(&mut self, user: &BareJid, stranger: &Jid) {
        self.accepted.retain(|known| (&known.0, &known.1) != (user, stranger));
    }

    /// Sends the presence of a user's sessions again, when all stanzas are routed: the photo has changed, whose hash
    /// is in it.
    pub fn show_photo(&mut self, user: BareJid) {
        if !self.photos.contains(&user) {
            self.photos.push(user);
        }
    }

    /// Takes a user whose photo has changed.
    pub fn take_photo(&mut self) -> Option<BareJid> {
        self.photos.pop()
    }

    /// Keeps rosters locked until the answer and the stanzas behind it are routed.
    pub fn unlock_behind(&mut self, lock: RosterLock) {
        self.lock = Some(lock);
    }

    /// Answers the request that is handled: queues the answer, and then the stanzas behind it.
    pub fn answer(&mut self, answer: Stanza) {
        self.queue.push_back(answer);
        self.queue.append(&mut self.behind);
        self.locked = Some(self.queue.len());
    }

    /// Whether the request that is handled holds the lock of this roster.
    #[must_use]
    pub fn has_locked(&self, user: &BareJid) -> bool {
        self.lock.as_ref().is_some_and(|lock| lock.covers(user))
    }

    /// Takes the next stanza. Those that wait for an answer go without it, if what was handled was no request.
    pub fn take(&mut self) -> Option<Stanza> {
        self.unlock();
        if let Some(left) = &mut self.locked {
            *left = left.saturating_sub(1);
        }
        self.queue.pop_front().or_else(|| self.behind.pop_front())
    }

    /// Unlocks the rosters as soon as that is allowed. `false` if they are still locked, so that others may
    /// wait for them.
    pub fn unlock(&mut self) -> bool {
        if self.queue.is_empty() || self.locked == Some(0) {
            self.lock = None;
        }
        self.lock.is_none()
    }
}
