//! A message of a room to all: it is archived under an id, and goes to the occupants with it (XEP-0313 §3.5,
//! XEP-0359).

use std::sync::Arc;

use bytes::Bytes;

use super::bury;
use super::deliver::tell;
use crate::archive::{importance, policy};
use crate::host::Cx;
use crate::host::lifecycle::{self, Event, RoomListener};
use crate::jid::{BareJid, Jid};
use crate::muc::{Publication, Room};
use crate::payload::stanza_id;
use crate::stanza::{Message, Stanza, StanzaError};
use crate::storage::{Holder, NewMessage, Way};

/// Archives a message and delivers it. Returns the sessions that cannot be reached any more.
///
/// # Errors
/// If the store does not take the message. Then nobody has it.
pub(super) async fn publish(
    cx: &mut Cx<'_>,
    room: &mut Room,
    publication: Publication,
) -> Result<Vec<Jid>, StanzaError> {
    let Publication { mut message, to, archive, in_history, author, buries } = publication;
    let grave = match &buries {
        Some(burial) => bury::find(cx, room.jid(), burial).await?,
        None => None,
    };
    let at = cx.server.clock.now();
    let mut id = None;
    if archive && cx.server.config.load().archive.enabled {
        let mut kept = message.clone();
        if let Some(author) = &author {
            kept.content.add(&room.author_in_archive(author));
        }
        let search = cx.server.config.load().archive.search;
        let new = NewMessage {
            at,
            search: if search { policy::searchable(&message) } else { None },
            holders: smallvec::smallvec![holder(room.jid(), &message.head.from)],
            xml: Bytes::from(Stanza::Message(kept).to_bytes()),
            handled: cx.keeping.handled,
        };
        cx.keeping.count_writes(1);
        let stored = cx.server.storage.archive().keep(new).await?;
        cx.keeping.handled = None;
        cx.keeping.receipts.push(stored.receipt);
        let written = cx.server.message_ids.write(stored.id).to_string();
        message.content.add(&stanza_id::stanza_id(room.jid(), &written));
        id = Some(written);
    }
    if let Some(burial) = &buries {
        bury::bury(cx, room, burial, grave).await?;
    }
    if in_history {
        room.note_published(&message, at, id);
    }
    let stanza = Arc::new(Stanza::Message(message));
    let told = tell(cx, &stanza, &to).await;
    if let Stanza::Message(message) = &*stanza
        && importance::of(message).is_some()
    {
        let author = author.as_ref().map(Jid::to_bare);
        tell_listeners(cx, room, message, told.asleep, author.as_ref()).await;
    }
    Ok(told.lost)
}

/// Tells the features of a message that may have to wake somebody.
async fn tell_listeners(
    cx: &mut Cx<'_>,
    room: &Room,
    message: &Message,
    mut asleep: Vec<BareJid>,
    author: Option<&BareJid>,
) {
    asleep.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
    asleep.dedup();
    let is_local = |user: &BareJid| cx.server.host(user.domain()).is_some();
    let absent = room.absent_members(MOST_ABSENT).into_iter().filter(is_local);
    let listener = |is_in| move |user| RoomListener { user, is_in };
    let users = asleep.into_iter().map(listener(true)).chain(absent.map(listener(false)));
    let users: Vec<_> = users.filter(|listener| Some(&listener.user) != author).collect();
    if !users.is_empty() {
        let is_private = room.config().members_only;
        let event = Event::RoomMessage { message, users: &users, is_private };
        lifecycle::tell(cx, event).await;
    }
}

/// Members who are not in the room and are told of a message all the same, at most.
const MOST_ABSENT: usize = 1000;

/// The archive of the room.
fn holder(room: &BareJid, from: &Option<Jid>) -> Holder {
    Holder {
        owner: room.clone(),
        with: from.clone().unwrap_or_else(|| room.clone().into_jid()),
        way: Way::Received,
        archive: true,
        waiting: false,
        limit: None,
    }
}
