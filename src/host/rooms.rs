//! Rooms of group chats (XEP-0045), as the administrator's commands use them. The feature that has the rooms
//! implements it; the commands do not know the feature.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;

use super::SharedState;
use super::command::CommandError;
use crate::jid::{BareJid, Jid};
use crate::payload::datetime::Timestamp;
use crate::stanza::StanzaError;
use crate::storage::{RoomAffiliation, RoomMember, StorageError};

/// Where the commands find the rooms. The feature registers it, and enters itself when the server starts.
#[derive(Default)]
pub struct Rooms(OnceLock<Arc<dyn RoomAdministration>>);

impl SharedState for Rooms {}

impl Rooms {
    /// Makes the rooms known. Called once, at the start. The value must not keep the server alive: it holds a
    /// `Weak` of what it needs.
    pub fn enter(&self, administration: Arc<dyn RoomAdministration>) {
        drop(self.0.set(administration));
    }

    /// The rooms; `None` while the server starts, and if there is no service with rooms.
    #[must_use]
    pub fn administration(&self) -> Option<Arc<dyn RoomAdministration>> {
        self.0.get().cloned()
    }
}

/// What an administrator may do with rooms. Everything that changes a room goes through the room itself: its
/// occupants are told, and the store has it when the call returns.
#[async_trait]
pub trait RoomAdministration: Send + Sync {
    /// The domains of the services, in the order of the configuration, host by host.
    fn domains(&self) -> Vec<String>;
    /// Rooms of a domain in the order of their addresses, with those that are hidden if `all` is set.
    async fn list(&self, domain: &str, all: bool) -> Result<Vec<RoomRow>, RoomError>;
    /// A room.
    async fn show(&self, room: &BareJid) -> Result<RoomFacts, RoomError>;
    /// How many rooms a domain has, and who is in them.
    async fn count(&self, domain: &str) -> Result<RoomCount, RoomError>;
    /// Makes a room with the settings of new rooms, but persistent. Its owner needs no account. `force`: also if the
    /// service has as many rooms as it may have.
    async fn create(&self, room: &BareJid, owner: &BareJid, force: bool) -> Result<(), RoomError>;
    /// Destroys a room with its archive (XEP-0045 §10.9). Returns how many occupants were in it.
    async fn destroy(
        &self,
        room: &BareJid,
        reason: Option<&str>,
        alternative: Option<&BareJid>,
    ) -> Result<usize, RoomError>;
    /// Sets a field of the form `muc#roomconfig` (XEP-0045 §16.5.3) to these values, as an owner would. The field
    /// has its full name.
    async fn set(&self, room: &BareJid, field: &str, values: &[String]) -> Result<(), RoomError>;
    /// Gives an affiliation to a user or a domain, as an owner would (XEP-0045 §5.2).
    async fn set_affiliation(
        &self,
        room: &BareJid,
        user: &BareJid,
        affiliation: RoomAffiliation,
        reason: Option<&str>,
    ) -> Result<(), RoomError>;
    /// Users with this affiliation, or with any but [`RoomAffiliation::None`], in the order of their addresses.
    async fn members(
        &self,
        room: &BareJid,
        affiliation: Option<RoomAffiliation>,
    ) -> Result<Vec<RoomMember>, RoomError>;
    /// Who is in the room, in the order of the nicknames.
    async fn occupants(&self, room: &BareJid) -> Result<Vec<OccupantRow>, RoomError>;
    /// Removes an occupant from the room (XEP-0045 §8.2).
    async fn kick(&self, room: &BareJid, nick: &str, reason: Option<&str>)
    -> Result<(), RoomError>;
}

/// Numbers of a service.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RoomCount {
    /// All rooms, also those that nobody is in.
    pub stored: u64,
    /// Those in memory.
    pub in_memory: usize,
    /// Their occupants. Nobody is in the others.
    pub occupants: usize,
}

/// A room in a list.
#[derive(Clone, Debug)]
pub struct RoomRow {
    /// Its address.
    pub room: BareJid,
    /// The name; empty: none.
    pub name: String,
    /// How many are in it.
    pub occupants: usize,
    /// Whether it is listed.
    pub is_public: bool,
    /// Whether it stays when nobody is in it.
    pub is_persistent: bool,
    /// When it was made.
    pub created: Timestamp,
}

/// A room.
#[derive(Clone, Debug)]
pub struct RoomFacts {
    /// What a list shows of it.
    pub row: RoomRow,
    /// Who made it.
    pub creator: BareJid,
    /// The subject, if there is one.
    pub subject: Option<String>,
    /// How many users have each affiliation: owners, admins, members, outcasts.
    pub affiliations: [usize; 4],
    /// The fields of the form `muc#roomconfig` with their values, in the order of the form. Without the password.
    pub settings: Vec<(String, Vec<String>)>,
}

/// An occupant of a room.
#[derive(Clone, Debug)]
pub struct OccupantRow {
    /// The nickname.
    pub nick: String,
    /// The sessions, by their real addresses.
    pub sessions: Vec<Jid>,
    /// The role (XEP-0045 §5.1).
    pub role: &'static str,
    /// The affiliation.
    pub affiliation: RoomAffiliation,
}

/// Why something cannot be done with a room.
#[derive(Debug, thiserror::Error)]
pub enum RoomError {
    /// There is a room of this address already.
    #[error("room {0} already exists")]
    Exists(BareJid),
    /// The room has no occupant with this nickname.
    #[error("nobody in {0} has the nickname {1}")]
    NoOccupant(BareJid, String),
    /// There is no such room.
    #[error("room {0} does not exist")]
    NoRoom(BareJid),
    /// The address is not at a service for rooms.
    #[error("{0} is not the address of a room at this server")]
    NoService(BareJid),
    /// The room refuses it, and says why.
    #[error("the room refuses this: {0}")]
    Refused(String),
    /// The service has as many rooms as it may have.
    #[error("{0} has {1} rooms, as many as `rooms` of its section allows; --force makes one more")]
    TooMany(String, u64),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<StanzaError> for RoomError {
    fn from(error: StanzaError) -> Self {
        Self::Refused(error.text.unwrap_or(error.condition.as_str()).to_owned())
    }
}

impl From<RoomError> for CommandError {
    fn from(error: RoomError) -> Self {
        match error {
            RoomError::Exists(_) => Self::Conflict(error.to_string()),
            RoomError::NoOccupant(..) | RoomError::NoRoom(_) => Self::NotFound(error.to_string()),
            RoomError::NoService(_) | RoomError::Refused(_) | RoomError::TooMany(..) => {
                Self::Invalid(error.to_string())
            }
            RoomError::Storage(error) => Self::Storage(error),
        }
    }
}
