//! Nodes of XEP-0060 in memory.

use async_trait::async_trait;
use bytes::Bytes;

use super::pubsub_link;
use super::pubsub_node::StoredNode;
use super::pubsub_page::page;
use super::storage::MemoryStorage;
use crate::jid::BareJid;
use crate::storage::pubsub::{PUBSUB_AFFILIATIONS, PUBSUB_SUBSCRIPTIONS};
use crate::storage::{
    Affiliation, GraphBounds, ItemPage, ItemQuery, LAST_PAYLOAD, LastItem, LastItemPage,
    LinkProblem, NodeLink, NodeSubscription, NodeSummary, PubSubNode, PubSubStore, Publication,
    PublishAt, Published, ROOT_NODE, Result, StorageError,
};

#[async_trait]
impl PubSubStore for MemoryStorage {
    async fn node(&self, owner: &BareJid, name: &str) -> Result<Option<PubSubNode>> {
        let has_root = self.of_node(owner, ROOT_NODE, |_| ())?.is_some();
        let node = self.of_node(owner, name, |node| node.loaded())?;
        Ok(node.map(|node| PubSubNode { has_root, ..node }))
    }

    async fn summary(&self, owner: &BareJid, name: &str) -> Result<Option<NodeSummary>> {
        self.of_node(owner, name, |node| node.summary())
    }

    async fn nodes(
        &self,
        owner: &BareJid,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<NodeSummary>> {
        let state = self.state()?;
        let nodes = state.owners.get(owner).into_iter().flat_map(|owner| owner.nodes.values());
        let after = after.unwrap_or(ROOT_NODE);
        let nodes = nodes.filter(|node| node.node.name.as_str() > after);
        Ok(nodes.take(limit).map(StoredNode::summary).collect())
    }

    async fn publish(
        &self,
        owner: &BareJid,
        name: &str,
        publication: Publication,
    ) -> Result<Option<Published>> {
        let mut state = self.state()?;
        let default = state.default_quota;
        if matches!(publication.at, PublishAt::Existing(_)) && !state.owners.contains_key(owner) {
            return Ok(None);
        }
        state.owner(owner).publish(default, name, &publication)
    }

    async fn configure(
        &self,
        owner: &BareJid,
        name: &str,
        config: &str,
        keep: usize,
    ) -> Result<Option<Vec<String>>> {
        self.of_node(owner, name, |node| {
            config.clone_into(&mut node.node.config);
            let excess = node.items.len().saturating_sub(keep);
            node.items.drain(..excess).map(|item| item.id).collect()
        })
    }

    async fn set_affiliations(
        &self,
        owner: &BareJid,
        name: &str,
        changes: &[(BareJid, Option<Affiliation>)],
        limit: u32,
    ) -> Result<bool> {
        let changed = self.of_node(owner, name, |node| {
            let mut all = node.affiliations.clone();
            for (jid, affiliation) in changes {
                match affiliation {
                    Some(affiliation) => drop(all.insert(jid.clone(), *affiliation)),
                    None => drop(all.remove(jid)),
                }
            }
            if all.len() > limit as usize && all.len() > node.affiliations.len() {
                return Err(StorageError::Limit(PUBSUB_AFFILIATIONS));
            }
            node.affiliations = all;
            Ok(())
        })?;
        changed.transpose().map(|changed| changed.is_some())
    }

    async fn put_subscription(
        &self,
        owner: &BareJid,
        name: &str,
        subscription: &NodeSubscription,
        limit: u32,
    ) -> Result<bool> {
        let changed = self.of_node(owner, name, |node| {
            let all = &mut node.subscriptions;
            if !all.contains_key(&subscription.subid) && all.len() >= limit as usize {
                return Err(StorageError::Limit(PUBSUB_SUBSCRIPTIONS));
            }
            all.insert(subscription.subid.clone(), subscription.clone());
            Ok(())
        })?;
        changed.transpose().map(|changed| changed.is_some())
    }

    async fn remove_subscription(&self, owner: &BareJid, name: &str, subid: &str) -> Result<bool> {
        let removed = self.of_node(owner, name, |node| node.subscriptions.remove(subid))?;
        Ok(removed.flatten().is_some())
    }

    async fn items(
        &self,
        owner: &BareJid,
        name: &str,
        query: ItemQuery<'_>,
    ) -> Result<Option<ItemPage>> {
        let page = self.of_node(owner, name, |node| page(&node.items, query))?;
        Ok(page.unwrap_or_else(|| Some(ItemPage::default())))
    }

    async fn item_ids(&self, owner: &BareJid, name: &str) -> Result<Vec<String>> {
        let ids = |node: &mut StoredNode| node.items.iter().map(|item| item.id.clone()).collect();
        Ok(self.of_node(owner, name, ids)?.unwrap_or_default())
    }

    async fn last_items(&self, owners: &[BareJid], max_bytes: usize) -> Result<LastItemPage> {
        let state = self.state()?;
        let last = |owner: &BareJid, node: &StoredNode| {
            let mut item = node.items.last()?.clone();
            let is_whole = item.payload.len() <= LAST_PAYLOAD;
            if !is_whole {
                item.payload = Bytes::new();
            }
            Some(LastItem {
                owner: owner.clone(),
                node: node.node.name.clone(),
                config: node.node.config.clone(),
                affiliations: node.affiliations.len() as u64,
                item,
                is_whole,
            })
        };
        let of = |jid| state.owners.get(jid).into_iter().flat_map(|owner| owner.nodes.values());
        let (mut page, mut bytes) = (LastItemPage::default(), 0);
        for jid in owners {
            if bytes >= max_bytes && page.owners > 0 {
                break;
            }
            let items: Vec<_> = of(jid).filter_map(|node| last(jid, node)).collect();
            bytes += items.iter().map(LastItem::bytes).sum::<usize>();
            page.items.extend(items);
            page.owners += 1;
        }
        Ok(page)
    }

    async fn retract(&self, owner: &BareJid, name: &str, ids: &[String]) -> Result<Vec<String>> {
        let gone = self.of_node(owner, name, |node| {
            let before: Vec<String> = node.items.iter().map(|item| item.id.clone()).collect();
            node.items.retain(|item| !ids.contains(&item.id));
            ids.iter().filter(|id| before.contains(id)).cloned().collect::<Vec<_>>()
        })?;
        Ok(gone.unwrap_or_default())
    }

    async fn purge(&self, owner: &BareJid, name: &str) -> Result<bool> {
        Ok(self.of_node(owner, name, |node| node.items.clear())?.is_some())
    }

    async fn link(
        &self,
        owner: &BareJid,
        links: &[NodeLink],
        bounds: GraphBounds,
    ) -> Result<std::result::Result<(), LinkProblem>> {
        let mut state = self.state()?;
        let Some(owner) = state.owners.get_mut(owner) else {
            return Ok(Err(LinkProblem::NotFound));
        };
        Ok(pubsub_link::link(&mut owner.nodes, links, bounds))
    }

    async fn children(
        &self,
        owner: &BareJid,
        name: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<NodeSummary>> {
        let state = self.state()?;
        let Some(owner) = state.owners.get(owner) else { return Ok(Vec::new()) };
        let children = pubsub_link::children(&owner.nodes, name);
        let children =
            children.filter(|child| child.node.name.as_str() > after.unwrap_or(ROOT_NODE));
        Ok(children.take(limit).map(StoredNode::summary).collect())
    }

    async fn above(&self, owner: &BareJid, name: &str, limit: usize) -> Result<Vec<(String, u32)>> {
        let state = self.state()?;
        let Some(owner) = state.owners.get(owner) else { return Ok(Vec::new()) };
        let mut above: Vec<_> = pubsub_link::above(&owner.nodes, name).into_iter().collect();
        above.sort_by_key(|(_, distance)| *distance);
        above.truncate(limit);
        Ok(above)
    }

    async fn delete(&self, owner: &BareJid, name: &str) -> Result<bool> {
        let mut state = self.state()?;
        let Some(owner) = state.owners.get_mut(owner) else { return Ok(false) };
        owner.room = owner.room.freed();
        for node in owner.nodes.values_mut() {
            node.parents.remove(name);
        }
        Ok(owner.nodes.remove(name).is_some())
    }

    async fn ownerless(&self, owner: &BareJid, limit: usize) -> Result<Vec<String>> {
        let state = self.state()?;
        let nodes = state.owners.get(owner).into_iter().flat_map(|owner| &owner.nodes);
        let is_ownerless = |(_, node): &(&String, &StoredNode)| {
            !node.affiliations.values().any(|affiliation| *affiliation == Affiliation::Owner)
        };
        Ok(nodes.filter(is_ownerless).map(|(name, _)| name.clone()).take(limit).collect())
    }

    async fn pending_nodes(
        &self,
        owner: &BareJid,
        approver: &BareJid,
        limit: usize,
    ) -> Result<Vec<String>> {
        let state = self.state()?;
        let nodes = state.owners.get(owner).into_iter().flat_map(|owner| &owner.nodes);
        let waiting = nodes.filter(|(_, node)| node.waits_for(approver));
        Ok(waiting.map(|(name, _)| name.clone()).take(limit).collect())
    }

    async fn pending(
        &self,
        owner: &BareJid,
        name: &str,
        limit: usize,
    ) -> Result<Option<Vec<NodeSubscription>>> {
        self.of_node(owner, name, |node| node.pending().take(limit).cloned().collect())
    }

    async fn affiliations_of(
        &self,
        owner: &BareJid,
        entity: &BareJid,
    ) -> Result<Vec<(String, Affiliation)>> {
        let state = self.state()?;
        let nodes = state.owners.get(owner).into_iter().flat_map(|owner| &owner.nodes);
        let of = |(name, node): (&String, &StoredNode)| {
            node.affiliations.get(entity).map(|affiliation| (name.clone(), *affiliation))
        };
        Ok(nodes.filter_map(of).collect())
    }

    async fn subscriptions_of(
        &self,
        owner: &BareJid,
        entity: &BareJid,
    ) -> Result<Vec<(String, NodeSubscription)>> {
        let state = self.state()?;
        let nodes = state.owners.get(owner).into_iter().flat_map(|owner| &owner.nodes);
        let all =
            nodes.flat_map(|(name, node)| node.subscriptions.values().map(move |s| (name, s)));
        let own = all.filter(|(_, s)| s.jid.bare_str() == entity.as_str());
        Ok(own.map(|(name, s)| (name.clone(), s.clone())).collect())
    }
}
