//! A program sends a message to a room for a user, over the HTTP API (docs/http-api.md). It is no occupant: nobody is told
//! that it comes or goes.
//!
//! DEPARTS: XEP-0045 §7.4 – only occupants send to a room. The message looks like one of an occupant: like one of the
//! user's own occupant, if the user is in the room with a client, otherwise like one of a member who has just left.

use super::affiliation::Role;
use super::{Actor, Affiliation, Room};
use crate::jid::FullJid;
use crate::stanza::{Condition, StanzaError};
use smol_str::SmolStr;

/// Who speaks in a room.
pub(super) struct Speaker {
    pub(super) address: FullJid,
    /// XEP-0421.
    pub(super) id: SmolStr,
    pub(super) role: Role,
}

impl Room {
    /// Who speaks, if this is an occupant, or a program of a user who may speak without being one.
    ///
    /// # Errors
    /// `not-acceptable` if a client is not in the room. For a program: `forbidden` if the user is neither in the room nor
    /// one of its members, `conflict` if somebody else has the nickname.
    pub(super) fn speaker(&self, actor: &Actor) -> Result<Speaker, StanzaError> {
        if !actor.is_program {
            let occupant = self.occupant(actor)?;
            let (address, id) = (occupant.address.clone(), occupant.id.clone());
            return Ok(Speaker { address, id, role: occupant.role });
        }
        let own = self.occupants.of_user(&actor.user).max_by_key(|occupant| occupant.role);
        if let Some(own) = own {
            return Ok(Speaker {
                address: own.address.clone(),
                id: own.id.clone(),
                role: own.role,
            });
        }
        let affiliation = self.affiliation_of(actor);
        let is_member =
            matches!(affiliation, Affiliation::Owner | Affiliation::Admin | Affiliation::Member);
        if !is_member {
            let text = "a program may write to the rooms that its user is in or is a member of";
            return Err(Condition::Forbidden.text(text));
        }
        let nick = self.members.nick_of(&actor.user).or(actor.user.local()).unwrap_or_default();
        let address = self.address_with(nick)?;
        self.check_nick(&actor.user, address.resource_part())?;
        let role = self.role_on_entry(&actor.user, affiliation);
        Ok(Speaker { address, id: self.occupant_id(&actor.user), role })
    }
}
