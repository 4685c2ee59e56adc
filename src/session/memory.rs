//! What a session holds in memory for its client, as the budget `memory` sees it.

use crate::limit::{Action, Held, Level};

/// How many bytes a session holds. Without a budget, nothing is counted.
#[derive(Debug, Default)]
pub(super) struct Memory(Option<Box<Parts>>);

/// Each part is set by one part of the session, which does not know the other parts.
#[derive(Debug)]
struct Parts {
    mailbox: Held,
    unacknowledged: Held,
    writing: Held,
}

impl Memory {
    /// For a session of `account` (a bare JID as text).
    pub(super) fn of(level: &Level, account: &str) -> Self {
        let mailbox = level.holder(Some(account), None);
        let (unacknowledged, writing) = (mailbox.sibling(), mailbox.sibling());
        Self(Some(Box::new(Parts { mailbox, unacknowledged, writing })))
    }

    /// Sets how many bytes are in the mailbox.
    pub(super) fn in_mailbox(&self, bytes: usize) {
        self.parts(|parts| parts.mailbox.set(bytes as u64));
    }

    /// Sets how many bytes were sent and are not acknowledged.
    pub(super) fn unacknowledged(&self, bytes: usize) {
        self.parts(|parts| parts.unacknowledged.set(bytes as u64));
    }

    /// Sets how many bytes are being written.
    pub(super) fn in_writing(&self, bytes: usize) {
        self.parts(|parts| parts.writing.set(bytes as u64));
    }

    /// The budget is used up for messages that can be read from the store later. Counted as a delay.
    pub(super) fn is_short(&self) -> bool {
        let Some(parts) = &self.0 else { return false };
        let over = parts.mailbox.over();
        if let Some(scope) = over {
            parts.mailbox.level().count(scope, Action::Delay);
        }
        over.is_some()
    }

    /// The account holds more than it may, or all sessions together do.
    pub(super) fn is_over(&self) -> bool {
        self.0.as_ref().is_some_and(|parts| parts.mailbox.over().is_some())
    }

    /// How many bytes this session holds.
    pub(super) fn own(&self) -> u64 {
        let parts = self.0.as_deref();
        parts.map_or(0, |p| p.mailbox.own() + p.unacknowledged.own() + p.writing.own())
    }

    fn parts(&self, change: impl FnOnce(&Parts)) {
        if let Some(parts) = &self.0 {
            change(parts);
        }
    }
}
