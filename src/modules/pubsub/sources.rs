//! Whose subscribers hear of an event of a node: those of the node, and those of the collections above it
//! (XEP-0248 §5.3).

use std::borrow::Cow;

use super::hearing;
use super::place::Place;
use crate::host::Cx;
use crate::jid::Jid;
use crate::payload::node_config::NodeConfig;
use crate::stanza::StanzaError;
use crate::storage::{self, Affiliation, PubSubNode, ROOT_NODE};

/// A node whose subscribers hear of an event.
pub(super) struct Source<'a> {
    pub(super) node: Cow<'a, PubSubNode>,
    config: Cow<'a, NodeConfig>,
    /// So far above the node of the event. 0: it is this node.
    pub(super) distance: u32,
    is_node: bool,
}

impl<'a> Source<'a> {
    /// The node that the event names.
    pub(super) fn of_node(node: &'a PubSubNode, config: &'a NodeConfig) -> Self {
        let (node, config) = (Cow::Borrowed(node), Cow::Borrowed(config));
        Self { node, config, distance: 0, is_node: true }
    }

    /// A collection above it.
    fn above((node, config): (PubSubNode, NodeConfig), distance: u32) -> Self {
        Self { node: Cow::Owned(node), config: Cow::Owned(config), distance, is_node: false }
    }

    /// The collection that a header names.
    pub(super) fn header(&self) -> Option<&str> {
        (!self.is_node).then_some(self.node.name.as_str())
    }

    /// Whether a subscriber of this hears of an event of `node`.
    ///
    /// Whoever may read a collection hears of the nodes in it (XEP-0248 §10.1): their owners have put them there. But
    /// nobody has put a node below the root, so one must be allowed to read the node itself.
    ///
    /// DEPARTS: XEP-0248 §10.1 – an outcast of a node hears nothing of it, in whatever collection it is.
    pub(super) async fn may_hear(
        &self,
        cx: &Cx<'_>,
        place: &Place,
        subscriber: &Jid,
        (node, config): (&PubSubNode, &NodeConfig),
    ) -> Result<bool, StanzaError> {
        if self.node.name == ROOT_NODE {
            return hearing::may_hear(cx, place, subscriber, node, config).await;
        }
        let is_outcast = place.affiliation(subscriber, node) == Some(Affiliation::Outcast);
        Ok(!is_outcast
            && hearing::may_hear(cx, place, subscriber, &self.node, &self.config).await?)
    }
}

/// The collections above a node that have subscribers, the nearest first, and the root. They are found from its
/// parents, since the node itself may be gone.
pub(super) async fn above(
    cx: &Cx<'_>,
    place: &Place,
    node: &PubSubNode,
) -> storage::Result<Vec<Source<'static>>> {
    if node.name == ROOT_NODE || (node.parents.is_empty() && !node.has_root) {
        return Ok(Vec::new());
    }
    let store = cx.server.storage.pubsub();
    let mut names: Vec<(String, u32)> = Vec::new();
    for parent in &node.parents {
        names.push((parent.clone(), 1));
        let further = store.above(&place.owner, parent, MAX_ABOVE).await?;
        names.extend(further.into_iter().map(|(name, distance)| (name, distance + 1)));
    }
    names.sort_by(|(a, far), (b, further)| a.cmp(b).then(far.cmp(further)));
    names.dedup_by(|(a, _), (b, _)| a == b);
    names.sort_by_key(|(_, distance)| *distance);
    names.truncate(MAX_ABOVE);
    let (mut found, mut to_root) = (Vec::new(), node.parents.is_empty().then_some(1));
    for (name, distance) in names {
        let Some(collection) = place.nodes.find(cx.server, &name).await? else { continue };
        if collection.0.parents.is_empty() && to_root.is_none() {
            to_root = Some(distance + 1);
        }
        found.push(Source::above(collection, distance));
    }
    if node.has_root
        && let Some(distance) = to_root
        && let Some(root) = place.nodes.find(cx.server, ROOT_NODE).await?
    {
        found.push(Source::above(root, distance));
    }
    found.retain(|source| !source.node.subscriptions.is_empty());
    Ok(found)
}

/// Collections above a node, at most; an event goes up to so many, the nearest ones.
pub(super) const MAX_ABOVE: usize = 16;
