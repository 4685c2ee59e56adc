//! How far a client has read in its archive, page by page (XEP-0313).

use super::Mailbox;
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
    /// This page and one that was read later, as one page. The later one alone if there is a gap between
    /// them.
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

impl Mailbox {
    /// The client is sent this page of its archive. Answers the oldest and the newest message of all that
    /// it has read without a gap, if there is nothing newer in the archive.
    pub fn note_archive_page(&self, page: ArchivePage) -> Option<(MessageId, MessageId)> {
        self.change(|catch_up| {
            let read = catch_up.archive.as_deref().map_or(page, |before| before.join(page));
            catch_up.archive = Some(Box::new(read));
            read.is_newest.then_some((read.first, read.last))
        })
    }
}
