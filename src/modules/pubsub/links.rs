//! Nodes in collections (XEP-0248 §7): who may put them there, and how the store and subscribers are told.

use super::node_events;
use super::place::Place;
use super::sources::MAX_ABOVE;
use crate::host::{Cx, Invalidation};
use crate::jid::Jid;
use crate::payload::node_config::{CollectionConfig, Links, NodeConfig};
use crate::pubsub::error::Problem;
use crate::stanza::StanzaError;
use crate::storage::{Affiliation, GraphBounds, LinkProblem, NodeLink, PubSubNode};

/// Changes of the collections in which nodes are, which their sender may make.
#[derive(Debug, Default)]
pub(super) struct Changes {
    links: Vec<NodeLink>,
}

impl Changes {
    /// What is missing until a node has the parents and the children that its owner wants.
    ///
    /// # Errors
    /// Why not (XEP-0248 §7.2.3). A collection takes nodes of those whom it allows, and only an owner of a node puts it
    /// somewhere; whoever owns one of both takes it out.
    pub(super) async fn wanted(
        cx: &Cx<'_>,
        place: &Place,
        from: &Jid,
        (node, config): (&PubSubNode, &NodeConfig),
        links: &Links,
    ) -> Result<Self, StanzaError> {
        let name = &node.name;
        let mut changes = Self::default();
        if let Some(parents) = &links.parents {
            let is_gone = |parent: &&String| !parents.contains(parent);
            node.parents.iter().filter(is_gone).for_each(|parent| changes.take(name, parent));
            let new: Vec<_> = parents.iter().filter(|one| !node.parents.contains(one)).collect();
            if new.len() > BOUNDS.parents as usize {
                return Err(Problem::TooManyNodes.into());
            }
            for parent in new {
                let of = collection(cx, place, from, parent).await?;
                changes.put(name, parent, &of);
            }
        }
        let Some(of) = &config.collection else {
            return match links.children.as_deref() {
                None | Some([]) => Ok(changes),
                Some(_) => Err(Problem::InvalidGraph.into()),
            };
        };
        let before = children(cx, place, name).await?;
        let wanted = links.children.as_ref().unwrap_or(&before);
        if wanted.len() > of.max_children() as usize {
            return Err(Problem::TooManyNodes.into());
        }
        let is_gone = |child: &&String| !wanted.contains(child);
        before.iter().filter(is_gone).for_each(|child| changes.take(child, name));
        let new: Vec<_> = wanted.iter().filter(|child| !before.contains(child)).collect();
        if new.len() > MAX_AT_ONCE {
            return Err(Problem::NotAcceptable.into());
        }
        for child in new {
            place.own_node(cx, from, child).await?;
            changes.put(child, name, of);
        }
        Ok(changes)
    }

    /// A node is put into a collection.
    pub(super) fn put(&mut self, child: &str, parent: &str, of: &CollectionConfig) {
        let (child, parent) = (child.to_owned(), parent.to_owned());
        self.links.push(NodeLink { child, parent, max_children: Some(of.max_children()) });
    }

    /// A node is taken out of a collection.
    pub(super) fn take(&mut self, child: &str, parent: &str) {
        let (child, parent) = (child.to_owned(), parent.to_owned());
        // What is taken out makes room for what is put in.
        self.links.insert(0, NodeLink { child, parent, max_children: None });
    }

    /// Makes them: all, or none.
    pub(super) async fn make(&self, cx: &Cx<'_>, place: &Place) -> Result<(), StanzaError> {
        if self.links.is_empty() {
            return Ok(());
        }
        let done = cx.server.storage.pubsub().link(&place.owner, &self.links, BOUNDS).await?;
        cx.server.invalidate(&Invalidation::Nodes(place.owner.clone()));
        done.map_err(|problem| match problem {
            LinkProblem::Cycle => Problem::InvalidGraph.into(),
            LinkProblem::NotFound => Problem::NotFound.into(),
            LinkProblem::TooMany => Problem::TooManyNodes.into(),
        })
    }

    /// Tells the subscribers of the collections, but for the links of a node that is new: its creation is told instead.
    pub(super) async fn tell(
        &self,
        cx: &mut Cx<'_>,
        place: &Place,
        new: Option<&str>,
    ) -> Result<(), StanzaError> {
        for link in self.links.iter().filter(|link| Some(link.child.as_str()) != new) {
            node_events::linked(cx, place, link).await?;
        }
        Ok(())
    }
}

/// A collection into which the sender may put nodes.
pub(super) async fn collection(
    cx: &Cx<'_>,
    place: &Place,
    from: &Jid,
    name: &str,
) -> Result<CollectionConfig, StanzaError> {
    if place.is_account() {
        // Others than the user do not learn which nodes there are.
        place.own_node(cx, from, name).await?;
    }
    let (node, config) = place.node(cx, name).await?;
    let Some(of) = config.collection else { return Err(Problem::InvalidGraph.into()) };
    let affiliation = place.affiliation(from, &node);
    let is_owner = affiliation == Some(Affiliation::Owner);
    let may = affiliation != Some(Affiliation::Outcast);
    match may && of.may_associate(&from.to_bare(), is_owner) {
        true => Ok(of),
        false => Err(Problem::Forbidden.into()),
    }
}

/// The names of the nodes in a collection.
pub(super) async fn children(
    cx: &Cx<'_>,
    place: &Place,
    name: &str,
) -> Result<Vec<String>, StanzaError> {
    let found = cx.server.storage.pubsub().children(&place.owner, name, None, usize::MAX).await?;
    Ok(found.into_iter().map(|child| child.name).collect())
}

/// A node is in so many collections, and below so many.
const BOUNDS: GraphBounds = GraphBounds { parents: 8, above: MAX_ABOVE as u32 };
/// Nodes that one request puts into a collection, at most.
pub(super) const MAX_AT_ONCE: usize = 100;
