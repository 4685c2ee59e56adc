//! Undelivered messages in memory.

use crate::jid::BareJid;
use crate::storage::Waiting;

/// An undelivered message.
#[derive(Debug)]
pub(super) struct Undelivered {
    pub(super) sender: BareJid,
    pub(super) message: Waiting,
}
