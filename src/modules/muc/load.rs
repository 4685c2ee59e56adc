//! Rooms come from the store: with their occupants, and with the newest messages.

use super::service::RoomService;
use super::settings;
use crate::host::ServerState;
use crate::jid::BareJid;
use crate::muc::Room;
use crate::ns;
use crate::payload::stanza_id;
use crate::stanza::{Message, Stanza};
use crate::storage::{Query, Result, Stored};
use crate::xml::Frame;

/// Reads a room; `None` if there is none. All occupants that are stored are in it, whether they are still
/// there or not.
pub(super) async fn load(
    service: &RoomService,
    server: &ServerState,
    jid: &BareJid,
) -> Result<Option<Room>> {
    let Some(stored) = server.storage.rooms().load(jid).await? else { return Ok(None) };
    let secret = server.storage.accounts().secret().await?;
    let limits = settings::limits(&service.config(server));
    let (mut room, _) = Room::restore(jid.clone(), stored, limits, secret, |_| true);
    let query = Query { backwards: true, max: limits.history, ..Query::default() };
    let page = server.storage.archive().page(jid, &query).await?.unwrap_or_default();
    for row in &page.rows {
        let Some(mut message) = read(row) else { continue };
        if !message.content.has_received_child(ns::CLIENT, "body") {
            continue;
        }
        message.content.remove(|child| child.is(ns::MUC_USER, "x"));
        let id = server.message_ids.write(row.id).to_string();
        message.content.add(&stanza_id::stanza_id(jid, &id));
        message.content = message.content.packed();
        room.note_published(&message, row.at, Some(id));
    }
    Ok(Some(room))
}

/// A message as it was stored.
pub(super) fn read(row: &Stored) -> Option<Message> {
    let frame = Frame::from_bytes(row.xml.to_vec()).ok()?;
    match Stanza::read(frame) {
        Ok(Stanza::Message(message)) => Some(message),
        _ => None,
    }
}
