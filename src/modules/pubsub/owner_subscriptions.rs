//! The subscriptions to a node, for its owners (XEP-0060 §8.8).

use super::place::Place;
use super::request::Request;
use super::subscription;
use crate::host::{Cx, IqReply};
use crate::jid::Jid;
use crate::ns;
use crate::pubsub::error::Problem;
use crate::random::random_id;
use crate::storage::NodeSubscription;
use crate::xml::element;

/// The list.
pub(super) async fn get(cx: &Cx<'_>, place: &Place, request: &Request<'_>) -> IqReply {
    let name = request.node()?;
    let (node, _) = place.own_node(cx, request.from, &name).await?;
    let list = element("subscriptions").attr("node", &name);
    let list = list.children(node.subscriptions.iter().map(subscription::written));
    Ok(Some(element("pubsub").ns(ns::PUBSUB_OWNER).child(list)))
}

/// Changes subscriptions: those that are named. Each subscriber is told.
pub(super) async fn set(cx: &mut Cx<'_>, place: &Place, request: &Request<'_>) -> IqReply {
    let name = request.node()?;
    let (node, _) = place.own_node(cx, request.from, &name).await?;
    let mut changes: Vec<(NodeSubscription, Option<bool>)> = Vec::new();
    for one in request.action.children().filter(|c| c.is(ns::PUBSUB_OWNER, "subscription")) {
        let jid = one.attr("jid").ok_or(Problem::Malformed)?;
        let jid = Jid::parse(&jid).map_err(|_| Problem::InvalidJid)?;
        let is_pending = match one.attr("subscription").as_deref() {
            None => continue,
            Some("none") => None,
            Some("pending") => Some(true),
            Some("subscribed") => Some(false),
            Some(_) => return Err(Problem::NotAcceptable.into()),
        };
        let subid = one.attr("subid");
        let is_named = |s: &&NodeSubscription| {
            s.jid == jid && subid.as_ref().is_none_or(|subid| **subid == s.subid)
        };
        let old = node.subscriptions.iter().find(is_named).cloned();
        if old.is_none() && (is_pending.is_none() || subid.is_some()) {
            return Err(Problem::NotSubscribed.into());
        }
        let new = || NodeSubscription {
            subid: random_id().to_string(),
            jid: jid.clone(),
            is_pending: false,
            options: String::new(),
        };
        changes.push((old.unwrap_or_else(new), is_pending));
    }
    for (subscription, is_pending) in changes {
        subscription::change(cx, place, &name, subscription, is_pending).await?;
    }
    Ok(None)
}
