//! XEP-0402: PEP Native Bookmarks. Clients of XEP-0048 read and write the same bookmarks, as a list in a node
//! (`#compat-pep`) or in private XML (`#compat`, answered by `modules/private.rs`). See
//! [`crate::host::bookmarks`].
//!
//! When bookmarks change, the list in the older node follows, so clients that ask for changes of that node
//! hear of them. When a client publishes the list, the bookmarks follow. The removal of the list changes
//! nothing: a client that has moved to the newer form may do that.

use async_trait::async_trait;
use bytes::Bytes;

use crate::host::bookmarks;
use crate::host::lifecycle::{Event, EventKind, Listener};
use crate::host::{AccountNodes, Changed, Cx, Manifest, Module, NodeChange, Registry, Status, Xep};
use crate::payload::bookmarks::{List, NS, OLD_NS};
use crate::payload::node_config::NodeConfig;
use crate::stanza::StanzaError;
use crate::storage;
use crate::xml::Frame;

/// Keeps both forms of bookmarks the same.
pub struct Bookmarks;

impl Module for Bookmarks {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "bookmarks",
            summary: "Shows the bookmarks of a user to old and new clients alike",
            xeps: &[
                Xep { number: 48, version: "1.3", status: Status::Complete },
                Xep { number: 402, version: "1.2.0", status: Status::Complete },
            ],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.disco_feature_of_registered("urn:xmpp:bookmarks:1#compat");
        on.disco_feature_of_registered("urn:xmpp:bookmarks:1#compat-pep");
        on.listener(EventKind::ItemsChanged, &Self);
    }
}

#[async_trait]
impl Listener for Bookmarks {
    async fn on_event(&self, cx: &mut Cx<'_>, event: &Event<'_>) -> Result<(), StanzaError> {
        let Event::ItemsChanged { change } = event else { return Ok(()) };
        if change.by == NAME || change.owner.local().is_none() {
            return Ok(());
        }
        match (change.node.name.as_str(), &change.what) {
            (_, Changed::Configured) => {}
            (NS, _) => show(cx, change).await?,
            (OLD_NS, Changed::Published { .. }) => follow(cx, change).await?,
            _ => {}
        }
        Ok(())
    }
}

/// Bookmarks have changed: writes the list.
async fn show(cx: &mut Cx<'_>, change: &NodeChange) -> storage::Result<()> {
    let list = bookmarks::list(cx.server, &change.owner).await?;
    let nodes = AccountNodes::of(&change.owner);
    let payload = Bytes::from(list.to_node().to_bytes());
    let old = nodes.last(cx.server, OLD_NS).await?;
    if old.as_ref().is_some_and(|old| old.payload == payload) {
        return Ok(());
    }
    let id = old.map_or_else(|| CURRENT.to_owned(), |old| old.id);
    let item = nodes.item(cx.server, &id, payload);
    let config = NodeConfig { max_items: Some(1), ..bookmarks::config() };
    nodes.publish(cx, OLD_NS, vec![item], &config, NAME).await
}

/// A client has published the list: changes the bookmarks.
async fn follow(cx: &mut Cx<'_>, change: &NodeChange) -> storage::Result<()> {
    let Changed::Published { items, .. } = &change.what else { return Ok(()) };
    let frame = items.last().and_then(|item| Frame::from_bytes(item.payload.clone()).ok());
    match frame.and_then(|frame| List::read(&frame.root())) {
        Some(list) => bookmarks::write(cx, &change.owner, &list, NAME).await,
        None => Ok(()),
    }
}

/// The name under which changes are told that follow others.
const NAME: &str = "bookmarks";
/// The identifier of the list (XEP-0223 §3).
const CURRENT: &str = "current";
