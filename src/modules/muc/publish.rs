//! Archives a groupchat message under an id, and delivers it with this id to the occupants (XEP-0313 §3.5, XEP-0359).

use std::sync::Arc;

use bytes::Bytes;

use super::deliver::tell;
use super::tombstone;
use crate::archive::importance;
use crate::host::lifecycle::{self, Event, RoomListener};
use crate::host::{ArchiveWatchers, Cx};
use crate::jid::{BareJid, Jid};
use crate::muc::{Publication, Room};
use crate::payload::stanza_id;
use crate::stanza::{Message, Stanza, StanzaError};
use crate::storage::{Holder, NewMessage, Way};

/// Archives a message and delivers it. Returns the sessions that cannot be reached any more.
///
/// # Errors
/// If the store does not take the message. Then nobody has it, and the room is as before.
pub(super) async fn publish(
    cx: &mut Cx<'_>,
    room: &mut Room,
    publication: Publication,
) -> Result<Vec<Jid>, StanzaError> {
    let Publication { mut message, to, archive, in_history, author, retracts } = publication;
    let target = match &retracts {
        Some(retraction) => tombstone::find(cx, room.jid(), retraction).await?,
        None => None,
    };
    let at = cx.server.clock.now();
    let mut id = None;
    let server = cx.server;
    let unfinished = server.room_deliveries.read().await;
    if archive && cx.server.config.load().archive.enabled {
        let mut kept = message.clone();
        if let Some(author) = &author {
            kept.content.add(&room.author_in_archive(author));
        }
        let new = NewMessage {
            at,
            holders: smallvec::smallvec![holder(room.jid(), &message.head.from)],
            xml: Bytes::from(Stanza::Message(kept).to_bytes()),
            handled: cx.keeping.handled,
        };
        cx.keeping.count_writes(1);
        let stored = cx.server.storage.archive().keep(new).await?;
        cx.keeping.handled = None;
        cx.keeping.receipts.push(stored.receipt);
        if let Some(watchers) = cx.server.find_shared::<ArchiveWatchers>() {
            watchers.wake(room.jid());
        }
        let written = cx.server.message_ids.write(stored.id);
        message.content.add(&stanza_id::stanza_id(room.jid(), &written));
        id = Some(written);
    }
    if let Some(retraction) = &retracts {
        tombstone::put(cx, room, retraction, target);
    }
    if in_history {
        room.note_published(&message, at, id);
    }
    let stanza = Arc::new(Stanza::Message(message));
    let told = tell(cx, &stanza, &to).await;
    drop(unfinished);
    if let Stanza::Message(message) = &*stanza
        && importance::of(message).is_some()
    {
        let author = author.as_ref().map(Jid::to_bare);
        tell_listeners(cx, room, message, told.asleep, author.as_ref()).await;
    }
    Ok(told.lost)
}

/// Tells the features of a message that may be worth a push. It copies nothing of a user: in a large room this is done for
/// each occupant and each message.
async fn tell_listeners(
    cx: &mut Cx<'_>,
    room: &Room,
    message: &Message,
    mut asleep: Vec<BareJid>,
    author: Option<&BareJid>,
) {
    asleep.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
    asleep.dedup();
    let is_asleep =
        |user: &BareJid| asleep.binary_search_by(|known| known.as_str().cmp(user.as_str())).is_ok();
    let is_meant = |user: &BareJid| cx.server.host(user.domain()).is_some() && Some(user) != author;
    let absent = room.absent_members().filter(|&user| is_meant(user));
    let mut others: Vec<_> = absent.map(|user| RoomListener { user, nick: None }).collect();
    let absent = others.len();
    let mut users = Vec::new();
    for (user, nick) in room.present_users().filter(|(user, _)| is_meant(user)) {
        // A user whose desktop is in the room may have a phone that is not.
        let group = if is_asleep(user) { &mut users } else { &mut others };
        group.push(RoomListener { user, nick: Some(nick) });
    }
    let (all, most) = (others.len(), room.limits().absent);
    if all > most {
        tracing::debug!(room = %room.jid(), others = all, told = most,
            "more users may have devices that are away than are told of one message");
    }
    let turn = usize::try_from(cx.server.clock.now().as_micros()).unwrap_or_default();
    users.extend(some_of(others, most, turn));
    cx.keeping.count_deliveries(asleep.len() + absent.min(most));
    if !users.is_empty() {
        let is_private = room.config().members_only;
        let event = Event::RoomMessage { message, users: &users, is_private };
        lifecycle::tell(cx, event).await;
    }
}

/// At most `most` of these, others in each turn: so in a room with more members, everybody is considered for some
/// messages.
fn some_of<T>(mut all: Vec<T>, most: usize, turn: usize) -> Vec<T> {
    if all.len() > most {
        let begin = turn % all.len();
        all.rotate_left(begin);
        all.truncate(most);
    }
    all
}

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

#[cfg(test)]
mod tests {
    use super::some_of;

    #[test]
    fn in_a_room_with_many_members_none_is_always_left_out() {
        let few: Vec<usize> = (0..10).collect();
        assert_eq!(some_of(few.clone(), 10, 17), few);
        let many: Vec<usize> = (0..12).collect();
        let found = some_of(many.clone(), 10, 3);
        assert_eq!((found.len(), found[0]), (10, 3));
        let is_found = |user: &usize| {
            (0..many.len()).any(|turn| some_of(many.clone(), 10, turn).contains(user))
        };
        assert!(many.iter().all(is_found));
        assert!(some_of(many, 0, 3).is_empty());
    }
}
