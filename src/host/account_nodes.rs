//! Nodes of accounts and of services, for features: those that answer clients, and those that keep their data
//! in nodes of an account (bookmarks, avatars, cards).
//!
//! Each change of items passes here, and is told as [`Event::ItemsChanged`]: subscribers are notified, and features that keep
//! the same data in another form follow. Who may change what is checked by the callers.

use std::sync::Arc;

use bytes::Bytes;

use super::lifecycle::{self, Event};
use super::node_change::{Changed, NodeChange};
use super::target_node::{PUBLISH_ATTEMPTS, TargetNode, creator_share};
use super::{Cx, Invalidation, ServerState};
use crate::jid::BareJid;
use crate::payload::bookmarks;
use crate::payload::datetime::Timestamp;
use crate::payload::node_config::{NodeConfig, NodeFull};
use crate::storage::{
    self, Affiliation, ItemQuery, PubSubItem, PubSubNode, Publication, PublishAt, Published,
    StorageError, Which,
};

/// The nodes of one owner: an account, or a service by its domain.
#[derive(Clone, Debug)]
pub struct AccountNodes {
    owner: BareJid,
}

impl AccountNodes {
    /// The nodes of this owner.
    #[must_use]
    pub fn of(owner: &BareJid) -> Self {
        Self { owner: owner.clone() }
    }

    /// A node with its configuration, affiliations and subscriptions.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn find(
        &self,
        server: &ServerState,
        name: &str,
    ) -> storage::Result<Option<(PubSubNode, NodeConfig)>> {
        let node = server.storage.pubsub().node(&self.owner, name).await?;
        Ok(node.map(|node| {
            let config = NodeConfig::from_text(&node.config);
            (node, config)
        }))
    }

    /// Items of a node, at most `max`; none if there is no node.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn items(
        &self,
        server: &ServerState,
        name: &str,
        which: Which<'_>,
        max: usize,
    ) -> storage::Result<Vec<PubSubItem>> {
        let query = ItemQuery { which, max, max_bytes: usize::MAX, since: None, payloads: true };
        let page = server.storage.pubsub().items(&self.owner, name, query).await?;
        Ok(page.map_or_else(Vec::new, |page| page.items))
    }

    /// The last item of a node, if it has one.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn last(&self, on: &ServerState, name: &str) -> storage::Result<Option<PubSubItem>> {
        Ok(self.items(on, name, Which::Before(None), 1).await?.pop())
    }

    /// An item of the owner with this identifier and payload, published now.
    #[must_use]
    pub fn item(&self, server: &ServerState, id: &str, payload: Bytes) -> PubSubItem {
        let publisher = self.owner.clone().into_jid();
        PubSubItem { id: id.to_owned(), publisher, published: server.clock.now(), payload }
    }

    /// Publishes items, each identifier once. A node that does not exist is made with the configuration
    /// `default`; one that exists keeps its own.
    ///
    /// # Errors
    /// If the store fails, or the owner has no room for more.
    pub async fn publish(
        &self,
        cx: &mut Cx<'_>,
        name: &str,
        items: Vec<PubSubItem>,
        default: &NodeConfig,
        by: &'static str,
    ) -> storage::Result<()> {
        for _ in 0..PUBLISH_ATTEMPTS {
            let target = match self.find(cx.server, name).await? {
                Some((node, config)) => TargetNode { node, config, is_new: false },
                None => self.new_node(cx.server, name, default),
            };
            if self.publish_at(cx, target, items.clone(), by).await? {
                return Ok(());
            }
        }
        Err(StorageError::Conflict)
    }

    /// Publishes items at a node that was found, or that is made with this. `false`, and nothing is published, if
    /// somebody else has made or removed the node in the meantime: then the rights of the publisher must be
    /// checked again.
    ///
    /// # Errors
    /// As [`AccountNodes::publish`].
    pub async fn publish_at(
        &self,
        cx: &mut Cx<'_>,
        target: TargetNode,
        items: Vec<PubSubItem>,
        by: &'static str,
    ) -> storage::Result<bool> {
        let TargetNode { node, config, is_new } = target;
        let now = cx.server.clock.now().as_micros();
        let expire = config.item_expire.and_then(|s| i64::try_from(s).ok()?.checked_mul(1_000_000));
        let at = match is_new {
            true => PublishAt::New(node.clone()),
            false => PublishAt::Existing(node.created),
        };
        let publication = Publication {
            items: if config.persist_items { items.clone() } else { Vec::new() },
            keep: config.keep(),
            expire_before: expire.map(|age| Timestamp::from_micros(now.saturating_sub(age))),
            ..self.publication(cx, at, &node.creator)
        };
        let Some(done) = self.store(cx, &node.name, publication).await? else { return Ok(false) };
        let (is_new, dropped) = (done.created, done.dropped);
        let retracted = match config.publish_node_full {
            NodeFull::RetractOldest => dropped.clone(),
            NodeFull::DiscardOldest | NodeFull::Reject => Vec::new(),
        };
        let node = Arc::new(node);
        let published = Changed::Published { items, dropped, is_new };
        self.tell(cx, Arc::clone(&node), config.clone(), published, by).await;
        if !retracted.is_empty() {
            let gone = Changed::Retracted { ids: retracted, notify: true };
            self.tell(cx, node, config, gone, by).await;
        }
        Ok(true)
    }

    /// Makes a node without items. `false` if there is one of this name.
    ///
    /// # Errors
    /// As [`AccountNodes::publish`].
    pub async fn create(&self, cx: &mut Cx<'_>, node: PubSubNode) -> storage::Result<bool> {
        let (name, creator) = (node.name.clone(), node.creator.clone());
        let publication = self.publication(cx, PublishAt::New(node), &creator);
        let done = self.store(cx, &name, publication).await?;
        cx.server.invalidate(&Invalidation::Nodes(self.owner.clone()));
        Ok(done.is_some())
    }

    /// Removes items. Answers how many were there. `notify`: subscribers are told even if the configuration
    /// of the node does not say so.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn retract(
        &self,
        cx: &mut Cx<'_>,
        name: &str,
        ids: &[String],
        notify: bool,
        by: &'static str,
    ) -> storage::Result<usize> {
        let Some((node, config)) = self.find(cx.server, name).await? else { return Ok(0) };
        let ids = cx.server.storage.pubsub().retract(&self.owner, name, ids).await?;
        let count = ids.len();
        if count > 0 {
            let gone = Changed::Retracted { ids, notify };
            self.tell(cx, Arc::new(node), config, gone, by).await;
        }
        Ok(count)
    }

    /// Removes all items of a node. `false` if there is no node.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn purge(
        &self,
        cx: &mut Cx<'_>,
        name: &str,
        by: &'static str,
    ) -> storage::Result<bool> {
        let Some((node, config)) = self.find(cx.server, name).await? else { return Ok(false) };
        cx.server.storage.pubsub().purge(&self.owner, name).await?;
        self.tell(cx, Arc::new(node), config, Changed::Purged, by).await;
        Ok(true)
    }

    /// Removes a node with its items. `redirect`: where its users find another one. `false` if there is no
    /// node.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn delete(
        &self,
        cx: &mut Cx<'_>,
        name: &str,
        redirect: Option<String>,
        by: &'static str,
    ) -> storage::Result<bool> {
        let Some((node, config)) = self.find(cx.server, name).await? else { return Ok(false) };
        cx.server.storage.pubsub().delete(&self.owner, name).await?;
        self.tell(cx, Arc::new(node), config, Changed::Deleted(redirect), by).await;
        Ok(true)
    }

    /// Replaces the configuration of a node that was found.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn configure(
        &self,
        cx: &mut Cx<'_>,
        node: PubSubNode,
        config: NodeConfig,
        by: &'static str,
    ) -> storage::Result<()> {
        let keep = if config.persist_items { config.keep() } else { 0 };
        let store = cx.server.storage.pubsub();
        store.configure(&self.owner, &node.name, &config.to_text(), keep).await?;
        self.tell(cx, Arc::new(node), config, Changed::Configured, by).await;
        Ok(())
    }

    /// A node that does not exist yet, with the owner of the account as its creator.
    #[must_use]
    pub fn new_node(&self, server: &ServerState, name: &str, config: &NodeConfig) -> TargetNode {
        let node = PubSubNode {
            name: name.to_owned(),
            creator: self.owner.clone(),
            created: server.clock.now(),
            config: config.to_text(),
            affiliations: vec![(self.owner.clone(), Affiliation::Owner)],
            subscriptions: Vec::new(),
            parents: Vec::new(),
            has_root: false,
            items: 0,
        };
        TargetNode { node, config: config.clone(), is_new: true }
    }

    /// A publication of nothing.
    fn publication(&self, cx: &Cx<'_>, at: PublishAt, creator: &BareJid) -> Publication {
        let is_account = self.owner.local().is_some();
        Publication {
            at,
            max_nodes: cx.server.config.load().limits.nodes_of(is_account),
            share: (!is_account).then(|| creator_share(cx.server, creator)).flatten(),
            items: Vec::new(),
            keep: 0,
            expire_before: None,
            // A service has no quota: its nodes are bounded in number, and each creator has a share of the bytes.
            within_quota: is_account,
        }
    }

    async fn store(
        &self,
        cx: &Cx<'_>,
        name: &str,
        publication: Publication,
    ) -> storage::Result<Option<Published>> {
        let done = cx.server.storage.pubsub().publish(&self.owner, name, publication).await;
        done.inspect_err(|error| match error {
            StorageError::Limit(storage::PUBSUB_NODES) if self.owner.local().is_none() => {
                cx.server.budgets.kept.refused_node();
            }
            other => cx.server.count_refusal(other),
        })
    }

    async fn tell(
        &self,
        cx: &mut Cx<'_>,
        node: Arc<PubSubNode>,
        config: NodeConfig,
        what: Changed,
        by: &'static str,
    ) {
        cx.server.invalidate(&Invalidation::Nodes(self.owner.clone()));
        if node.name == bookmarks::NS {
            cx.server.invalidate(&Invalidation::Bookmarks(self.owner.clone()));
        }
        let change = NodeChange { owner: self.owner.clone(), node, config, what, by };
        lifecycle::tell(cx, Event::ItemsChanged { change: &change }).await;
    }
}
