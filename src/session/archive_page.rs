//! A page of an archive that a client was sent (XEP-0313).

use crate::storage::MessageId;

/// A page of an archive that leaves out no message between its ends (XEP-0313 §4.3).
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
    /// This page and one that was read later, as one page. If there is a gap between them, the later one
    /// alone.
    pub(super) fn join(self, next: Self) -> Self {
        if next.after == Some(self.last) && self.last < next.first {
            Self { first: self.first, after: self.after, ..next }
        } else if next.before == Some(self.first) && next.last < self.first {
            Self { first: next.first, after: next.after, ..self }
        } else {
            next
        }
    }
}
