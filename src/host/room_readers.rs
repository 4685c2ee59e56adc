//! Who may read what in rooms, and who is in them, for features that do not know the feature that has the rooms.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;

use super::{ServerState, SharedState};
use crate::jid::{BareJid, Jid};
use crate::payload::datetime::Timestamp;
use crate::storage;

/// Where features find the rooms. The feature that has them registers it, and enters itself when the server starts.
#[derive(Default)]
pub struct ReadableRooms(OnceLock<Arc<dyn RoomReaders>>);

impl SharedState for ReadableRooms {}

impl ReadableRooms {
    /// Makes the rooms known. Called once, at the start. The value must not keep the server alive.
    pub fn enter(&self, readers: Arc<dyn RoomReaders>) {
        drop(self.0.set(readers));
    }

    /// The rooms; `None` while the server starts, and if there is no service with rooms.
    #[must_use]
    pub fn readers(&self) -> Option<Arc<dyn RoomReaders>> {
        self.0.get().cloned()
    }
}

/// Who may read the archives of rooms (XEP-0313 §7.2), and who is in them.
#[async_trait]
pub trait RoomReaders: Send + Sync {
    /// What a user may read in the archive of a room. `None`: nothing, or there is no such room here.
    async fn readable(
        &self,
        server: &ServerState,
        user: &BareJid,
        room: &BareJid,
    ) -> storage::Result<Option<Readable>>;
    /// Whether a session is in a room.
    async fn has_session(&self, server: &ServerState, room: &BareJid, session: &Jid) -> bool;
}

/// What somebody may read in the archive of a room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Readable {
    /// Only what was written then or later; `None`: all.
    pub since: Option<Timestamp>,
}
