//! Affiliations: of the sender at all nodes (XEP-0060 §5.7), and of everybody at a node (§8.9).

use super::access::Audience;
use super::place::Place;
use super::request::{self, Request};
use super::subscription;
use crate::host::{Cx, Invalidation, IqReply};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::pubsub::error::Problem;
use crate::pubsub::rights::{affiliation_word, parse_affiliation};
use crate::storage::Affiliation;
use crate::xml::{Node, element};

/// The sender's own affiliations; at one node, if one is named.
pub(super) async fn own(cx: &Cx<'_>, place: &Place, request: &Request<'_>) -> IqReply {
    let only = request.maybe_node()?;
    let store = cx.server.storage.pubsub();
    let mut found: Vec<(String, Affiliation)> = if place.is_account() && place.is_of(request.from) {
        let names = place.names(cx.server).await?;
        names.into_iter().map(|name| (name, Affiliation::Owner)).collect()
    } else {
        store.affiliations_of(&place.owner, &request.from.to_bare()).await?
    };
    found.retain(|(node, _)| only.as_ref().is_none_or(|only| only == node));
    let one = |(node, affiliation): (String, Affiliation)| {
        element("affiliation")
            .attr("node", node)
            .attr("affiliation", affiliation_word(Some(affiliation)))
    };
    let list = element("affiliations").maybe_attr("node", only.as_deref());
    let list = list.children(found.into_iter().map(one));
    Ok(Some(element("pubsub").ns(ns::PUBSUB).child(list)))
}

/// The affiliations at a node, for its owners.
pub(super) async fn get(cx: &Cx<'_>, place: &Place, request: &Request<'_>) -> IqReply {
    let name = request.node()?;
    let (node, _) = place.own_node(cx, request.from, &name).await?;
    let one =
        |(jid, affiliation): &(BareJid, Affiliation)| written(jid.as_str(), Some(*affiliation));
    let list = element("affiliations").attr("node", &name);
    let list = list.children(node.affiliations.iter().map(one));
    Ok(Some(element("pubsub").ns(ns::PUBSUB_OWNER).child(list)))
}

/// Changes affiliations at a node (§8.9.2): those that are named. Entries that are not possible are answered as they
/// are, and all others are changed (§8.9.2.4).
pub(super) async fn set(cx: &mut Cx<'_>, place: &Place, request: &Request<'_>) -> IqReply {
    let name = request.node()?;
    let (node, config) = place.own_node(cx, request.from, &name).await?;
    let old = |jid: &BareJid| {
        node.affiliations
            .iter()
            .find(|(known, _)| known == jid)
            .map(|(_, affiliation)| *affiliation)
    };
    let (mut changes, mut refused): (Vec<(BareJid, Option<Affiliation>)>, Vec<Node>) =
        Default::default();
    let mut named = Vec::new();
    for one in request.action.children().filter(|child| child.is(ns::PUBSUB_OWNER, "affiliation")) {
        let text = one.attr("jid").ok_or(Problem::Malformed)?;
        let Ok(jid) = Jid::parse(&text).map(|jid| jid.to_bare()) else {
            refused.push(written(&text, None));
            continue;
        };
        // "If the 'affiliation' attribute is not specified in a modification request, then the value MUST
        // NOT be changed."
        let Some(word) = one.attr("affiliation") else { continue };
        // "The owner MUST NOT specify multiple <affiliation/> elements for the same entity."
        if named.contains(&jid) {
            return Err(Problem::Malformed.into());
        }
        match parse_affiliation(&word) {
            // An account is never without its user as an owner.
            Some(new)
                if !place.is_account() || jid != place.owner || new == Some(Affiliation::Owner) =>
            {
                changes.push((jid.clone(), new));
            }
            _ => refused.push(written(jid.as_str(), old(&jid))),
        }
        named.push(jid);
    }
    // A node without an owner could never be changed again.
    let is_owner = |(jid, affiliation): &(BareJid, Affiliation)| {
        let changed = changes.iter().find(|(other, _)| other == jid).map(|(_, new)| *new);
        changed.unwrap_or(Some(*affiliation)) == Some(Affiliation::Owner)
    };
    let has_new_owner = changes.iter().any(|(_, new)| *new == Some(Affiliation::Owner));
    if !has_new_owner && !node.affiliations.iter().any(is_owner) {
        changes.retain(|(jid, _)| {
            let is_owner = old(jid) == Some(Affiliation::Owner);
            refused.extend(is_owner.then(|| written(jid.as_str(), old(jid))));
            !is_owner
        });
    }
    let audience = Audience::of(cx, place, &node, &config).await?;
    let store = cx.server.storage.pubsub();
    store.set_affiliations(&place.owner, &name, &changes, MAX_AFFILIATIONS).await?;
    cx.server.invalidate(&Invalidation::Nodes(place.owner.clone()));
    let whose: Vec<BareJid> = changes.into_iter().map(|(jid, _)| jid).collect();
    subscription::settle(cx, place, &name, Some(&whose)).await?;
    audience.welcome(cx, place, &name).await?;
    match refused.is_empty() {
        true => Ok(None),
        false => Err(request::refused(Problem::NotAcceptable, "affiliations", &name, refused)),
    }
}

fn written(jid: &str, affiliation: Option<Affiliation>) -> Node {
    element("affiliation").attr("jid", jid).attr("affiliation", affiliation_word(affiliation))
}

/// Affiliations at one node, at most.
const MAX_AFFILIATIONS: u32 = 1000;
