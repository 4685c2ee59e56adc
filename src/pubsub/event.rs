//! Events: what subscribers are told of a node (XEP-0060 §7.1.2, §7.2.2, §8.2.5, §8.4.2, §8.5.2), and
//! of a collection (XEP-0248 §5.3).

use crate::ns;
use crate::payload::data_form::FormKind;
use crate::payload::node_config::{ItemReply, Links, NodeConfig};
use crate::storage::{NodeSubscription, PubSubItem};
use crate::xml::{Node, element};

/// An item in an event or an answer, in the namespace of the parent.
///
/// The publisher is named if replies go there (§7.1.2.3): as the server knows it, whatever the item said.
pub fn item(item: &PubSubItem, with_payload: bool, config: &NodeConfig) -> Node {
    let publisher =
        (config.itemreply == Some(ItemReply::Publisher)).then(|| item.publisher.as_str());
    let node = element("item").attr("id", &item.id).maybe_attr("publisher", publisher);
    if with_payload { node.raw(&item.payload) } else { node }
}

/// Items were published. None, if the node only notifies.
pub fn published(node: &str, items: &[PubSubItem], config: &NodeConfig) -> Node {
    let is_bare = !config.deliver_payloads && !config.persist_items;
    let items =
        items.iter().filter(|_| !is_bare).map(|one| item(one, config.deliver_payloads, config));
    event(element("items").attr("node", node).children(items))
}

/// Items were removed.
pub fn retracted(node: &str, ids: &[String]) -> Node {
    let retract = |id: &String| element("retract").attr("id", id);
    event(element("items").attr("node", node).children(ids.iter().map(retract)))
}

/// The event that all items were removed.
pub fn purged(node: &str) -> Node {
    event(element("purge").attr("node", node))
}

/// The event that the node was deleted. `redirect`: the address of another one.
pub fn deleted(node: &str, redirect: Option<&str>) -> Node {
    let redirect = redirect.map(|uri| element("redirect").attr("uri", uri));
    event(element("delete").attr("node", node).children(redirect))
}

/// The configuration has changed. The event contains it, if events contain payloads.
pub fn configured(node: &str, config: &NodeConfig) -> Node {
    let form = || config.to_form(FormKind::Result, &Links::default()).to_node();
    let form = config.deliver_payloads.then(form);
    event(element("configuration").attr("node", node).children(form))
}

/// The state of a subscription has changed (§8.8.1.2). An address may have several (§6.1.6).
pub fn subscription(node: &str, subscription: &NodeSubscription, state: &str) -> Node {
    let subscription = element("subscription")
        .attr("node", node)
        .attr("jid", subscription.jid.as_str())
        .attr("subid", &subscription.subid)
        .attr("subscription", state);
    event(subscription)
}

/// A node was made in a collection.
pub fn created(node: &str) -> Node {
    event(element("create").attr("node", node))
}

/// A node was put into a collection, or taken out of it.
pub fn linked(collection: &str, node: &str, is_put: bool) -> Node {
    let link = element(if is_put { "associate" } else { "dissociate" }).attr("node", node);
    event(element("collection").attr("node", collection).child(link))
}

fn event(child: Node) -> Node {
    element("event").ns(ns::PUBSUB_EVENT).child(child)
}
