//! Events of collections: a node was made in one, put into one, or taken out of one (XEP-0248 §5.3).

use rustc_hash::FxHashSet;

use super::delivery::Outgoing;
use super::place::Place;
use super::sources::{self, Source};
use crate::host::Cx;
use crate::payload::node_config::NodeConfig;
use crate::pubsub::event;
use crate::pubsub::options::EventsOf;
use crate::stanza::{Content, StanzaError};
use crate::storage::{NodeLink, PubSubNode};

/// Tells those who are subscribed to the collections above a node, and to the root, that it was made.
pub(super) async fn created(
    cx: &mut Cx<'_>,
    place: &Place,
    node: &PubSubNode,
    config: &NodeConfig,
) -> Result<(), StanzaError> {
    let sources = sources::above(cx, place, node).await?;
    if sources.is_empty() || !config.deliver_notifications {
        return Ok(());
    }
    let content = Content::from(event::created(&node.name));
    let event = Outgoing::new(place, (node, config), content, EventsOf::Nodes);
    event.tell(cx, place, &sources, &mut FxHashSet::default()).await
}

/// Tells those who are subscribed to a collection, and to the ones above it, that a node was put into it, or taken out
/// of it (XEP-0248 §5.3.2).
pub(super) async fn linked(
    cx: &mut Cx<'_>,
    place: &Place,
    link: &NodeLink,
) -> Result<(), StanzaError> {
    let found = place.nodes.find(cx.server, &link.parent).await?;
    let Some((parent, of_parent)) = found.filter(|(_, config)| config.deliver_notifications) else {
        return Ok(());
    };
    let mut sources = vec![Source::of_node(&parent, &of_parent)];
    sources.extend(sources::above(cx, place, &parent).await?);
    sources.retain(|source| !source.node.subscriptions.is_empty());
    if sources.is_empty() {
        return Ok(());
    }
    for source in &mut sources {
        source.distance += 1;
    }
    let Some((child, of_child)) = place.nodes.find(cx.server, &link.child).await? else {
        return Ok(());
    };
    let linked = event::linked(&parent.name, &child.name, link.max_children.is_some());
    let what = EventsOf::Nodes;
    let event = Outgoing::new(place, (&child, &of_child), Content::from(linked), what);
    event.tell(cx, place, &sources, &mut FxHashSet::default()).await
}
