//! What a session holds in memory for its client, as the budget `memory` sees it.

use super::SessionRef;
use crate::limit::{Action, Held, Level};

/// The bytes of a session. Without a budget, nothing is counted.
#[derive(Debug, Default)]
pub(super) struct Memory(Option<Box<Parts>>);

/// Each part is set by one place, so that none needs to know of the others.
#[derive(Debug)]
struct Parts {
    mailbox: Held,
    unacknowledged: Held,
    writing: Held,
}

impl Memory {
    /// That of a session of `account` (a bare JID as text).
    pub(super) fn of(level: &Level, account: &str) -> Self {
        let mailbox = level.holder(Some(account), None);
        let (unacknowledged, writing) = (mailbox.sibling(), mailbox.sibling());
        Self(Some(Box::new(Parts { mailbox, unacknowledged, writing })))
    }

    /// So much waits in the mailbox.
    pub(super) fn in_mailbox(&self, bytes: usize) {
        self.parts(|parts| parts.mailbox.set(bytes as u64));
    }

    /// So much has been sent and is not acknowledged.
    pub(super) fn unacknowledged(&self, bytes: usize) {
        self.parts(|parts| parts.unacknowledged.set(bytes as u64));
    }

    /// So much is being written.
    pub(super) fn in_writing(&self, bytes: usize) {
        self.parts(|parts| parts.writing.set(bytes as u64));
    }

    /// There is no room for what can be read from the store later. It is counted as a delay.
    pub(super) fn is_short(&self) -> bool {
        let Some(parts) = &self.0 else { return false };
        let over = parts.mailbox.over();
        if let Some(scope) = over {
            parts.mailbox.level().count(scope, Action::Delay);
        }
        over.is_some()
    }

    /// The account, or all together, hold more than they may.
    pub(super) fn is_over(&self) -> bool {
        self.0.as_ref().is_some_and(|parts| parts.mailbox.over().is_some())
    }

    /// What this session holds.
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

impl SessionRef {
    /// So many bytes are being written to the client. For the owner.
    pub fn writing(&self, bytes: usize) {
        self.inbox().memory().in_writing(bytes);
    }

    /// About how many bytes are held for its client.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.inbox().memory().own()
    }

    /// It has ended, or was told to close.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.inbox().is_ending()
    }

    /// It ends since its client does not acknowledge what it gets. For the owner.
    pub fn note_overrun(&self) {
        self.inbox().note_overrun();
    }

    /// It ends, or has ended, since its client does not read or does not acknowledge.
    #[must_use]
    pub fn has_overrun(&self) -> bool {
        self.inbox().has_overrun()
    }
}
