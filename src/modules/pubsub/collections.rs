//! Collections: requests that put nodes into them and take them out (XEP-0248 §7.5, §7.6), and the root (§8.1).

use super::links::{self, Changes, MAX_AT_ONCE};
use super::place::Place;
use super::request::Request;
use crate::host::{Cx, IqReply};
use crate::ns;
use crate::payload::node_config::{CollectionConfig, NodeConfig};
use crate::pubsub::error::Problem;
use crate::stanza::StanzaError;
use crate::storage::{Affiliation, PubSubNode, ROOT_NODE};

/// Puts nodes into a collection, or takes them out.
pub(super) async fn link(cx: &mut Cx<'_>, place: &Place, request: &Request<'_>) -> IqReply {
    let name = request.node()?;
    let mut changes = Changes::default();
    let mut count = 0;
    for link in request.action.children().filter(|child| child.ns() == ns::PUBSUB_OWNER) {
        let is_put = match link.name() {
            "associate" => true,
            "dissociate" => false,
            _ => continue,
        };
        count += 1;
        if count > MAX_AT_ONCE {
            return Err(Problem::NotAcceptable.into());
        }
        let child = link.attr("node").filter(|child| !child.is_empty());
        let child = child.ok_or(Problem::NodeidRequired)?;
        if is_put {
            let (node, _) = place.own_node(cx, request.from, &child).await?;
            let of = links::collection(cx, place, request.from, &name).await?;
            if !node.parents.contains(&name) {
                changes.put(&child, &name, &of);
            }
        } else {
            take(cx, place, request, (name.as_str(), &*child), &mut changes).await?;
        }
    }
    if count == 0 {
        return Err(Problem::Malformed.into());
    }
    changes.make(cx, place).await?;
    changes.tell(cx, place, None).await?;
    Ok(None)
}

/// Takes a node out, for an owner of the collection or of the node (XEP-0248 §7.6.3).
async fn take(
    cx: &Cx<'_>,
    place: &Place,
    request: &Request<'_>,
    (name, child): (&str, &str),
    changes: &mut Changes,
) -> Result<(), StanzaError> {
    let found = place.nodes.find(cx.server, name).await?;
    let affiliation = found.as_ref().and_then(|(node, _)| place.affiliation(request.from, node));
    let node = match affiliation {
        Some(Affiliation::Owner) => place.node(cx, child).await?.0,
        _ => place.own_node(cx, request.from, child).await?.0,
    };
    if found.is_none() {
        return Err(Problem::NotFound.into());
    }
    if !node.parents.iter().any(|parent| parent == name) {
        return Err(Problem::Malformed.into());
    }
    changes.take(child, name);
    Ok(())
}

/// The root of all nodes, as it is, or as it will be once somebody subscribes to it. At a service everybody may; of an
/// account, whoever sees the user's presence. Its subscribers hear of nodes that they may read.
pub(super) async fn root(
    cx: &Cx<'_>,
    place: &Place,
) -> Result<(PubSubNode, NodeConfig), StanzaError> {
    if let Some(found) = place.nodes.find(cx.server, ROOT_NODE).await? {
        return Ok(found);
    }
    let config =
        NodeConfig { collection: Some(CollectionConfig::default()), ..place.default_config() };
    Ok((place.nodes.new_node(cx.server, ROOT_NODE, &config).node, config))
}
