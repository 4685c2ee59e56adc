//! What happened to a node of an account or of a service: the content of
//! [`Event::ItemsChanged`](super::lifecycle::Event::ItemsChanged).

use std::sync::Arc;

use crate::jid::BareJid;
use crate::payload::node_config::NodeConfig;
use crate::storage::{PubSubItem, PubSubNode};

/// What happened to a node.
#[derive(Clone, Debug)]
pub struct NodeChange {
    /// The account or service.
    pub owner: BareJid,
    /// The node as it was before, with its affiliations and subscriptions; as it was made, if it is new.
    pub node: Arc<PubSubNode>,
    /// Its configuration after the change.
    pub config: NodeConfig,
    /// What has changed.
    pub what: Changed,
    /// The name of the feature that changed it. A feature that changes a node when another one changes
    /// must not follow its own changes.
    pub by: &'static str,
}

/// What has changed at a node.
#[derive(Clone, Debug)]
pub enum Changed {
    /// The configuration.
    Configured,
    /// The node was deleted with all its items. Its users may be told where to find another one.
    Deleted(Option<String>),
    /// Items were published; others were dropped for them. Of a node that stores no items, too.
    Published {
        /// The new items, oldest first.
        items: Vec<PubSubItem>,
        /// The identifiers of those that were dropped.
        dropped: Vec<String>,
        /// The node was made for them.
        is_new: bool,
    },
    /// All items were removed.
    Purged,
    /// Items were removed.
    Retracted {
        /// The identifiers of those that were there.
        ids: Vec<String>,
        /// Subscribers are to be told, even if the configuration does not say so.
        notify: bool,
    },
}
