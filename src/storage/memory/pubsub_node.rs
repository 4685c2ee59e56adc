//! A node of XEP-0060, as it is held in memory.

use std::collections::{BTreeMap, BTreeSet};

use crate::jid::BareJid;
use crate::storage::pubsub::node_bytes;
use crate::storage::{Affiliation, NodeSubscription, NodeSummary, PubSubItem, PubSubNode};

/// A node in memory.
#[derive(Debug)]
pub(super) struct StoredNode {
    pub(super) node: PubSubNode,
    pub(super) affiliations: BTreeMap<BareJid, Affiliation>,
    pub(super) subscriptions: BTreeMap<String, NodeSubscription>,
    /// The names of the collections in which it is.
    pub(super) parents: BTreeSet<String>,
    /// In the order of publication.
    pub(super) items: Vec<PubSubItem>,
}

impl StoredNode {
    pub(super) fn new(node: &PubSubNode) -> Self {
        Self {
            affiliations: node.affiliations.iter().cloned().collect(),
            subscriptions: node
                .subscriptions
                .iter()
                .map(|s| (s.subid.clone(), s.clone()))
                .collect(),
            node: node.clone(),
            parents: BTreeSet::new(),
            items: Vec::new(),
        }
    }

    /// Subscriptions that wait for an owner.
    pub(super) fn pending(&self) -> impl Iterator<Item = &NodeSubscription> {
        self.subscriptions.values().filter(|one| one.is_pending)
    }

    /// Whether it has subscriptions that this owner may approve.
    pub(super) fn waits_for(&self, owner: &BareJid) -> bool {
        self.affiliations.get(owner) == Some(&Affiliation::Owner) && self.pending().next().is_some()
    }

    /// Removes what an address was at this node. If it has created the node, another owner has from now on.
    pub(super) fn forget_entity(&mut self, jid: &BareJid) {
        self.affiliations.remove(jid);
        if self.node.creator == *jid {
            let owners = self.affiliations.iter().filter(|(_, is)| **is == Affiliation::Owner);
            if let Some(other) = owners.map(|(jid, _)| jid).min_by_key(|jid| jid.as_str()) {
                self.node.creator = other.clone();
            }
        }
        self.subscriptions.retain(|_, one| one.jid.bare_str() != jid.as_str());
    }

    pub(super) fn bytes(&self) -> u64 {
        let items: u64 = self.items.iter().map(PubSubItem::bytes).sum();
        node_bytes(&self.node.name, &self.node.config) + items
    }

    pub(super) fn summary(&self) -> NodeSummary {
        NodeSummary {
            name: self.node.name.clone(),
            config: self.node.config.clone(),
            is_child: !self.parents.is_empty(),
            items: self.items.len() as u64,
        }
    }

    pub(super) fn loaded(&self) -> PubSubNode {
        PubSubNode {
            affiliations: self.affiliations.iter().map(|(jid, is)| (jid.clone(), *is)).collect(),
            subscriptions: self.subscriptions.values().cloned().collect(),
            parents: self.parents.iter().cloned().collect(),
            items: self.items.len() as u64,
            ..self.node.clone()
        }
    }
}
