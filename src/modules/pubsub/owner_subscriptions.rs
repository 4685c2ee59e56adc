//! The subscriptions to a node, for its owners (XEP-0060 §8.8).

use super::place::Place;
use super::request::{self, Request};
use super::{subscribe, subscription};
use crate::host::{Cx, IqReply};
use crate::jid::Jid;
use crate::ns;
use crate::pubsub::error::Problem;
use crate::random::random_id;
use crate::storage::{NodeSubscription, PubSubNode};
use crate::xml::{Node, element};

/// The list.
pub(super) async fn get(cx: &Cx<'_>, place: &Place, request: &Request<'_>) -> IqReply {
    let name = request.node()?;
    let (node, _) = place.own_node(cx, request.from, &name).await?;
    let list = element("subscriptions").attr("node", &name);
    // "SHOULD NOT return entities whose subscription state is 'pending'": those are asked for by a command.
    let shown = node.subscriptions.iter().filter(|subscription| !subscription.is_pending);
    let list = list.children(shown.map(subscription::written));
    Ok(Some(element("pubsub").ns(ns::PUBSUB_OWNER).child(list)))
}

/// Changes subscriptions: those that are named, which are all of an address if it has several and an entry names none of
/// them. Each subscriber is told. Entries that are not possible are answered as
/// they are, and all others are changed (§8.8.2.4).
pub(super) async fn set(cx: &mut Cx<'_>, place: &Place, request: &Request<'_>) -> IqReply {
    let name = request.node()?;
    let (node, config) = place.own_node(cx, request.from, &name).await?;
    let mut changes: Vec<(NodeSubscription, Option<bool>)> = Vec::new();
    let mut refused = Refused::default();
    for one in request.action.children().filter(|c| c.is(ns::PUBSUB_OWNER, "subscription")) {
        let text = one.attr("jid").ok_or(Problem::Malformed)?;
        let Some(word) = one.attr("subscription") else { continue };
        let Ok(jid) = Jid::parse(&text) else {
            refused.push(Problem::NotAcceptable, vec![none(&text)]);
            continue;
        };
        let subid = one.attr("subid");
        let is_named = |s: &&NodeSubscription| {
            s.jid == jid && subid.as_ref().is_none_or(|subid| **subid == s.subid)
        };
        let old: Vec<_> = node.subscriptions.iter().filter(is_named).cloned().collect();
        if changes.iter().any(|(one, _)| one.jid == jid && (subid.is_none() || old.contains(one))) {
            return Err(Problem::Malformed.into());
        }
        let as_it_is = || match old.is_empty() {
            true => vec![none(jid.as_str())],
            false => old.iter().map(subscription::written).collect(),
        };
        let is_pending = match &*word {
            "none" if !old.is_empty() => None,
            "pending" => Some(true),
            "subscribed" => Some(false),
            _ => {
                refused.push(Problem::NotAcceptable, as_it_is());
                continue;
            }
        };
        if old.is_empty() && subid.is_some() {
            refused.push(Problem::NotAcceptable, as_it_is());
            continue;
        }
        let of_user = |s: &NodeSubscription| s.jid.bare_str() == jid.bare_str();
        let known = node.subscriptions.iter().filter(|s| of_user(s)).count();
        let added = changes.iter().filter(|(s, _)| of_user(s) && !node.subscriptions.contains(s));
        if old.is_empty() && known + added.count() >= subscribe::MAX_OWN {
            refused.push(Problem::TooManySubscriptions, as_it_is());
            continue;
        }
        let new = || NodeSubscription {
            subid: random_id().to_string(),
            jid: jid.clone(),
            is_pending: false,
            options: String::new(),
        };
        let made = old.is_empty().then(new);
        changes.extend(old.into_iter().chain(made).map(|one| (one, is_pending)));
    }
    check_unasked(cx, &node, request.from, &changes)?;
    for (subscription, is_pending) in changes {
        subscription::change(cx, place, (&name, &config), subscription, is_pending).await?;
    }
    refused.answer(&name)
}

/// Entries that could not be changed, as they are.
#[derive(Default)]
struct Refused {
    entries: Vec<Node>,
    problem: Option<Problem>,
}

impl Refused {
    fn push(&mut self, problem: Problem, as_it_is: Vec<Node>) {
        self.entries.extend(as_it_is);
        // "which SHOULD be <not-acceptable/>", unless all have failed for a better reason.
        let is_same = self.problem.is_none_or(|known| known == problem);
        self.problem = Some(if is_same { problem } else { Problem::NotAcceptable });
    }

    fn answer(self, node: &str) -> IqReply {
        match self.problem {
            None => Ok(None),
            Some(problem) => Err(request::refused(problem, "subscriptions", node, self.entries)),
        }
    }
}

/// An entity without a subscription.
fn none(jid: &str) -> Node {
    element("subscription").attr("jid", jid).attr("subscription", "none")
}

/// Checks that an owner does not subscribe too many others who have not asked for it.
fn check_unasked(
    cx: &Cx<'_>,
    node: &PubSubNode,
    owner: &Jid,
    changes: &[(NodeSubscription, Option<bool>)],
) -> Result<(), Problem> {
    let has_asked = |one: &NodeSubscription| {
        one.jid.bare_str() == owner.bare_str()
            || node.subscriptions.iter().any(|old| old.jid.bare_str() == one.jid.bare_str())
    };
    let others = changes.iter().filter(|(one, _)| !has_asked(one)).count() as u64;
    let (budgets, owner) = (&cx.server.budgets, owner.to_bare());
    let may = others == 0
        || budgets.is_exempt(&owner)
        || budgets.subscriptions_for_others.may_subscribe(&owner, others);
    if may { Ok(()) } else { Err(Problem::TooManySubscriptions) }
}
