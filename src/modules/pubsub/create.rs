//! Creating nodes (XEP-0060 §8.1).

use super::links::Changes;
use super::node_events;
use super::place::Place;
use super::request::{Request, submitted};
use crate::config::NodeCreators;
use crate::host::{Cx, IqReply, TargetNode};
use crate::jid::Jid;
use crate::ns;
use crate::payload::node_config::{Links, NODE_CONFIG, NodeConfig};
use crate::pubsub::error::Problem;
use crate::random::random_id;
use crate::session::SessionRef;
use crate::stanza::StanzaError;
use crate::storage::{Affiliation, PubSubNode};
use crate::xml::element;

/// Creates a node. One without a name gets one.
pub(super) async fn answer(cx: &mut Cx<'_>, place: &Place, request: &Request<'_>) -> IqReply {
    may_create(cx, place, request.from).await?;
    let wanted = request.maybe_node()?;
    let is_instant = wanted.is_none();
    let name = wanted.unwrap_or_else(|| random_id().to_string());
    let (mut config, mut links) = (place.default_config_of(&name), Links::default());
    if let Some(configure) = request.companion("configure")?
        && let Some((form, _)) = submitted(&configure, NODE_CONFIG)?
    {
        config.apply(&form).map_err(Problem::from)?;
        links = Links::of(&form);
    }
    if place.nodes.find(cx.server, &name).await?.is_some() {
        return Err(Problem::Exists.into());
    }
    let mut node = new_node(cx, place, request.from, &name, &config).node;
    let changes = Changes::wanted(cx, place, request.from, (&node, &config), &links).await?;
    if !place.nodes.create(cx, node.clone()).await? {
        return Err(Problem::Exists.into());
    }
    if let Err(error) = changes.make(cx, place).await {
        cx.server.storage.pubsub().delete(&place.owner, &name).await?;
        return Err(error);
    }
    if let Some((made, _)) = place.nodes.find(cx.server, &name).await? {
        node = made;
    }
    node_events::created(cx, place, &node, &config).await?;
    changes.tell(cx, place, Some(&name)).await?;
    let created = element("create").attr("node", &name);
    Ok(is_instant.then(|| element("pubsub").ns(ns::PUBSUB).child(created)))
}

/// Whether this entity may create nodes here.
///
/// # Errors
/// Why not. Whether the account exists is not told.
pub(super) async fn may_create(cx: &Cx<'_>, place: &Place, from: &Jid) -> Result<(), StanzaError> {
    if place.is_account() {
        return match place.is_of(from) {
            true => cx.must_have_account(&place.owner).await,
            false => Err(Problem::Forbidden.into()),
        };
    }
    let is_user = || {
        let client = cx.origin.session().filter(|session| !SessionRef::is_anonymous(session));
        client.is_some_and(|client| client.jid().domain() == cx.host.domain)
    };
    let may = match cx.server.config.load().pubsub.create {
        NodeCreators::Users => is_user(),
        NodeCreators::Admins => cx.is_of_admin().await?,
        NodeCreators::Nobody => false,
    };
    if may { Ok(()) } else { Err(Problem::Forbidden.into()) }
}

/// A node that does not exist yet. It belongs to its creator.
pub(super) fn new_node(
    cx: &Cx<'_>,
    place: &Place,
    from: &Jid,
    name: &str,
    config: &NodeConfig,
) -> TargetNode {
    let creator = from.to_bare();
    let new = place.nodes.new_node(cx.server, name, config);
    let affiliations = vec![(creator.clone(), Affiliation::Owner)];
    TargetNode { node: PubSubNode { creator, affiliations, ..new.node }, ..new }
}
