//! A subscription to a node: how it is stored, changed by others, and written.

use super::place::Place;
use super::recipients;
use crate::host::{Cx, Invalidation};
use crate::pubsub::error::Problem;
use crate::stanza::StanzaError;
use crate::storage::{NodeSubscription, StorageError};
use crate::xml::{Node, element};

/// Stores a subscription.
pub(super) async fn store(
    cx: &Cx<'_>,
    place: &Place,
    name: &str,
    subscription: &NodeSubscription,
) -> Result<(), StanzaError> {
    let store = cx.server.storage.pubsub();
    match store.put_subscription(&place.owner, name, subscription, MAX_SUBSCRIPTIONS).await {
        Ok(true) => {}
        Ok(false) => return Err(Problem::NotFound.into()),
        Err(StorageError::Limit(_)) => return Err(Problem::TooManySubscriptions.into()),
        Err(error) => return Err(error.into()),
    }
    cx.server.invalidate(&Invalidation::Nodes(place.owner.clone()));
    Ok(())
}

/// Gives a subscription a new state, and tells its subscriber. `None`: removes it.
pub(super) async fn change(
    cx: &mut Cx<'_>,
    place: &Place,
    name: &str,
    old: NodeSubscription,
    is_pending: Option<bool>,
) -> Result<(), StanzaError> {
    let Some(is_pending) = is_pending else {
        let store = cx.server.storage.pubsub();
        store.remove_subscription(&place.owner, name, &old.subid).await?;
        cx.server.invalidate(&Invalidation::Nodes(place.owner.clone()));
        recipients::tell_subscriber(cx, place, name, &old, "none");
        return Ok(());
    };
    let new = NodeSubscription { is_pending, ..old };
    store(cx, place, name, &new).await?;
    recipients::tell_subscriber(cx, place, name, &new, state(&new));
    Ok(())
}

/// A subscription without its node.
pub(super) fn written(subscription: &NodeSubscription) -> Node {
    element("subscription")
        .attr("jid", subscription.jid.as_str())
        .attr("subid", &subscription.subid)
        .attr("subscription", state(subscription))
}

/// The word for its state.
pub(super) fn state(subscription: &NodeSubscription) -> &'static str {
    if subscription.is_pending { "pending" } else { "subscribed" }
}

/// Subscriptions to one node, at most.
const MAX_SUBSCRIPTIONS: u32 = 10_000;
