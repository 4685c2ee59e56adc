//! A message of a room to all: it is archived under an id, and goes to the occupants with it (XEP-0313 §3.5,
//! XEP-0359).

use std::sync::Arc;

use bytes::Bytes;

use super::deliver::tell;
use crate::archive::policy;
use crate::host::Cx;
use crate::jid::{BareJid, Jid};
use crate::muc::{Publication, Room};
use crate::ns;
use crate::payload::stanza_id;
use crate::stanza::{Stanza, StanzaError};
use crate::storage::{Holder, NewMessage, Way};
use crate::xml::element;

/// Archives a message and delivers it. Returns the sessions that cannot be reached any more.
///
/// # Errors
/// If the store does not take the message. Then nobody has it.
pub(super) async fn publish(
    cx: &mut Cx<'_>,
    room: &mut Room,
    publication: Publication,
) -> Result<Vec<Jid>, StanzaError> {
    let Publication { mut message, to, archive, in_history, author, .. } = publication;
    let at = cx.server.clock.now();
    let mut id = None;
    if archive && cx.server.config.load().archive.enabled {
        let mut kept = message.clone();
        if let Some(author) = &author {
            // Who has written it: for those who may know (XEP-0313 §7.2).
            let item = element("item").attr("jid", author.as_str());
            kept.content.add(&element("x").ns(ns::MUC_USER).child(item));
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
    if in_history {
        room.note_published(&message, at, id);
    }
    let stanza = Arc::new(Stanza::Message(message));
    Ok(tell(cx, &stanza, &to).await)
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

