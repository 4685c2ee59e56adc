//! Reads a room from the store: with its occupants, and with the history from its archive.

use crate::host::ServerState;
use crate::jid::BareJid;
use crate::muc::{Room, RoomLimits, is_for_newcomers};
use crate::ns;
use crate::payload::stanza_id;
use crate::stanza::{Message, Stanza};
use crate::storage::{Query, Result, Stored};
use crate::xml::Frame;

/// Reads a room; `None` if there is none. All occupants that are stored are in it, whether their sessions still exist
/// or not.
pub(super) async fn load(
    server: &ServerState,
    jid: &BareJid,
    limits: RoomLimits,
) -> Result<Option<Room>> {
    let Some(stored) = server.storage.rooms().load(jid).await? else { return Ok(None) };
    let secret = server.storage.accounts().secret().await?;
    let (mut room, _) = Room::restore(jid.clone(), stored, limits, secret, |_| true);
    let query = Query { backwards: true, max: limits.history, ..Query::default() };
    let page = server.storage.archive().page(jid, &query).await?.unwrap_or_default();
    for row in &page.rows {
        let id = server.message_ids.write(row.id).to_string();
        let Some(mut message) = shown(jid, row, &id) else { continue };
        if !is_for_newcomers(&message) {
            continue;
        }
        message.content = message.content.packed();
        room.note_published(&message, row.at, Some(id));
    }
    Ok(Some(room))
}

/// A message of the archive as the occupants were given it: with its id, and without the address of its author.
pub(super) fn shown(room: &BareJid, row: &Stored, id: &str) -> Option<Message> {
    let mut message = read(row)?;
    message.content.remove(|child| child.is(ns::MUC_USER, "x"));
    message.content.add(&stanza_id::stanza_id(room, id));
    Some(message)
}

/// A message as it was stored.
pub(super) fn read(row: &Stored) -> Option<Message> {
    let frame = Frame::from_bytes(row.xml.to_vec()).ok()?;
    match Stanza::read(frame) {
        Ok(Stanza::Message(message)) => Some(message),
        _ => None,
    }
}
