//! The archive that a request is about: that of the account, or that of a room.

use super::parameters::Parameters;
use super::problem::Problem;
use crate::host::ServerState;
use crate::host::room_readers::ReadableRooms;
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;

/// An archive.
#[derive(Debug)]
pub(super) struct Source {
    /// Whose it is: the account, or the room.
    pub(super) owner: BareJid,
    /// Only what was written then or later; `None`: all.
    pub(super) since: Option<Timestamp>,
    pub(super) is_room: bool,
}

impl Source {
    /// The archive of the parameter `room`, or that of the account.
    ///
    /// # Errors
    /// If there is no such room, or the user may not read its archive (XEP-0313 §7.2).
    pub(super) async fn of(
        server: &ServerState,
        user: &BareJid,
        asked: &Parameters,
    ) -> Result<Self, Problem> {
        let Some(room) = asked.jid("room")? else {
            return Ok(Self { owner: user.clone(), since: None, is_room: false });
        };
        if asked.text("with").is_some() {
            let text = "`with` chooses in the archive of the account: it does not go with `room`.";
            return Err(Problem::BadRequest(text.to_owned()));
        }
        let owner = room.to_bare();
        let since = readable(server, user, &owner).await?.ok_or(Problem::NoRoom)?;
        Ok(Self { owner, since, is_room: true })
    }

    /// Whether the user may still read it.
    pub(super) async fn is_open(&self, server: &ServerState, user: &BareJid) -> bool {
        // If the store fails, nobody is locked out for that.
        !self.is_room
            || readable(server, user, &self.owner).await.is_ok_and(|since| since.is_some())
    }
}

/// Since when a user may read the archive of a room. `None`: not at all, or there is none.
async fn readable(
    server: &ServerState,
    user: &BareJid,
    room: &BareJid,
) -> Result<Option<Option<Timestamp>>, Problem> {
    let rooms = server.find_shared::<ReadableRooms>().and_then(ReadableRooms::readers);
    let Some(rooms) = rooms else { return Ok(None) };
    let readable = rooms.readable(server, user, room).await;
    Ok(readable.map_err(|error| Problem::failed(&error))?.map(|readable| readable.since))
}
