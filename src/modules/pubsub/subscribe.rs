//! What entities do with their own subscriptions (XEP-0060 §5.6, §6.1, §6.2).

use super::place::Place;
use super::request::{Request, submitted};
use super::{approval, collections, last_items, presences, recipients, subscription};
use crate::host::{Cx, Invalidation, IqReply};
use crate::jid::Jid;
use crate::ns;
use crate::payload::data_form::FormKind;
use crate::payload::node_config::NodeConfig;
use crate::pubsub::error::Problem;
use crate::pubsub::options::{Options, SUBSCRIBE_OPTIONS};
use crate::pubsub::rights::Approval;
use crate::random::random_id;
use crate::session::SessionRef;
use crate::stanza::StanzaError;
use crate::storage::{NodeSubscription, PubSubNode, ROOT_NODE};
use crate::xml::{Node, element};

/// Subscribes. Each request makes another subscription (§6.1.6), but for that of a user who has as many as there may
/// be: if one of them is what is wanted, it is answered as it is. Without a node, it is one to the root (XEP-0248 §8.1).
///
/// DEPARTS: XEP-0060 §6.1.3.11 – a node that has moved is not there, and is answered like one that never was. Its
/// subscribers were told where the new one is when it was deleted (§8.4.2); nothing of it is kept.
pub(super) async fn subscribe(cx: &mut Cx<'_>, place: &Place, request: &Request<'_>) -> IqReply {
    let name = request.maybe_node()?.unwrap_or_default();
    let jid = request.action.attr("jid").ok_or(Problem::InvalidJid)?;
    let jid = Jid::parse(&jid).map_err(|_| Problem::InvalidJid)?;
    if jid.bare_str() != request.from.bare_str() {
        return Err(Problem::InvalidJid.into());
    }
    if cx.origin.session().is_some_and(SessionRef::is_anonymous) {
        return Err(Problem::Forbidden.into());
    }
    let (node, config) = match name.is_empty() {
        true => collections::root(cx, place).await?,
        false => place.node(cx, &name).await?,
    };
    let entity = place.entity(cx.server, request.from, &node, &config).await?;
    let approval = entity.may_subscribe(&config)?;
    let mut options = Options::default();
    let companion = request.companion("options")?;
    let form = companion.map(|companion| submitted(&companion, SUBSCRIBE_OPTIONS));
    let mut is_told = false;
    if let Some((form, false)) = form.transpose()?.flatten() {
        options.apply(&form)?;
        is_told = true;
    }
    if let Some(old) = instead_of_new(&node, &config, &jid, &options)? {
        return Ok(Some(answer(ns::PUBSUB, &name, old)));
    }
    // It waits no more if the node lets its subscriber in by now.
    let waiting = node.subscriptions.iter().find(|one| one.is_pending && one.jid == jid);
    let subscription = NodeSubscription {
        subid: waiting.map_or_else(|| random_id().to_string(), |one| one.subid.clone()),
        jid,
        is_pending: approval == Approval::Pending,
        options: options.to_text(),
    };
    if name.is_empty() && !node.has_root {
        place.nodes.create(cx, node.clone()).await?;
    }
    subscription::store(cx, place, (&name, &config), &subscription).await?;
    presences::ask(cx, place, &config, &subscription);
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
    let form = || options.to_form(FormKind::Result, config.is_collection()).to_node();
    let told = is_told.then(|| element("options").child(form()));
    Ok(Some(answer(ns::PUBSUB, &name, &subscription).children(told)))
}

/// The subscription that is answered, if a new one would be one too many. To a collection an address has one for each
/// type (XEP-0248 §6.1.3).
///
/// # Errors
/// If there is none.
fn instead_of_new<'a>(
    node: &'a PubSubNode,
    config: &NodeConfig,
    jid: &Jid,
    options: &Options,
) -> Result<Option<&'a NodeSubscription>, Problem> {
    let of_user = || node.subscriptions.iter().filter(|one| one.jid.bare_str() == jid.bare_str());
    let mut same = of_user().filter(|one| one.jid == *jid && !one.is_pending);
    let options_of = |one: &NodeSubscription| Options::from_text(&one.options);
    if config.is_collection()
        && let Some(old) = same.clone().find(|one| options_of(one).kind == options.kind)
    {
        let is_same = options_of(old) == *options;
        return if is_same { Ok(Some(old)) } else { Err(Problem::SubscribedOtherwise) };
    }
    if of_user().count() < MAX_OWN {
        return Ok(None);
    }
    match same.find(|one| options_of(one) == *options) {
        Some(old) => Ok(Some(old)),
        None => Err(Problem::TooManySubscriptions),
    }
}

/// Unsubscribes.
pub(super) async fn unsubscribe(cx: &mut Cx<'_>, place: &Place, request: &Request<'_>) -> IqReply {
    let (node, config, subscription) = own(cx, place, request).await?;
    let store = cx.server.storage.pubsub();
    store.remove_subscription(&place.owner, &node.name, &subscription.subid).await?;
    cx.server.invalidate(&Invalidation::Nodes(place.owner.clone()));
    if config.notify_sub {
        recipients::tell_owners(cx, place, &node, &subscription, "none");
    }
    presences::ended(cx, place, &subscription.jid).await?;
    Ok(None)
}

/// The subscription of the sender that a request names (§6.2.3, §6.3.4), with its node. Without a node it is one to the
/// root, if there is one.
pub(super) async fn own(
    cx: &Cx<'_>,
    place: &Place,
    request: &Request<'_>,
) -> Result<(PubSubNode, NodeConfig, NodeSubscription), StanzaError> {
    let name = request.maybe_node()?;
    let jid = request.action.attr("jid").ok_or(Problem::JidRequired)?;
    let jid = Jid::parse(&jid).map_err(|_| Problem::InvalidJid)?;
    if jid.bare_str() != request.from.bare_str() {
        return Err(Problem::Forbidden.into());
    }
    let (node, config) = match &name {
        Some(name) => place.node(cx, name).await?,
        None => place.nodes.find(cx.server, ROOT_NODE).await?.ok_or(Problem::NodeidRequired)?,
    };
    let of_jid: Vec<_> = node.subscriptions.iter().filter(|one| one.jid == jid).collect();
    let subid = request.action.attr("subid").filter(|subid| !subid.is_empty());
    let found = match (of_jid.as_slice(), subid) {
        ([], _) if name.is_none() => return Err(Problem::NodeidRequired.into()),
        ([], _) => return Err(Problem::NotSubscribed.into()),
        ([one], None) => *one,
        (_, None) => return Err(Problem::SubidRequired.into()),
        (all, Some(subid)) => {
            let named = all.iter().find(|one| one.subid == *subid);
            *named.ok_or(Problem::InvalidSubid)?
        }
    };
    let found = found.clone();
    Ok((node, config, found))
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

/// Subscriptions of one user to one node, with all resources, at most.
pub(super) const MAX_OWN: usize = 10;
