//! What owners do with a node: configure it, delete it, remove all its items (XEP-0060 §8.2 to §8.5).

use super::access::Audience;
use super::links::Changes;
use super::place::Place;
use super::request::{NAME, Request, submitted};
use super::{links, subscription};
use crate::host::{Cx, IqReply};
use crate::ns;
use crate::payload::data_form::FormKind;
use crate::payload::node_config::{CollectionConfig, Links, NODE_CONFIG, NodeConfig};
use crate::pubsub::error::Problem;
use crate::xml::element;

/// The configuration of new nodes (§8.3): leaves, or collections if these are asked for (XEP-0248 §7.3).
pub(super) fn default(place: &Place, request: &Request<'_>) -> IqReply {
    let mut config = place.default_config();
    match request.action.attr("type").as_deref() {
        None | Some("leaf") => {}
        Some("collection") => config.collection = Some(CollectionConfig::default()),
        Some(_) => return Err(Problem::NotAcceptable.into()),
    }
    let form = config.to_form(FormKind::Form, &Links::default()).to_node();
    Ok(Some(element("pubsub").ns(ns::PUBSUB_OWNER).child(element("default").child(form))))
}

/// The configuration of a node (§8.2.2).
pub(super) async fn get(cx: &Cx<'_>, place: &Place, request: &Request<'_>) -> IqReply {
    let name = request.node()?;
    let (node, config) = place.own_node(cx, request.from, &name).await?;
    let children = match config.is_collection() {
        true => Some(links::children(cx, place, &name).await?),
        false => None,
    };
    let links = Links { parents: Some(node.parents), children };
    let form = config.to_form(FormKind::Form, &links).to_node();
    let configure = element("configure").attr("node", &name).child(form);
    Ok(Some(element("pubsub").ns(ns::PUBSUB_OWNER).child(configure)))
}

/// Sets the configuration (§8.2.4).
///
/// DEPARTS: XEP-0248 §7.2.4 – a leaf does not become a collection either: it would lose its items, and nodes of accounts
/// hold data on which clients and features rely. One makes a new node.
pub(super) async fn set(cx: &mut Cx<'_>, place: &Place, request: &Request<'_>) -> IqReply {
    let name = request.node()?;
    let (node, mut config) = place.own_node(cx, request.from, &name).await?;
    let (form, is_cancelled) =
        submitted(&request.action, NODE_CONFIG)?.ok_or(Problem::Malformed)?;
    if !is_cancelled {
        config.apply(&form).map_err(Problem::from)?;
        let old = NodeConfig::from_text(&node.config);
        if config.is_collection() && !old.is_collection() {
            return Err(Problem::NotAcceptable.into());
        }
        let links = Links::of(&form);
        let changes = Changes::wanted(cx, place, request.from, (&node, &config), &links).await?;
        let who = |config: &NodeConfig| {
            (config.access_model, config.subscribe, config.roster_groups_allowed.clone())
        };
        let is_other = who(&old) != who(&config);
        let audience = match is_other {
            true => Some(Audience::of(cx, place, &node, &old).await?),
            false => None,
        };
        changes.make(cx, place).await?;
        place.nodes.configure(cx, node, config, NAME).await?;
        changes.tell(cx, place, None).await?;
        if let Some(audience) = audience {
            subscription::settle(cx, place, &name, None).await?;
            audience.welcome(cx, place, &name).await?;
        }
    }
    Ok(None)
}

/// Deletes a node (§8.4).
pub(super) async fn delete(cx: &mut Cx<'_>, place: &Place, request: &Request<'_>) -> IqReply {
    if request.action.attr("node").is_some_and(|name| name.is_empty()) {
        return Err(Problem::RootNode.into());
    }
    let name = request.node()?;
    place.own_node(cx, request.from, &name).await?;
    let redirect = request.action.child(ns::PUBSUB_OWNER, "redirect");
    let uri = redirect.and_then(|redirect| Some(redirect.attr("uri")?.into_owned()));
    place.nodes.delete(cx, &name, uri, NAME).await?;
    Ok(None)
}

/// Removes all items (§8.5).
pub(super) async fn purge(cx: &mut Cx<'_>, place: &Place, request: &Request<'_>) -> IqReply {
    let name = request.node()?;
    let (_, config) = place.own_node(cx, request.from, &name).await?;
    if config.is_collection() {
        return Err(Problem::Unsupported("purge-nodes").into());
    }
    if !config.persist_items {
        return Err(Problem::NotPersistent.into());
    }
    place.nodes.purge(cx, &name, NAME).await?;
    Ok(None)
}
