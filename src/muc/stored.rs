//! How a room is stored, and restored.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::activity::Activity;
use super::challenges::Challenges;
use super::extra::Extra;
use super::history::History;
use super::members::Members;
use super::occupants::{Occupants, Seat};
use super::open_requests::OpenRequests;
use super::sent_private_messages::SentPrivateMessages;
use super::subject::Subject;
use super::{Actor, Affiliation, Room, RoomConfig, RoomLimits, presence_broadcast};
use crate::jid::{BareJid, FullJid};
use crate::storage::{RoomOccupant, StoredRoom};

impl Room {
    /// Restores a room with those of its stored occupants for whom `is_there` holds. The others are returned: they are
    /// to be removed from the store.
    #[must_use]
    pub fn restore(
        jid: BareJid,
        stored: StoredRoom,
        limits: RoomLimits,
        secret: [u8; 32],
        is_there: impl Fn(&FullJid) -> bool,
    ) -> (Self, Vec<FullJid>) {
        let mut room = Self {
            config: RoomConfig::from_settings(&stored.settings),
            members: Members::new(stored.members),
            occupants: Occupants::default(),
            subject: Subject::from_stored(&jid, stored.subject.as_deref()),
            history: History::default(),
            activity: Activity::default(),
            extra: Extra::from_stored(stored.extra.as_deref()),
            versioned: FxHashMap::default(),
            invited: VecDeque::new(),
            challenges: Challenges::default(),
            spoke: FxHashMap::default(),
            private_messages: SentPrivateMessages::default(),
            open_requests: OpenRequests::default(),
            created: stored.created,
            creator: stored.creator,
            jid,
            limits,
            secret,
        };
        let mut gone = Vec::new();
        for occupant in stored.occupants {
            if !is_there(&occupant.session) || !room.seat_again(&occupant) {
                gone.push(occupant.session);
            }
        }
        (room, gone)
    }

    /// What is stored of a new room.
    #[must_use]
    pub fn to_stored(&self) -> StoredRoom {
        StoredRoom {
            created: self.created,
            creator: self.creator.clone(),
            settings: self.config.to_settings(),
            subject: self.subject.to_stored(),
            extra: self.extra.to_stored(),
            members: self.members.since(0).into_iter().cloned().collect(),
            occupants: Vec::new(),
        }
    }

    /// Enters an occupant as it was stored. `false` if it cannot be read, or may not be there.
    fn seat_again(&mut self, stored: &RoomOccupant) -> bool {
        let Some(was) = presence_broadcast::read_stored(&stored.data) else { return false };
        let Ok(address) = self.jid.with_resource(&stored.nick) else { return false };
        let session = stored.session.clone().into_jid();
        let actor = Actor::new(session.clone(), false);
        if self.members.affiliation(&actor.user) == Affiliation::Outcast {
            return false;
        }
        let other = self.occupants.get(address.resource_part());
        if other.is_some_and(|other| other.user != actor.user) {
            return false;
        }
        let mut occupant = self.new_occupant(&actor, address, Seat::new(session, was.presence));
        (occupant.role, occupant.is_shown) = (was.role, was.is_shown);
        self.occupants.add(occupant);
        true
    }
}
