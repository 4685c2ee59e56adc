//! What owners do with a node: configure it, delete it, remove all its items (XEP-0060 §8.2 to §8.5).

use super::access::Audience;
use super::place::Place;
use super::request::{NAME, Request, submitted};
use super::subscription;
use crate::host::{Cx, IqReply};
use crate::ns;
use crate::payload::data_form::FormKind;
use crate::payload::node_config::{ConfigError, NODE_CONFIG, NodeConfig};
use crate::pubsub::error::Problem;
use crate::xml::element;

/// The configuration of new nodes (§8.3), of which all are leaves.
pub(super) fn default(place: &Place, request: &Request<'_>) -> IqReply {
    if request.action.attr("type").is_some_and(|kind| kind != "leaf") {
        return Err(Problem::Unsupported("collections").into());
    }
    let form = place.default_config().to_form(FormKind::Form).to_node();
    Ok(Some(element("pubsub").ns(ns::PUBSUB_OWNER).child(element("default").child(form))))
}

/// The configuration of a node (§8.2.2).
pub(super) async fn get(cx: &Cx<'_>, place: &Place, request: &Request<'_>) -> IqReply {
    let name = request.node()?;
    let (_, config) = place.own_node(cx, request.from, &name).await?;
    let form = config.to_form(FormKind::Form).to_node();
    let configure = element("configure").attr("node", &name).child(form);
    Ok(Some(element("pubsub").ns(ns::PUBSUB_OWNER).child(configure)))
}

/// Sets the configuration (§8.2.4).
pub(super) async fn set(cx: &mut Cx<'_>, place: &Place, request: &Request<'_>) -> IqReply {
    let name = request.node()?;
    let (node, mut config) = place.own_node(cx, request.from, &name).await?;
    let (form, is_cancelled) =
        submitted(&request.action, NODE_CONFIG)?.ok_or(Problem::Malformed)?;
    if !is_cancelled {
        config.apply(&form).map_err(|error| match error {
            // A node that exists does not become another kind (§8.2.5.2).
            ConfigError::Collection => Problem::NotAcceptable,
            other => other.into(),
        })?;
        let old = NodeConfig::from_text(&node.config);
        let who = |config: &NodeConfig| {
            (config.access_model, config.subscribe, config.roster_groups_allowed.clone())
        };
        let is_other = who(&old) != who(&config);
        let audience = match is_other {
            true => Some(Audience::of(cx, place, &node, &old).await?),
            false => None,
        };
        place.nodes.configure(cx, node, config, NAME).await?;
        if let Some(audience) = audience {
            subscription::settle(cx, place, &name, None).await?;
            audience.welcome(cx, place, &name).await?;
        }
    }
    Ok(None)
}

/// Deletes a node (§8.4).
pub(super) async fn delete(cx: &mut Cx<'_>, place: &Place, request: &Request<'_>) -> IqReply {
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
    if !config.persist_items {
        return Err(Problem::NotPersistent.into());
    }
    place.nodes.purge(cx, &name, NAME).await?;
    Ok(None)
}
