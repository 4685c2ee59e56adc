//! The bookmarks of an account (XEP-0402): one store for all forms. They are the items of a node; what clients
//! of older specifications read and write is a list of all of them, in private XML (XEP-0049) and in a node
//! (XEP-0048).
//!
//! The list can say more than the items: web pages. That is kept beside them.

use bytes::Bytes;

use super::{AccountNodes, Cx, ServerState};
use crate::jid::BareJid;
use crate::payload::bookmarks::{Bookmark, List, NS, OLD_NS};
use crate::payload::node_config::NodeConfig;
use crate::storage::{self, ItemQuery, StorageError, Which};
use crate::xml::Frame;

/// All bookmarks of an account as one list.
///
/// # Errors
/// If the store fails; `StorageError::Limit` if they are too many bytes for one list.
pub async fn list(server: &ServerState, user: &BareJid) -> storage::Result<List> {
    let others = server.storage.documents().get(user, KIND, OTHERS).await?.unwrap_or_default();
    Ok(List { rooms: rooms(server, user).await?, others })
}

/// Changes the bookmarks of an account so that they say the same as this list. Only what has changed is
/// published (XEP-0402 §5.3.2).
///
/// # Errors
/// If the store fails, or the account has no room left.
pub async fn write(cx: &mut Cx<'_>, user: &BareJid, list: &List) -> storage::Result<()> {
    let documents = cx.server.storage.documents();
    if documents.get(user, KIND, OTHERS).await?.unwrap_or_default() != list.others {
        let kept = documents.put_within_quota(user, KIND, OTHERS, &list.others).await;
        kept.inspect_err(|error| cx.server.count_refusal(error))?;
    }
    let (nodes, changes) = (AccountNodes::of(user), list.changes(&rooms(cx.server, user).await?));
    if !changes.retract.is_empty() {
        nodes.retract(cx, NS, &changes.retract, true, NAME).await?;
    }
    let item = |bookmark: &Bookmark| {
        nodes.item(cx.server, &bookmark.id, bookmark.to_node().to_bytes().into())
    };
    let new: Vec<_> = changes.publish.iter().map(item).collect();
    if !new.is_empty() {
        nodes.publish(cx, NS, new, &NodeConfig::of_account(NS), NAME).await?;
    }
    Ok(())
}

/// Publishes one bookmark, under its id. `by`: the feature that does it, as listeners are told
/// ([`NodeChange::by`](super::NodeChange)).
///
/// # Errors
/// If the store fails, or the account has no room left.
pub async fn put(
    cx: &mut Cx<'_>,
    user: &BareJid,
    bookmark: &Bookmark,
    by: &'static str,
) -> storage::Result<()> {
    let nodes = AccountNodes::of(user);
    let item = nodes.item(cx.server, &bookmark.id, bookmark.to_node().to_bytes().into());
    nodes.publish(cx, NS, vec![item], &NodeConfig::of_account(NS), by).await
}

/// Publishes all bookmarks as the list in the older node, if it does not say the same already.
///
/// # Errors
/// If the store fails, or the account has no room left.
pub async fn publish_list(cx: &mut Cx<'_>, user: &BareJid) -> storage::Result<()> {
    let nodes = AccountNodes::of(user);
    let old = nodes.last(cx.server, OLD_NS).await?;
    let list = match list(cx.server, user).await {
        // An older list would be wrong.
        Err(StorageError::Limit(_)) => {
            let ids: Vec<_> = old.into_iter().map(|old| old.id).collect();
            return nodes.retract(cx, OLD_NS, &ids, true, NAME).await.map(drop);
        }
        list => list?,
    };
    let payload = Bytes::from(list.to_node().to_bytes());
    if old.as_ref().is_some_and(|old| old.payload == payload) {
        return Ok(());
    }
    let id = old.map_or_else(|| CURRENT.to_owned(), |old| old.id);
    let item = nodes.item(cx.server, &id, payload);
    nodes.publish(cx, OLD_NS, vec![item], &NodeConfig::of_account(OLD_NS), NAME).await
}

/// The bookmarks of an account, with all that is in them.
///
/// # Errors
/// If the store fails; `StorageError::Limit` if they are too many bytes for one list.
pub async fn rooms(server: &ServerState, user: &BareJid) -> storage::Result<Vec<Bookmark>> {
    let query = ItemQuery {
        which: Which::After(None),
        max: NodeConfig::of_account(NS).keep(),
        max_bytes: MAX_BYTES,
        since: None,
        payloads: true,
    };
    let page = server.storage.pubsub().items(user, NS, query).await?.unwrap_or_default();
    if (page.items.len() as u64) < page.count {
        return Err(StorageError::Limit("bytes of bookmarks in one list"));
    }
    let bookmark = |item: storage::PubSubItem| {
        let frame = Frame::from_bytes(item.payload).ok()?;
        Bookmark::read(&item.id, &frame.root())
    };
    Ok(page.items.into_iter().filter_map(bookmark).collect())
}

/// Bytes of bookmarks in one list, at most: as many as a client stores in private XML by default.
const MAX_BYTES: usize = 1 << 20;
/// The name under which changes are told that follow others.
pub const NAME: &str = "bookmarks";
/// The identifier of the list (XEP-0223 §3).
const CURRENT: &str = "current";
/// The kind of document, and the key, under which is kept what only the list can say.
const KIND: &str = "bookmarks";
const OTHERS: &str = "others";
