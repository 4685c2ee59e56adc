//! Rooms (placeholder until the store lands).
use crate::jid::{BareJid, FullJid};
use crate::payload::datetime::Timestamp;
/// a
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[allow(missing_docs)]
pub enum RoomAffiliation { Owner, Admin, Member, None, Outcast }
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[allow(missing_docs)]
/// a
pub struct RoomSettings { pub settings: String, pub name: String, pub description: String, pub language: String, pub is_public: bool, pub is_persistent: bool }
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(missing_docs)]
/// a
pub struct RoomMember { pub jid: BareJid, pub affiliation: RoomAffiliation, pub nick: Option<String>, pub reason: Option<String>, pub since: Timestamp, pub version: i64 }
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(missing_docs)]
/// a
pub struct RoomOccupant { pub session: FullJid, pub nick: String, pub data: String }
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(missing_docs)]
/// a
pub struct StoredRoom { pub created: Timestamp, pub creator: BareJid, pub settings: RoomSettings, pub subject: Option<String>, pub extra: Option<String>, pub members: Vec<RoomMember>, pub occupants: Vec<RoomOccupant> }
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[allow(missing_docs)]
/// a
pub struct RoomChange { pub settings: Option<RoomSettings>, pub subject: Option<Option<String>>, pub extra: Option<Option<String>>, pub members: Vec<RoomMember>, pub forget_members: Vec<BareJid>, pub occupants: Vec<RoomOccupant>, pub gone: Vec<FullJid> }
