//! Affiliations: of the sender at all nodes (XEP-0060 §5.7), and of everybody at a node (§8.9).

use super::place::Place;
use super::request::Request;
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
        let nodes = store.nodes(&place.owner, None, MAX_LISTED).await?;
        nodes.into_iter().map(|node| (node.name, Affiliation::Owner)).collect()
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
    let one = |(jid, affiliation): &(BareJid, Affiliation)| written(jid, Some(*affiliation));
    let list = element("affiliations").attr("node", &name);
    let list = list.children(node.affiliations.iter().map(one));
    Ok(Some(element("pubsub").ns(ns::PUBSUB_OWNER).child(list)))
}

/// Changes affiliations at a node (§8.9.2): those that are named.
pub(super) async fn set(cx: &mut Cx<'_>, place: &Place, request: &Request<'_>) -> IqReply {
    let name = request.node()?;
    let (node, _) = place.own_node(cx, request.from, &name).await?;
    let mut changes: Vec<(BareJid, Option<Affiliation>)> = Vec::new();
    for one in request.action.children().filter(|child| child.is(ns::PUBSUB_OWNER, "affiliation")) {
        let jid = one.attr("jid").ok_or(Problem::Malformed)?;
        let jid = Jid::parse(&jid).map_err(|_| Problem::InvalidJid)?.to_bare();
        // "If the 'affiliation' attribute is not specified in a modification request, then the value MUST
        // NOT be changed."
        let Some(word) = one.attr("affiliation") else { continue };
        let affiliation = parse_affiliation(&word).ok_or(Problem::NotAcceptable)?;
        // "The owner MUST NOT specify multiple <affiliation/> elements for the same entity."
        if changes.iter().any(|(other, _)| *other == jid) {
            return Err(Problem::Malformed.into());
        }
        changes.push((jid, affiliation));
    }
    // A node without an owner could never be changed again (§8.9.2.4). An account is never without one.
    let is_owner = |(jid, affiliation): &(BareJid, Affiliation)| {
        let changed = changes.iter().find(|(other, _)| other == jid).map(|(_, new)| *new);
        changed.unwrap_or(Some(*affiliation)) == Some(Affiliation::Owner)
    };
    let has_new_owner = changes.iter().any(|(_, new)| *new == Some(Affiliation::Owner));
    let loses_user = |(jid, new): &(BareJid, Option<Affiliation>)| {
        *jid == place.owner && *new != Some(Affiliation::Owner)
    };
    if !node.affiliations.iter().any(is_owner) && !has_new_owner
        || place.is_account() && changes.iter().any(loses_user)
    {
        return Err(Problem::NotAcceptable.into());
    }
    let store = cx.server.storage.pubsub();
    store.set_affiliations(&place.owner, &name, &changes, MAX_AFFILIATIONS).await?;
    cx.server.invalidate(&Invalidation::Nodes(place.owner.clone()));
    let whose: Vec<BareJid> = changes.into_iter().map(|(jid, _)| jid).collect();
    subscription::settle(cx, place, &name, Some(&whose)).await?;
    Ok(None)
}

fn written(jid: &BareJid, affiliation: Option<Affiliation>) -> Node {
    element("affiliation")
        .attr("jid", jid.as_str())
        .attr("affiliation", affiliation_word(affiliation))
}

/// Nodes that are listed, at most.
const MAX_LISTED: usize = 1000;
/// Affiliations at one node, at most.
const MAX_AFFILIATIONS: u32 = 1000;
