//! All that is stored in memory: owners with what belongs to them, and sessions.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use super::contacts::Contacts;
use super::messages::Undelivered;
use super::pubsub_node::StoredNode;
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::RoomAffiliation;
use crate::storage::message_id::{IdClock, Ids};
use crate::storage::usage::Room;
use crate::storage::{
    ApiToken, ApiTokenHash, ContentHash, Device, Invitation, MessageId, NodeNumber,
    PushRegistration, Resumable, ScramKeys, SessionNumber, Stored, StoredFile, StoredRoom,
};

/// All that is stored.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) owners: BTreeMap<BareJid, Owner>,
    /// The ids of each node.
    pub(super) ids: BTreeMap<NodeNumber, Ids>,
    /// The contents of files with their sizes.
    pub(super) contents: BTreeMap<ContentHash, u64>,
    last_owner: i64,
    /// The counter of the last session that can be resumed.
    pub(super) last_session: i64,
    /// The quota, in bytes, of accounts that have none of their own.
    pub(super) default_quota: u64,
    pub(super) sessions: BTreeMap<SessionNumber, Resumable>,
    /// The server's secret, once it was asked for.
    pub(super) secret: Option<[u8; 32]>,
}

/// An address for which something is stored.
#[derive(Debug, Default)]
pub(super) struct Owner {
    /// No other owner has this number, and none had it before.
    pub(super) number: i64,
    pub(super) account: Option<AccountData>,
    /// In the order in which they were made.
    pub(super) api_tokens: Vec<(ApiTokenHash, ApiToken)>,
    /// By kind and key.
    pub(super) documents: BTreeMap<(String, String), String>,
    /// What hashes stand for that its clients were the first to tell, with a number that grows. Oldest first.
    pub(super) capabilities: Vec<(i64, SmolStr, Vec<SmolStr>)>,
    /// By id.
    pub(super) devices: BTreeMap<String, Device>,
    pub(super) files: Vec<StoredFile>,
    /// Bytes for which slots were given, by hours since 1970.
    pub(super) upload_hours: BTreeMap<i64, u64>,
    pub(super) invitations: Vec<Invitation>,
    pub(super) archive: BTreeMap<MessageId, Stored>,
    pub(super) waiting: BTreeMap<MessageId, Undelivered>,
    pub(super) roster: Contacts,
    /// The room that has this address.
    pub(super) group_chat: Option<StoredRoom>,
    /// In the order of their services and nodes.
    pub(super) push: Vec<PushRegistration>,
    /// By name.
    pub(super) nodes: BTreeMap<String, StoredNode>,
    /// Its own quota in bytes, if it has one.
    pub(super) quota: Option<u64>,
    pub(super) room: Room,
}

/// What makes an owner an account.
#[derive(Debug)]
pub(super) struct AccountData {
    pub(super) keys: Vec<ScramKeys>,
    pub(super) created: Timestamp,
    pub(super) last_login: Option<Timestamp>,
    pub(super) admin: bool,
}

impl State {
    /// The ids of a node.
    pub(super) fn ids(&mut self, node: NodeNumber) -> &mut Ids {
        let ids = || Ids::after(0, IdClock::default(), node);
        self.ids.entry(node).or_insert_with(ids)
    }

    /// The owner, which is made if it does not exist.
    pub(super) fn owner(&mut self, jid: &BareJid) -> &mut Owner {
        let (last, room) = (&mut self.last_owner, Room::first(None, self.default_quota));
        self.owners.entry(jid.clone()).or_insert_with(|| {
            *last += 1;
            Owner { number: *last, room, ..Owner::default() }
        })
    }

    /// Removes an owner with all that is stored for it.
    pub(super) fn remove(&mut self, jid: &BareJid) -> Option<Owner> {
        self.sessions.retain(|_, session| session.owner != *jid);
        for node in self.owners.values_mut().flat_map(|owner| owner.nodes.values_mut()) {
            node.forget_entity(jid);
        }
        for room in self.owners.values_mut().filter_map(|owner| owner.group_chat.as_mut()) {
            // Bans stay.
            let stays = [RoomAffiliation::None, RoomAffiliation::Outcast];
            room.members.retain(|member| member.jid != *jid || stays.contains(&member.affiliation));
        }
        self.owners.remove(jid)
    }
}
