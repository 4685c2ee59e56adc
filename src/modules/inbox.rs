//! XEP-0430: Inbox. The conversations of an account, the one with the newest message first, and how many
//! messages in each are unread.
//!
//! They are found in the archive when a client asks (`archive/inbox.rs`), so messages cost nothing more. How
//! far back is bounded: conversations without a message among the newest [`MOST_ROWS`] are not listed. What the
//! user's devices have published as displayed (XEP-0490) is read, too. Rooms of this server have archives of their
//! own (`inbox/rooms.rs`).

mod rooms;

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use rustc_hash::FxHashMap;

use crate::archive::inbox::{Conversation, Inbox as Conversations};
use crate::archive::page;
use crate::config::Config;
use crate::host::{
    Access, AddressKind, Cx, IqHandler, IqReply, Manifest, Module, Registry, Status, Xep,
};
use crate::jid::BareJid;
use crate::ns;
use crate::payload::result_set::{SetAnswer, SetRequest, Start};
use crate::session::Session;
use crate::stanza::{
    Condition, Content, Head, Iq, IqKind, Message, MessageKind, Stanza, StanzaError,
};
use crate::storage::{ItemQuery, MessageId, PubSubItem, Query, Which, WireIds};
use crate::xml::{ElementRef, Frame, Node, element};

const NS: &str = "urn:xmpp:inbox:1";

/// Lists conversations.
pub struct Inbox;

impl Module for Inbox {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "inbox",
            summary: "Lists conversations with their unread messages",
            // Without rooms on other servers, and among the newest messages alone: `inbox/`.
            xeps: &[Xep { number: 430, version: "0.2.0", status: Status::Partial }],
        }
    }

    fn register(&self, _: &mut Registry) {}

    /// Without archives there is nothing to list.
    fn configure(&self, config: &Config, on: &mut Registry) {
        if config.archive.enabled {
            let access = Access::OwnerElseForbidden;
            on.iq(AddressKind::Account, IqKind::Get, (NS, "inbox"), access, &Self);
            on.disco_feature_of_registered(NS); // XEP-0430 §2.1
        }
    }
}

/// What a client asks for (XEP-0430 §3.1).
struct Asked {
    unread_only: bool,
    messages: bool,
    set: SetRequest,
}

#[async_trait]
impl IqHandler for Inbox {
    async fn handle(&self, cx: &mut Cx<'_>, request: &Iq) -> IqReply {
        // What is found comes in messages, for which XEP-0356 has no form.
        let session = cx.origin.owned();
        let session =
            session.ok_or_else(|| Condition::Forbidden.text("only clients read an inbox"))?;
        if session.handle().is_anonymous() {
            return Err(Condition::Forbidden.text("only registered users may do this"));
        }
        let user = session.handle().jid().to_bare();
        let asked = read(&request.payload().ok_or(Condition::BadRequest)?)?;
        let all = all(cx, &user).await?;
        let ids = &cx.server.message_ids;
        let unread = all.iter().filter(|one| one.unread > 0);
        let (total, with_unread) = (all.len(), unread.clone().count());
        let all_unread: usize = unread.map(|one| one.unread).sum();
        let listed: Vec<&Conversation> =
            all.iter().filter(|one| one.unread > 0 || !asked.unread_only).collect();
        let range = range(&asked.set, &listed, ids)?;
        let query_id = request.head.id.as_deref();
        for one in &listed[range.clone()] {
            send(cx, session, &user, one, query_id.filter(|_| asked.messages)).await?;
        }
        let page = &listed[range.clone()];
        let ends = page.first().zip(page.last());
        let ends = ends.map(|(a, b)| (ids.write(a.last), ids.write(b.last), Some(range.start)));
        let set = SetAnswer { page: ends, count: Some(listed.len()) };
        let fin = element("fin").ns(NS).attr("total", total.to_string());
        let fin = fin.attr("unread", with_unread.to_string());
        Ok(Some(fin.attr("all-unread", all_unread.to_string()).child(set.to_node())))
    }
}

fn read(payload: &ElementRef<'_>) -> Result<Asked, StanzaError> {
    let flag = |name, default| match payload.attr(name).as_deref() {
        None => Ok(default),
        Some("true" | "1") => Ok(true),
        Some("false" | "0") => Ok(false),
        Some(_) => Err(Condition::BadRequest.text("neither true nor false")),
    };
    let set = SetRequest::in_query(payload);
    Ok(Asked {
        unread_only: flag("unread-only", false)?,
        messages: flag("messages", true)?,
        set: set.map_err(|_| Condition::BadRequest.text("invalid result set"))?.unwrap_or_default(),
    })
}

/// All conversations, those in rooms, too.
async fn all(cx: &mut Cx<'_>, user: &BareJid) -> Result<Vec<Conversation>, StanzaError> {
    let Displayed { own, rooms } = displayed(cx, user).await?;
    let mut all = conversations(cx, user, own).await?;
    for mut room in rooms::conversations(cx, user, &rooms).await? {
        // Private messages to occupants are in the archive of the user.
        if let Some(at) = all.iter().position(|one| one.with == room.with) {
            room.unread += all.remove(at).unread;
        }
        all.push(room);
    }
    all.sort_by_key(|one| std::cmp::Reverse(one.last));
    Ok(all)
}

/// Goes through the newest messages of the archive.
async fn conversations(
    cx: &mut Cx<'_>,
    user: &BareJid,
    displayed: FxHashMap<BareJid, MessageId>,
) -> Result<Vec<Conversation>, StanzaError> {
    let mut inbox = Conversations::new(user, &cx.server.message_ids, displayed);
    let mut query = Query { backwards: true, max: ROWS_AT_ONCE, ..Query::default() };
    let mut rows = 0;
    while rows < MOST_ROWS {
        let page = cx.server.storage.archive().page(user, &query).await?.unwrap_or_default();
        rows += page.rows.len();
        query.before = page.rows.first().map(|row| row.id);
        let is_end = page.complete || page.rows.is_empty();
        page.rows.into_iter().rev().for_each(|row| inbox.add(row));
        if is_end {
            break;
        }
    }
    cx.keeping.count_deliveries(rows / rooms::ROWS_OF_A_STEP);
    Ok(inbox.into_conversations())
}

/// Up to which message the user's devices have displayed each conversation, by its address.
#[derive(Default)]
struct Displayed {
    /// Messages of the archive of the user.
    own: FxHashMap<BareJid, MessageId>,
    /// Messages of the archives of rooms.
    rooms: FxHashMap<BareJid, MessageId>,
}

/// Reads what the user's devices have published last (XEP-0490 §3.1).
async fn displayed(cx: &Cx<'_>, user: &BareJid) -> Result<Displayed, StanzaError> {
    let last = ItemQuery {
        which: Which::Before(None),
        max: MOST_DISPLAYED,
        max_bytes: MOST_BYTES,
        since: None,
        payloads: true,
    };
    let page = cx.server.storage.pubsub().items(user, ns::READ_STATE, last).await?;
    let items = page.unwrap_or_default().items;
    let ids = &cx.server.message_ids;
    let mut displayed = Displayed::default();
    for (with, by, id) in items.into_iter().filter_map(|item| displayed_message(ids, item)) {
        // A message of another archive says nothing.
        if by == *user {
            displayed.own.insert(with, id);
        } else if by == with {
            displayed.rooms.insert(with, id);
        }
    }
    Ok(displayed)
}

/// The address of the conversation, and in whose archive the message has which id.
fn displayed_message(ids: &WireIds, item: PubSubItem) -> Option<(BareJid, BareJid, MessageId)> {
    let with = BareJid::parse(&item.id).ok()?;
    let payload = Frame::from_bytes(item.payload).ok()?;
    let id = payload.root().child(ns::STANZA_ID, "stanza-id")?;
    let by = BareJid::parse(&id.attr("by")?).ok()?;
    Some((with, by, ids.read(&id.attr("id")?)?))
}

/// The part of the list that is asked for (XEP-0059). Its ids are those of the newest messages.
fn range(
    set: &SetRequest,
    listed: &[&Conversation],
    ids: &WireIds,
) -> Result<Range<usize>, StanzaError> {
    let most = set.limit(MOST);
    let id = |text: &str| ids.read(text).ok_or(Condition::ItemNotFound.text("no such entry"));
    let from = |start: usize| start.min(listed.len())..start.saturating_add(most).min(listed.len());
    let until = |end: usize| end.saturating_sub(most)..end;
    Ok(match &set.from {
        Start::First => from(0),
        Start::Index(index) => from(*index),
        Start::Last => until(listed.len()),
        // The newest come first.
        Start::After(text) => {
            let id = id(text)?;
            from(listed.partition_point(|one| one.last >= id))
        }
        Start::Before(text) => {
            let id = id(text)?;
            until(listed.partition_point(|one| one.last > id))
        }
    })
}

/// Sends an entry, with its newest message if there is a `query_id` for it.
async fn send(
    cx: &Cx<'_>,
    session: &Session,
    user: &BareJid,
    one: &Conversation,
    query_id: Option<&str>,
) -> Result<(), StanzaError> {
    let ids = &cx.server.message_ids;
    let mut out = entry(one, ids).to_bytes();
    if let (Some(row), Some(_)) = (&one.latest, query_id) {
        page::write_result(&mut out, row, query_id, ids);
    }
    let head = Head::between(user.clone(), session.handle().jid().clone());
    let (kind, content) = (MessageKind::Normal, Content::made(out.into()));
    let entry = Stanza::Message(Message { head, kind, content });
    // Half of the mailbox. The other half is for stanzas from others in the meantime.
    let most = cx.server.config.load().limits.inbox_stanzas / 2;
    session.mailbox().wait_for_capacity(most).await;
    let is_sent =
        session.mailbox().has_writer() && session.handle().deliver(Arc::new(entry)).is_ok();
    let lost =
        Condition::ResourceConstraint.text("the connection was lost: send the request again");
    is_sent.then_some(()).ok_or(lost)
}

fn entry(one: &Conversation, ids: &WireIds) -> Node {
    let entry = element("entry").ns(NS).attr("unread", one.unread.to_string());
    entry.attr("jid", one.with.as_str()).attr("id", ids.write(one.last))
}

/// Entries of one answer.
const MOST: usize = 250;
/// Messages of an archive that are looked at.
const MOST_ROWS: usize = 5000;
/// Conversations whose state is looked at.
const MOST_DISPLAYED: usize = 1000;
/// Bytes of what devices have published that are read for one answer, at most.
const MOST_BYTES: usize = 1 << 20;
/// Messages that are read from the store at once.
const ROWS_AT_ONCE: usize = 250;
