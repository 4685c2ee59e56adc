//! Nodes of XEP-0060 in collections, in memory (XEP-0248).

use std::collections::{BTreeMap, BTreeSet};

use super::pubsub_node::StoredNode;
use crate::storage::pubsub::LEVELS;
use crate::storage::{GraphBounds, LinkProblem, NodeLink};

type Nodes = BTreeMap<String, StoredNode>;

/// Puts nodes into collections, and takes them out of others: all, or none.
pub(super) fn link(
    nodes: &mut Nodes,
    links: &[NodeLink],
    bounds: GraphBounds,
) -> Result<(), LinkProblem> {
    let before: Vec<_> =
        nodes.iter().map(|(name, node)| (name.clone(), node.parents.clone())).collect();
    let done = links.iter().try_for_each(|one| link_one(nodes, one, bounds));
    if done.is_err() {
        for (name, parents) in before {
            if let Some(node) = nodes.get_mut(&name) {
                node.parents = parents;
            }
        }
    }
    done
}

fn link_one(nodes: &mut Nodes, link: &NodeLink, bounds: GraphBounds) -> Result<(), LinkProblem> {
    let over = above(nodes, &link.parent);
    let children = children(nodes, &link.parent).count();
    let under = above(nodes, &link.child);
    let is_there = nodes.contains_key(&link.parent);
    let node = nodes.get_mut(&link.child).filter(|_| is_there).ok_or(LinkProblem::NotFound)?;
    let Some(max_children) = link.max_children else {
        node.parents.remove(&link.parent);
        return Ok(());
    };
    if node.parents.contains(&link.parent) {
        return Ok(());
    }
    if link.child == link.parent || over.contains_key(&link.child) {
        return Err(LinkProblem::Cycle);
    }
    let mut all: BTreeSet<&String> = over.keys().chain(under.keys()).collect();
    all.insert(&link.parent);
    if node.parents.len() >= bounds.parents as usize
        || children >= max_children as usize
        || all.len() > bounds.above as usize
    {
        return Err(LinkProblem::TooMany);
    }
    node.parents.insert(link.parent.clone());
    Ok(())
}

/// The collections above a node, with their distances.
pub(super) fn above(nodes: &Nodes, name: &str) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    let mut level = vec![name.to_owned()];
    for distance in 1..=LEVELS {
        let parents = level.iter().filter_map(|name| nodes.get(name)).flat_map(|one| &one.parents);
        let next: BTreeSet<String> =
            parents.filter(|name| !found.contains_key(*name)).cloned().collect();
        found.extend(next.iter().map(|name| (name.clone(), distance)));
        level = next.into_iter().collect();
    }
    found
}

/// The nodes in a collection.
pub(super) fn children<'a>(
    nodes: &'a Nodes,
    name: &'a str,
) -> impl Iterator<Item = &'a StoredNode> {
    nodes.values().filter(move |node| node.parents.contains(name))
}
