//! Messages of a place: to subscribers, to owners, to one address.

use super::place::Place;
use crate::host::Cx;
use crate::jid::Jid;
use crate::pubsub::event;
use crate::random::random_id;
use crate::stanza::{Content, Head, Message, MessageKind, Stanza};
use crate::storage::{NodeSubscription, PubSubNode};
use crate::xml::Node;

/// A message of a place to nobody yet.
pub(super) fn message(place: &Place, kind: MessageKind, content: Content) -> Message {
    let from = Some(place.owner.clone().into_jid());
    // XEP-0060 §12.1: each event has an id.
    let head = Head { from, id: Some(random_id()), ..Head::default() };
    Message { head, kind, content }
}

/// Sends a message to an address.
pub(super) fn send(cx: &mut Cx<'_>, place: &Place, to: Jid, kind: MessageKind, content: Content) {
    let mut message = message(place, kind, content);
    message.head.to = Some(to);
    cx.outbox.send(Stanza::Message(message));
}

/// Sends something to each owner of a node.
pub(super) fn to_owners(
    cx: &mut Cx<'_>,
    place: &Place,
    node: &PubSubNode,
    kind: MessageKind,
    payload: &Node,
) {
    let mut content = Content::default();
    content.add(payload);
    for owner in place.owners(node) {
        send(cx, place, owner.into_jid(), kind, content.clone());
    }
}

/// Tells the owners of a node of a subscription (XEP-0060 §12.9, `notify_sub`).
pub(super) fn tell_owners(
    cx: &mut Cx<'_>,
    place: &Place,
    node: &PubSubNode,
    subscription: &NodeSubscription,
    state: &str,
) {
    let event = event::subscription(&node.name, subscription, state);
    to_owners(cx, place, node, MessageKind::Headline, &event);
}

/// Tells a subscriber of the new state of its subscription (XEP-0060 §8.6, §8.8.4). The message of a service waits for one
/// that is offline. That of an account is a headline, as all that an account tells.
pub(super) fn tell_subscriber(
    cx: &mut Cx<'_>,
    place: &Place,
    name: &str,
    subscription: &NodeSubscription,
    state: &str,
) {
    let event = event::subscription(name, subscription, state);
    let kind = if place.is_account() { MessageKind::Headline } else { MessageKind::Normal };
    let mut message = message(place, kind, Content::from(event));
    message.head.to = Some(subscription.jid.clone());
    // Only what can be read is stored.
    cx.outbox.send(Stanza::Message(message).reread());
}
