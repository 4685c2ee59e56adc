//! The effects of an input of a room: what the caller of [`Room::apply`](super::Room::apply) has to do.

use std::sync::Arc;

use smol_str::SmolStr;

use crate::jid::{FullJid, Jid};
use crate::stanza::{Message, Presence, Stanza};
use crate::storage::{RoomChange, RoomMember};
use crate::xml::Node;

/// One effect.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "few are made, and each is used at once")]
pub enum Effect {
    /// A groupchat message: it gets an id, is archived, and goes to all occupants.
    Publish(Box<Publication>),
    /// A stanza that is routed like any other: its `from` is at the room.
    Send(Stanza),
    /// A stanza for sessions of occupants, in order with all other stanzas of the room. Each session gets it with its
    /// own address as `to`.
    Tell(Arc<Stanza>, Arc<[Jid]>),
}

/// A groupchat message.
#[derive(Clone, Debug)]
pub struct Publication {
    /// The message, with the `from` of the occupant or of the room.
    pub message: Message,
    /// Who gets it.
    pub to: Arc<[Jid]>,
    /// Whether it is stored in the archive of the room.
    pub archive: bool,
    /// Whether it is part of the history that newcomers are sent.
    pub in_history: bool,
    /// The session that has written it, by the real address; `None` if it is the room.
    pub author: Option<Jid>,
    /// The message that this one retracts (XEP-0424, XEP-0425), if it does.
    pub retracts: Option<Retraction>,
}

/// A message of a room is retracted. The code that carries out a [`Publication`] reads the message from the archive
/// of the room, asks [`Room::may_retract`](super::Room::may_retract), stores
/// [`Room::tombstone`](super::Room::tombstone) in its place, and calls
/// [`Room::note_retracted`](super::Room::note_retracted). The message that retracts it is stored, too.
#[derive(Clone, Debug)]
pub struct Retraction {
    /// The id of the message in the archive of the room.
    pub id: String,
    /// The identifier of the occupant (XEP-0421) who must have written it; `None` if a moderator retracts it.
    pub author: Option<SmolStr>,
    /// The `<retracted/>` element that takes the place of the content.
    pub retracted: Node,
    /// If there is no such message, nothing is published, and the answer to the request is `item-not-found`.
    /// Otherwise the message that retracts is one like all others.
    pub must_exist: bool,
}

/// All effects of an input, in order.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// What is sent.
    pub list: Vec<Effect>,
    /// What is stored. It may be empty.
    pub change: RoomChange,
    /// The payload of the answer to the request that was handled.
    pub answer: Option<Node>,
    /// The request that was handled is answered before anything is sent, when what it changes is stored.
    pub is_answered_first: bool,
    /// The answer to the request that was handled comes later, from somebody else.
    pub is_answered_later: bool,
    /// Sessions that have left because their users may no longer be in the room: it is destroyed, or they are banned or no
    /// longer members.
    pub shut_out: Vec<FullJid>,
    /// The room is destroyed: all that is stored of it is removed.
    pub is_destroyed: bool,
    /// Why the stanza was dropped, if it was: nobody is told. What is in `list` has other causes.
    pub ignored: Option<&'static str>,
}

impl Effects {
    /// Nothing is sent or stored.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.list.is_empty() && self.change == RoomChange::default() && !self.is_destroyed
    }

    /// Sends a stanza to one session.
    pub(super) fn tell(&mut self, to: &Jid, stanza: Stanza) {
        self.tell_all(Arc::new([to.clone()]), Arc::new(stanza));
    }

    /// Sends a stanza to several sessions.
    pub(super) fn tell_all(&mut self, to: Arc<[Jid]>, stanza: Arc<Stanza>) {
        if !to.is_empty() {
            self.list.push(Effect::Tell(stanza, to));
        }
    }

    /// Sends a message to several sessions.
    pub(super) fn tell_message(&mut self, to: Arc<[Jid]>, message: Message) {
        self.tell_all(to, Arc::new(Stanza::Message(message)));
    }

    /// Sends presence to several sessions.
    pub(super) fn tell_presence(&mut self, to: Vec<Jid>, presence: Presence) {
        if !to.is_empty() {
            self.tell_all(to.into(), Arc::new(Stanza::Presence(presence)));
        }
    }

    /// Routes a stanza.
    pub(super) fn send(&mut self, stanza: Stanza) {
        self.list.push(Effect::Send(stanza));
    }

    /// Stores the affiliation of somebody.
    pub(super) fn save_member(&mut self, member: &RoomMember) {
        self.change.members.retain(|known| known.jid != member.jid);
        self.change.members.push(member.clone());
    }
}
