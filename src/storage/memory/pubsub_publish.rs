//! Publications in memory (XEP-0060 §7.1).

use super::pubsub_node::StoredNode;
use super::state::Owner;
use crate::storage::pubsub::{PUBSUB_NODES, PUBSUB_SHARE, node_bytes};
use crate::storage::{PubSubItem, Publication, PublishAt, Published, Result, StorageError};

impl Owner {
    pub(super) fn publish(
        &mut self,
        default: u64,
        name: &str,
        new: &Publication,
    ) -> Result<Option<Published>> {
        let made = match (self.nodes.get(name), &new.at) {
            (Some(node), PublishAt::Existing(created)) if node.node.created == *created => None,
            (Some(_), _) | (None, PublishAt::Existing(_)) => return Ok(None),
            (None, PublishAt::New(_)) if self.nodes.len() >= new.max_nodes as usize => {
                return Err(StorageError::Limit(PUBSUB_NODES));
            }
            (None, PublishAt::New(node)) => Some(StoredNode::new(node)),
        };
        let created = made.is_some();
        let Some(node) = made.as_ref().or(self.nodes.get(name)) else { return Ok(None) };
        let is_new = |item: &PubSubItem| new.items.iter().any(|one| one.id == item.id);
        let skipped = new.items.len().saturating_sub(new.keep);
        let mut stay: Vec<PubSubItem> = new.items[skipped..].iter().rev().cloned().collect();
        let mut dropped = Vec::new();
        for item in node.items.iter().rev().filter(|item| !is_new(item)) {
            let is_old = new.expire_before.is_some_and(|at| item.published < at);
            match !new.items.is_empty() && (is_old || stay.len() >= new.keep) {
                true => dropped.push(item.id.clone()),
                false => stay.push(item.clone()),
            }
        }
        stay.reverse();
        dropped.reverse();
        let before = if created { 0 } else { node.bytes() };
        let after = node_bytes(&node.node.name, &node.node.config)
            + stay.iter().map(PubSubItem::bytes).sum::<u64>();
        if let Some(share) = new.share.as_ref().filter(|_| after > before) {
            let own = self.nodes.values().filter(|node| node.node.creator == share.creator);
            let (nodes, bytes) =
                own.fold((0, 0), |(count, sum), node| (count + 1, sum + node.bytes()));
            if share.is_exceeded(created, after - before, nodes, bytes) {
                return Err(StorageError::Limit(PUBSUB_SHARE));
            }
        }
        self.change(default, before, after, new.within_quota)?;
        if let Some(made) = made {
            self.nodes.insert(name.to_owned(), made);
        }
        if let Some(node) = self.nodes.get_mut(name) {
            node.items = stay;
        }
        Ok(Some(Published { created, dropped }))
    }
}
