//! Who has been invited by whom (XEP-0045 §7.8.2): only invited users can decline, and an inviter learns that an
//! address cannot be reached.

use smol_str::SmolStr;

use crate::jid::{BareJid, Jid};

/// Somebody was invited.
#[derive(Clone, Debug)]
pub(super) struct Invited {
    pub(super) by: BareJid,
    pub(super) user: BareJid,
    /// The session that has sent the invitation, with the id of its message; `None` if it is the room's.
    pub(super) sent: Option<(Jid, Option<SmolStr>)>,
}
