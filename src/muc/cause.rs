//! Who does something in a room, and the errors that many requests have in common.

use smol_str::SmolStr;

use super::{Actor, Affiliation, Room};
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::stanza::{Condition, StanzaError};

/// Who changes something, and when.
#[derive(Clone, Debug)]
pub(super) struct Cause {
    pub(super) at: Timestamp,
    /// What this user is; an owner, if it is the server.
    pub(super) affiliation: Affiliation,
    /// The real address; `None` for the server.
    pub(super) user: Option<BareJid>,
    /// The nickname, if the user is in the room.
    pub(super) nick: Option<SmolStr>,
}

impl Room {
    /// The cause of what a user does.
    pub(super) fn cause(&self, at: Timestamp, actor: &Actor) -> Cause {
        let occupant = self.occupants.of_session(&actor.jid);
        let occupant = occupant.or_else(|| self.occupants.of_user(&actor.user).next());
        Cause {
            at,
            affiliation: self.affiliation_of(actor),
            user: Some(actor.user.clone()),
            nick: occupant.map(|occupant| occupant.nick.clone()),
        }
    }
}

/// A request that cannot be understood.
pub(super) fn bad(text: &'static str) -> StanzaError {
    Condition::BadRequest.text(text)
}
