//! A message of a room is retracted: a tombstone takes its place in the archive (XEP-0424 §4, XEP-0425 §4).

use std::sync::Arc;

use tokio::sync::oneshot;

use super::load;
use crate::host::Cx;
use crate::jid::BareJid;
use crate::muc::{Retraction, Room};
use crate::stanza::{Condition, Stanza, StanzaError};
use crate::storage::{MessageId, Query, Receipt};

/// A message that is retracted, and the tombstone that takes its place.
pub(super) struct Target {
    id: MessageId,
    tombstone: Vec<u8>,
}

/// Looks for the message in the archive. `None`: there is none that may be retracted.
///
/// # Errors
/// `item-not-found` if there must be such a message; if the store fails.
pub(super) async fn find(
    cx: &Cx<'_>,
    room: &BareJid,
    retraction: &Retraction,
) -> Result<Option<Target>, StanzaError> {
    let found = find_message(cx, room, retraction).await?;
    match found {
        None if retraction.must_exist => {
            Err(Condition::ItemNotFound.text("the room has no such message"))
        }
        found => Ok(found),
    }
}

async fn find_message(
    cx: &Cx<'_>,
    room: &BareJid,
    retraction: &Retraction,
) -> Result<Option<Target>, StanzaError> {
    let Some(id) = cx.server.message_ids.read(&retraction.id) else { return Ok(None) };
    let query = Query { ids: Some(vec![id]), max: 1, ..Query::default() };
    let page = cx.server.storage.archive().page(room, &query).await?.unwrap_or_default();
    let Some(message) = page.rows.first().and_then(load::read) else { return Ok(None) };
    if !Room::may_retract(retraction, &message) {
        return Ok(None);
    }
    let tombstone = Room::tombstone(&message, retraction);
    Ok(Some(Target { id, tombstone: Stanza::Message(tombstone).to_bytes() }))
}

/// Puts the tombstone in the place of the message. The room does not wait for the disk; only the acknowledgement of the
/// sender does. Until it is written, a client that reads the archive may still find the message, followed by the one
/// that retracts it.
pub(super) fn put(
    cx: &mut Cx<'_>,
    room: &mut Room,
    retraction: &Retraction,
    target: Option<Target>,
) {
    // A retraction that is not allowed removes nothing from the history, either.
    let Some(Target { id, tombstone }) = target else { return };
    room.note_retracted(retraction);
    cx.keeping.count_writes(1);
    let (done, receipt) = oneshot::channel();
    let (storage, room) = (Arc::clone(&cx.server.storage), room.jid().clone());
    let replace = async move {
        if let Err(error) = storage.archive().replace(&room, id, tombstone.into()).await {
            // All were told of the retraction: clients hide what it names.
            tracing::error!(%room, %error, "a message that was retracted stays in the archive");
        }
        drop(done.send(Ok(())));
    };
    drop(cx.server.tasks.spawn("room-tombstone", replace));
    cx.keeping.receipts.push(Receipt::waiting(receipt));
}
