//! Messages in memory: as an archive has them, and as undelivered ones.

use crate::jid::BareJid;
use crate::storage::{Stored, Waiting};

/// A message of an archive, with its words if it can be searched.
#[derive(Debug)]
pub(super) struct Archived {
    pub(super) message: Stored,
    pub(super) words: Vec<String>,
}

/// An undelivered message.
#[derive(Debug)]
pub(super) struct Undelivered {
    pub(super) sender: BareJid,
    pub(super) message: Waiting,
}
