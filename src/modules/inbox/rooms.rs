//! Rooms in the inbox: those of this server that the user's clients enter by themselves (XEP-0402), and whose
//! archives the user may read.

use rustc_hash::FxHashMap;

use crate::archive::inbox::{Conversation, RoomConversation};
use crate::host::room_readers::{Readable, ReadableRooms};
use crate::host::{Cx, OurDomain, bookmarks};
use crate::jid::BareJid;
use crate::payload::bookmarks::Bookmark;
use crate::storage::{self, MessageId, Query, StorageError};

/// The conversations in rooms. `displayed`: by the address of the room, the last message that was displayed on a
/// device of the user.
///
/// # Errors
/// If the store fails.
pub(super) async fn conversations(
    cx: &mut Cx<'_>,
    user: &BareJid,
    displayed: &FxHashMap<BareJid, MessageId>,
) -> storage::Result<Vec<Conversation>> {
    let mut found = Vec::new();
    let readers = cx.server.find_shared::<ReadableRooms>().and_then(ReadableRooms::readers);
    let Some(readers) = readers else { return Ok(found) };
    for room in entered(cx, user).await?.into_iter().take(MOST_ROOMS) {
        let Some(readable) = readers.readable(cx.server, user, &room).await? else { continue };
        let displayed = displayed.get(&room).copied();
        found.extend(conversation(cx, user, room, displayed, readable).await?);
    }
    Ok(found)
}

/// The rooms of this server that the user's clients enter by themselves. None, if the user has more bookmarks than
/// are read at once.
async fn entered(cx: &Cx<'_>, user: &BareJid) -> storage::Result<Vec<BareJid>> {
    let bookmarks = match bookmarks::rooms(cx.server, user).await {
        Err(StorageError::Limit(_)) => Vec::new(),
        bookmarks => bookmarks?,
    };
    let is_ours = |bookmark: &Bookmark| {
        let domain = cx.server.ours(bookmark.room.domain());
        bookmark.autojoin && matches!(domain, Some(OurDomain::Service(_)))
    };
    let ours = bookmarks.into_iter().filter(is_ours);
    let mut rooms: Vec<BareJid> = ours.map(|bookmark| bookmark.room).collect();
    // Two bookmarks may write one address in two ways.
    rooms.sort_unstable();
    rooms.dedup();
    Ok(rooms)
}

/// Goes through the newest messages of the archive of a room, until all older ones are read.
async fn conversation(
    cx: &mut Cx<'_>,
    user: &BareJid,
    room: BareJid,
    displayed: Option<MessageId>,
    readable: Readable,
) -> storage::Result<Option<Conversation>> {
    let ids = &cx.server.message_ids;
    let mut inside = RoomConversation::new(user, ids, room.clone(), displayed);
    let mut query =
        Query { backwards: true, max: ROWS_AT_ONCE, start: readable.since, ..Query::default() };
    let mut rows = 0;
    while rows < MOST_ROWS && !inside.is_complete() {
        let page = cx.server.storage.archive().page(&room, &query).await?.unwrap_or_default();
        rows += page.rows.len();
        query.before = page.rows.first().map(|row| row.id);
        let is_end = page.complete || page.rows.is_empty();
        page.rows.into_iter().rev().for_each(|row| inside.add(row));
        if is_end {
            break;
        }
    }
    cx.keeping.count_deliveries(rows / ROWS_OF_A_STEP);
    Ok(inside.into_conversation())
}

/// Rooms that are looked at.
const MOST_ROOMS: usize = 100;
/// Messages of each room that are looked at.
const MOST_ROWS: usize = 250;
/// Messages that are read from the store at once.
const ROWS_AT_ONCE: usize = 50;
/// How many messages that are read count as one step of work.
pub(super) const ROWS_OF_A_STEP: usize = 25;
