//! XEP-0402: PEP Native Bookmarks. Clients of XEP-0048 read and write the same bookmarks, as a list in a node
//! (`#compat-pep`) or in private XML (`#compat`, answered by `modules/private.rs`). See
//! [`crate::host::bookmarks`].
//!
//! When bookmarks change, the list in the older node follows, so clients that ask for changes of that node
//! are told of them. When a client publishes the list, the bookmarks follow. The removal of the list changes
//! nothing: a client that has moved to the newer form may do that.

use async_trait::async_trait;

use crate::host::lifecycle::{Event, EventKind, Listener};
use crate::host::{Changed, Cx, Manifest, Module, NodeChange, Registry, Status, Xep, bookmarks};
use crate::payload::bookmarks::{List, NS, OLD_NS};
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
                Xep { number: 48, version: "1.2", status: Status::Complete },
                Xep { number: 402, version: "1.2.0", status: Status::Complete },
                Xep { number: 411, version: "1.1.0", status: Status::Complete },
            ],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.disco_feature_of_registered("urn:xmpp:bookmarks:1#compat");
        on.disco_feature_of_registered("urn:xmpp:bookmarks:1#compat-pep");
        on.disco_feature_of_registered("urn:xmpp:bookmarks-conversion:0");
        on.listener(EventKind::ItemsChanged, &Self);
    }
}

#[async_trait]
impl Listener for Bookmarks {
    async fn on_event(&self, cx: &mut Cx<'_>, event: &Event<'_>) -> Result<(), StanzaError> {
        let Event::ItemsChanged { change } = event else { return Ok(()) };
        if change.by == bookmarks::NAME || change.owner.local().is_none() {
            return Ok(());
        }
        match (change.node.name.as_str(), &change.what) {
            (_, Changed::Configured) => {}
            (NS, _) => bookmarks::publish_list(cx, &change.owner).await?,
            (OLD_NS, Changed::Published { .. }) => follow(cx, change).await?,
            _ => {}
        }
        Ok(())
    }
}

/// Changes the bookmarks after a client has published the list.
async fn follow(cx: &mut Cx<'_>, change: &NodeChange) -> storage::Result<()> {
    let Changed::Published { items, .. } = &change.what else { return Ok(()) };
    let frame = items.last().and_then(|item| Frame::from_bytes(item.payload.clone()).ok());
    match frame.and_then(|frame| List::read(&frame.root())) {
        Some(list) => bookmarks::write(cx, &change.owner, &list).await,
        None => Ok(()),
    }
}
