//! Events that could not be delivered (XEP-0060 §12.4): the subscription of an address that is not there ends.

use super::place::Place;
use super::sources::MAX_ABOVE;
use crate::host::{Cx, Invalidation};
use crate::jid::BareJid;
use crate::ns;
use crate::pubsub::headers;
use crate::stanza::{ErrorKind, Message};
use crate::storage;

/// Reads an error for an account of this server. If it says that an event of a node has no recipient, the subscription
/// of the recipient ends.
pub async fn bounced(cx: &Cx<'_>, user: &BareJid, message: &Message) {
    // It is rare: most messages should not need room for it.
    Box::pin(end_subscription(cx, &Place::of(user.clone()), message)).await;
}

/// Ends the subscriptions with just this address, to the node and to the collections that the headers name, if the error
/// contains the event, and with it the name of the node, and is permanent: `<gone/>`, or one of the type `cancel`.
///
/// DEPARTS: XEP-0060 §12.4 – another server that is not found now may be found again, so `remote-server-not-found` ends
/// nothing. Temporary errors are not counted either: a lost event has no other consequences.
pub(super) async fn end_subscription(cx: &Cx<'_>, place: &Place, message: &Message) {
    for node in nodes_of(message) {
        if let Err(error) = remove(cx, place, message, &node).await {
            tracing::error!(owner = %place.owner, node, %error, "cannot end a subscription");
        }
    }
}

async fn remove(cx: &Cx<'_>, place: &Place, message: &Message, name: &str) -> storage::Result<()> {
    let Some(from) = &message.head.from else { return Ok(()) };
    let Some((node, _)) = place.nodes.find(cx.server, name).await? else { return Ok(()) };
    let store = cx.server.storage.pubsub();
    for one in node.subscriptions.iter().filter(|one| one.jid == *from) {
        store.remove_subscription(&place.owner, name, &one.subid).await?;
        cx.server.invalidate(&Invalidation::Nodes(place.owner.clone()));
        tracing::debug!(owner = %place.owner, node = name, jid = %from, "a subscription ends: its address is not there");
    }
    Ok(())
}

/// The nodes whose event comes back with a permanent error.
fn nodes_of(message: &Message) -> Vec<String> {
    let Some(error) = message.content.received_child(ns::CLIENT, "error") else { return vec![] };
    let says = |condition| error.has_child(ns::STANZA_ERRORS, condition);
    let is_cancel = error.attr("type").as_deref() == Some(ErrorKind::Cancel.as_str());
    if !says("gone") && (!is_cancel || says("remote-server-not-found")) {
        return Vec::new();
    }
    let event = message.content.received_child(ns::PUBSUB_EVENT, "event");
    let node = event.and_then(|event| {
        event.children().find_map(|child| child.attr("node").map(|node| node.into_owned()))
    });
    let headers = message.content.received_child(headers::NS, "headers");
    let mut nodes: Vec<String> = node.into_iter().collect();
    if let Some(headers) = headers.filter(|_| !nodes.is_empty()) {
        nodes.extend(headers::collections(&headers).into_iter().take(MAX_ABOVE));
    }
    nodes
}
