//! The archive of a room (XEP-0313 §7.2): users who may enter now may read it.

use std::sync::Arc;

use super::load::read;
use crate::archive::{page, query};
use crate::host::{Cx, IqReply};
use crate::jid::BareJid;
use crate::muc::{Actor, AuthorsSeen, Room};
use crate::ns;
use crate::payload::datetime::Timestamp;
use crate::stanza::{Condition, Content, Head, Iq, IqKind, Message, MessageKind, Stanza};
use crate::storage::{ArchiveStore, Count, End, Page, Query, StorageError, Stored};
use crate::xml::ElementRef;

/// What somebody may read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Readable {
    pub(super) since: Option<Timestamp>,
    /// The real addresses of authors.
    pub(super) authors: AuthorsSeen,
}

/// Answers a request to the archive of a room.
pub(super) async fn answer(
    cx: &mut Cx<'_>,
    room: &BareJid,
    actor: &Actor,
    request: &Iq,
    readable: Readable,
) -> IqReply {
    if !cx.server.config.load().archive.enabled {
        return Err(Condition::ServiceUnavailable.into());
    }
    let payload = request.payload().ok_or(Condition::BadRequest)?;
    match (request.kind, payload.name()) {
        (IqKind::Set, "query") => pages(cx, room, actor, &payload, readable).await,
        (IqKind::Get, "metadata") => {
            let archive = cx.server.storage.archive();
            let ends = match readable.since {
                None => archive.ends(room).await?,
                Some(since) => ends_since(archive, room, since).await?,
            };
            Ok(Some(page::metadata(ends, &cx.server.message_ids)))
        }
        (IqKind::Get, "query") => {
            query::refuse_node(&payload)?;
            Ok(Some(query::form(cx.server.config.load().archive.search)))
        }
        _ => Err(Condition::FeatureNotImplemented.into()),
    }
}

/// The oldest and the newest message of those that were taken since then.
async fn ends_since(
    archive: &dyn ArchiveStore,
    room: &BareJid,
    since: Timestamp,
) -> Result<Option<(End, End)>, StorageError> {
    let mut ends = Vec::new();
    for backwards in [false, true] {
        let query = Query { start: Some(since), backwards, max: 1, ..Query::default() };
        let page = archive.page(room, &query).await?;
        ends.extend(page.into_iter().flat_map(|page| page.rows).map(|row| (row.id, row.at)));
    }
    Ok(ends.first().copied().zip(ends.last().copied()))
}

/// One page: its messages, and then the answer.
async fn pages(
    cx: &mut Cx<'_>,
    room: &BareJid,
    actor: &Actor,
    payload: &ElementRef<'_>,
    readable: Readable,
) -> IqReply {
    let mut asked = {
        let search = cx.server.config.load().archive.search;
        query::read(payload, &cx.server.message_ids, search)?
    };
    asked.query.start = asked.query.start.max(readable.since);
    let page = cx.server.storage.archive().page(room, &asked.query).await?;
    let mut page = page.ok_or_else(query::not_found)?;
    let is_whole = page.complete && asked.query.after.is_none() && asked.query.before.is_none();
    if page.count.is_none() && is_whole {
        page.count = Some(Count { total: page.rows.len() as u64, before: 0 });
    }
    send(cx, room, actor, &page, asked.flip, asked.query_id.as_deref(), readable).await?;
    Ok(Some(page::fin(&page, &cx.server.message_ids)))
}

async fn send(
    cx: &mut Cx<'_>,
    room: &BareJid,
    actor: &Actor,
    page: &Page,
    flip: bool,
    query_id: Option<&str>,
    readable: Readable,
) -> Result<(), crate::stanza::StanzaError> {
    let head = Head::between(room.clone(), actor.jid.clone());
    let most = cx.server.config.load().limits.inbox_stanzas / 2;
    for row in page::in_order(page, flip) {
        let content = shown(cx, row, query_id, readable);
        let result = Message { head: head.clone(), kind: MessageKind::Normal, content };
        match cx.origin.owned() {
            Some(session) => {
                session.mailbox().wait_for_capacity(most).await;
                let delivered = session.handle().deliver(Arc::new(Stanza::Message(result)));
                if !session.mailbox().has_writer() || delivered.is_err() {
                    return Err(Condition::ResourceConstraint
                        .text("the connection was lost: send the request again"));
                }
            }
            None => cx.outbox.send(Stanza::Message(result)),
        }
    }
    Ok(())
}

/// A message as somebody may read it: with the real address of the author, or without.
fn shown(cx: &Cx<'_>, row: &Stored, query_id: Option<&str>, readable: Readable) -> Content {
    let ids = &cx.server.message_ids;
    let mut row = row.clone();
    if let Some(mut message) = read(&row) {
        let author = Room::author_told(&message, readable.authors);
        message.content.remove(|child| child.is(ns::MUC_USER, "x"));
        if let Some(author) = author {
            message.content.add(&author);
        }
        row.xml = Stanza::Message(message).to_bytes().into();
    }
    page::result(&row, query_id, ids)
}
