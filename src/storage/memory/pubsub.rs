//! Nodes of XEP-0060 in memory.

use async_trait::async_trait;
use bytes::Bytes;

use super::pubsub_node::StoredNode;
use super::pubsub_page::page;
use super::state::Owner;
use super::storage::MemoryStorage;
use crate::jid::BareJid;
use crate::storage::pubsub::{
    PUBSUB_AFFILIATIONS, PUBSUB_NODES, PUBSUB_SHARE, PUBSUB_SUBSCRIPTIONS, node_bytes,
};
use crate::storage::{
    Affiliation, ItemPage, ItemQuery, LAST_PAYLOAD, LastItem, LastItemPage, NodeSubscription,
    NodeSummary, PubSubItem, PubSubNode, PubSubStore, Publication, PublishAt, Published, Result,
    StorageError,
};

impl Owner {
    fn publish(
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

#[async_trait]
impl PubSubStore for MemoryStorage {
    async fn node(&self, owner: &BareJid, name: &str) -> Result<Option<PubSubNode>> {
        self.of_node(owner, name, |node| node.loaded())
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
        let nodes = nodes.filter(|node| after.is_none_or(|after| node.node.name.as_str() > after));
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

    async fn delete(&self, owner: &BareJid, name: &str) -> Result<bool> {
        let mut state = self.state()?;
        let Some(owner) = state.owners.get_mut(owner) else { return Ok(false) };
        owner.room = owner.room.freed();
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
