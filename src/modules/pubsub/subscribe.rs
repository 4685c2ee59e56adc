//! What entities do with their own subscriptions (XEP-0060 §5.6, §6.1, §6.2).

use super::place::Place;
use super::request::{Request, submitted};
use super::{approval, last_items, recipients, subscription};
use crate::host::{Cx, Invalidation, IqReply};
use crate::jid::Jid;
use crate::ns;
use crate::payload::data_form::FormKind;
use crate::pubsub::error::Problem;
use crate::pubsub::options::{Options, SUBSCRIBE_OPTIONS};
use crate::pubsub::rights::Approval;
use crate::random::random_id;
use crate::session::SessionRef;
use crate::stanza::StanzaError;
use crate::storage::{NodeSubscription, PubSubNode};
use crate::xml::{Node, element};

/// Subscribes. A subscription that exists is answered as it is (§6.1.6).
///
/// DEPARTS: XEP-0060 §6.1.3.11 – a node that has moved is not there, and is answered like one that never was. Its
/// subscribers were told where the new one is when it was deleted (§8.4.2); nothing of it is kept.
pub(super) async fn subscribe(cx: &mut Cx<'_>, place: &Place, request: &Request<'_>) -> IqReply {
    let name = request.node()?;
    let jid = request.action.attr("jid").ok_or(Problem::InvalidJid)?;
    let jid = Jid::parse(&jid).map_err(|_| Problem::InvalidJid)?;
    if jid.bare_str() != request.from.bare_str() {
        return Err(Problem::InvalidJid.into());
    }
    if cx.origin.session().is_some_and(SessionRef::is_anonymous) {
        return Err(Problem::Forbidden.into());
    }
    let (node, config) = place.node(cx, &name).await?;
    let entity = place.entity(cx.server, request.from, &node, &config).await?;
    let old = node.subscriptions.iter().find(|subscription| subscription.jid == jid);
    if let Some(old) = old.filter(|old| !old.is_pending) {
        return Ok(Some(answer(ns::PUBSUB, &name, old)));
    }
    let approval = entity.may_subscribe(&config)?;
    let own = node.subscriptions.iter().filter(|s| s.jid.bare_str() == jid.bare_str());
    if old.is_none() && own.count() >= MAX_OWN {
        return Err(Problem::TooManySubscriptions.into());
    }
    let mut options = Options::default();
    let companion = request.companion("options")?;
    let form = companion.map(|companion| submitted(&companion, SUBSCRIBE_OPTIONS));
    let mut is_told = false;
    if let Some((form, false)) = form.transpose()?.flatten() {
        options.apply(&form)?;
        is_told = true;
    }
    let subscription = NodeSubscription {
        subid: old.map_or_else(|| random_id().to_string(), |old| old.subid.clone()),
        jid,
        is_pending: approval == Approval::Pending,
        options: options.to_text(),
    };
    subscription::store(cx, place, &name, &subscription).await?;
    match approval {
        Approval::Pending => approval::ask(cx, place, &node, &subscription),
        Approval::Subscribed => {
            if config.notify_sub {
                recipients::tell_owners(cx, place, &node, &subscription, "subscribed");
            }
            last_items::to_subscriber(cx, place, &name, &config, &subscription).await?;
        }
    }
    // §6.3.7
    let told =
        is_told.then(|| element("options").child(options.to_form(FormKind::Result).to_node()));
    Ok(Some(answer(ns::PUBSUB, &name, &subscription).children(told)))
}

/// Unsubscribes.
pub(super) async fn unsubscribe(cx: &mut Cx<'_>, place: &Place, request: &Request<'_>) -> IqReply {
    let name = request.node()?;
    let (node, subscription) = own(cx, place, request, &name).await?;
    let store = cx.server.storage.pubsub();
    store.remove_subscription(&place.owner, &name, &subscription.subid).await?;
    cx.server.invalidate(&Invalidation::Nodes(place.owner.clone()));
    let config = crate::payload::node_config::NodeConfig::from_text(&node.config);
    if config.notify_sub {
        recipients::tell_owners(cx, place, &node, &subscription, "none");
    }
    Ok(None)
}

/// The subscription of the sender that a request names (§6.2.3, §6.3.4).
pub(super) async fn own(
    cx: &Cx<'_>,
    place: &Place,
    request: &Request<'_>,
    name: &str,
) -> Result<(PubSubNode, NodeSubscription), StanzaError> {
    let jid = request.action.attr("jid").ok_or(Problem::JidRequired)?;
    let jid = Jid::parse(&jid).map_err(|_| Problem::InvalidJid)?;
    if jid.bare_str() != request.from.bare_str() {
        return Err(Problem::Forbidden.into());
    }
    let (node, _) = place.node(cx, name).await?;
    let found = node.subscriptions.iter().find(|subscription| subscription.jid == jid).cloned();
    let found = found.ok_or(Problem::NotSubscribed)?;
    match request.action.attr("subid") {
        Some(subid) if !subid.is_empty() && *subid != found.subid => {
            Err(Problem::InvalidSubid.into())
        }
        _ => Ok((node, found)),
    }
}

/// The sender's own subscriptions; at one node, if one is named (§5.6).
pub(super) async fn list(cx: &Cx<'_>, place: &Place, request: &Request<'_>) -> IqReply {
    let only = request.maybe_node()?;
    let entity = request.from.to_bare();
    let mut found = cx.server.storage.pubsub().subscriptions_of(&place.owner, &entity).await?;
    found.retain(|(node, _)| only.as_ref().is_none_or(|only| only == node));
    let one = |(node, subscription): &(String, NodeSubscription)| {
        subscription::written(subscription).attr("node", node)
    };
    let list = element("subscriptions").maybe_attr("node", only.as_deref());
    let list = list.children(found.iter().map(one));
    Ok(Some(element("pubsub").ns(ns::PUBSUB).child(list)))
}

/// A subscription as an answer.
fn answer(namespace: &str, name: &str, subscription: &NodeSubscription) -> Node {
    let written = subscription::written(subscription).attr("node", name);
    element("pubsub").ns(namespace).child(written.child(element("subscribe-options")))
}

/// Subscriptions of one user to one node, with different resources, at most.
pub(super) const MAX_OWN: usize = 10;
