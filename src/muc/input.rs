//! The inputs of a room.

use smol_str::SmolStr;

use crate::jid::{BareJid, Jid};
use crate::payload::datetime::Timestamp;
use crate::stanza::{Iq, Message, Presence};

/// The time of an input, and a random identifier for its effects: a room reads no clock and makes no random numbers.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The time.
    pub at: Timestamp,
    /// An identifier that nobody can guess.
    pub token: SmolStr,
}

/// Who has sent a stanza to a room.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The real address, as it was authenticated. A client has a full one.
    pub jid: Jid,
    /// The user, by the real address without its resource.
    pub user: BareJid,
    /// An administrator of the service, who may do what an owner may do in each room (XEP-0045 §10).
    pub is_service_admin: bool,
    /// A program that sends for the user over HTTP, and is in no room itself.
    pub is_program: bool,
}

impl Actor {
    /// Somebody with this address.
    #[must_use]
    pub fn new(jid: Jid, is_service_admin: bool) -> Self {
        Self { user: jid.to_bare(), jid, is_service_admin, is_program: false }
    }
}

/// An input of a room.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// A message to the room, or to one of its occupants.
    Message(Message),
    /// Presence of all kinds to an occupant, which may be a nickname that nobody has yet, or to the room.
    Presence(Presence),
    /// Unavailable presence to an occupant that the server sends on behalf of the session of the actor, which has
    /// ended.
    Ended(Presence),
    /// A message of the room that this server could not deliver to the session of the actor, which is there: its user
    /// has blocked the sender.
    Refused(Message),
    /// A request to the room, or to one of its occupants.
    Request(&'a Iq),
    /// An answer to a request that was passed on to an occupant.
    Response(Iq),
    /// A session can no longer be reached (XEP-0045 §18.1.2, ghosts). The actor is that session.
    Lost,
}
