//! A subscription to a node: how it is stored, changed by others, and written.

use super::place::Place;
use super::{last_items, recipients};
use crate::host::{Cx, Invalidation};
use crate::jid::BareJid;
use crate::payload::node_config::NodeConfig;
use crate::pubsub::error::Problem;
use crate::pubsub::rights::Approval;
use crate::stanza::StanzaError;
use crate::storage::{NodeSubscription, PubSubNode, StorageError};
use crate::xml::{Node, element};

/// Stores a subscription.
pub(super) async fn store(
    cx: &Cx<'_>,
    place: &Place,
    (name, config): (&str, &NodeConfig),
    subscription: &NodeSubscription,
) -> Result<(), StanzaError> {
    let store = cx.server.storage.pubsub();
    let limit = if config.is_collection() { MAX_OF_COLLECTION } else { MAX_SUBSCRIPTIONS };
    match store.put_subscription(&place.owner, name, subscription, limit).await {
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
    (name, config): (&str, &NodeConfig),
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
    let was_pending = old.is_pending;
    let new = NodeSubscription { is_pending, ..old };
    store(cx, place, (name, config), &new).await?;
    recipients::tell_subscriber(cx, place, name, &new, state(&new));
    if was_pending && !is_pending {
        // §12.10
        last_items::to_subscriber(cx, place, name, config, &new).await?;
    }
    Ok(())
}

/// Called after the access model or affiliations have changed. Ends the subscriptions of users who may no longer read
/// the node, and decides those that wait for an owner, as far as the new access model decides them (§8.7). Each
/// subscriber is told. `whose`: only the subscriptions of these.
///
/// # Errors
/// The first one, after all others were settled.
pub(super) async fn settle(
    cx: &mut Cx<'_>,
    place: &Place,
    name: &str,
    whose: Option<&[BareJid]>,
) -> Result<(), StanzaError> {
    let (node, config) = place.node(cx, name).await?;
    let is_meant = |one: &NodeSubscription| {
        whose.is_none_or(|whose| whose.iter().any(|jid| jid.as_str() == one.jid.bare_str()))
    };
    let mut done = Ok(());
    for one in node.subscriptions.iter().filter(|one| is_meant(one)) {
        done = settle_one(cx, place, (&node, &config), one).await.and(done);
    }
    done
}

async fn settle_one(
    cx: &mut Cx<'_>,
    place: &Place,
    (node, config): (&PubSubNode, &NodeConfig),
    one: &NodeSubscription,
) -> Result<(), StanzaError> {
    let entity = place.entity(cx.server, &one.jid, node, config).await?;
    let state = match one.is_pending {
        false => entity.may_read(config).is_ok().then_some(false),
        true => match entity.may_subscribe(config) {
            Ok(Approval::Subscribed) => Some(false),
            Ok(Approval::Pending) | Err(Problem::PendingSubscription) => Some(true),
            Err(_) => None,
        },
    };
    if state != Some(one.is_pending) {
        change(cx, place, (&node.name, config), one.clone(), state).await?;
    }
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
/// Subscriptions to one collection, at most: an event of a node goes to those of all collections above it, too.
const MAX_OF_COLLECTION: u32 = 1000;
