//! Nodes with their items: of accounts (XEP-0163), and of services (XEP-0060).
//!
//! The owner of a node is the bare address of an account, or the domain of a service. The store does not
//! know who may do what: that is decided in `src/pubsub/`, which also writes and reads configurations.

use async_trait::async_trait;

use super::Result;
use super::pubsub_node::{
    Affiliation, GraphBounds, LinkProblem, NodeLink, NodeSubscription, NodeSummary, PubSubItem,
    PubSubNode, Publication, Published,
};
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;

/// Which items are wanted. They come in the order of their publication (XEP-0060 §12.18), but for
/// [`Which::Ids`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Which<'a> {
    /// Those with these identifiers, in this order; unknown ones are left out.
    Ids(&'a [String]),
    /// The first after this one; of all items, if it is `None`.
    After(Option<&'a str>),
    /// The last before this one; of all items, if it is `None`.
    Before(Option<&'a str>),
    /// Those from this index, counted from 0.
    From(u64),
}

/// A question for items.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ItemQuery<'a> {
    /// Which.
    pub which: Which<'a>,
    /// At most so many.
    pub max: usize,
    /// At most about so many bytes, but one item at least.
    pub max_bytes: usize,
    /// Only those that were published at this moment or later.
    pub since: Option<Timestamp>,
    /// Without it, the payloads are empty: they are not read, and do not count as bytes.
    pub payloads: bool,
}

/// An answer to [`ItemQuery`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ItemPage {
    /// The items.
    pub items: Vec<PubSubItem>,
    /// The index of the first of them, counted from 0. 0 for [`Which::Ids`].
    pub index: u64,
    /// How many items the node has.
    pub count: u64,
}

/// The last item of a node, with what decides who is sent it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LastItem {
    /// The owner.
    pub owner: BareJid,
    /// The name of the node.
    pub node: String,
    /// The configuration of the node, as the engine writes it.
    pub config: String,
    /// How many affiliations the node has.
    pub affiliations: u64,
    /// The item.
    pub item: PubSubItem,
    /// The item has its payload. It has none if that is too long.
    pub is_whole: bool,
}

/// The last items of some accounts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LastItemPage {
    /// The items, by owner, in the order of the nodes' names.
    pub items: Vec<LastItem>,
    /// Of how many owners, counted from the first, these are all items.
    pub owners: usize,
}

/// Nodes with their items.
#[async_trait]
pub trait PubSubStore: Send + Sync {
    /// A node with its affiliations and subscriptions.
    async fn node(&self, owner: &BareJid, name: &str) -> Result<Option<PubSubNode>>;
    /// A node, without its affiliations and subscriptions.
    async fn summary(&self, owner: &BareJid, name: &str) -> Result<Option<NodeSummary>>;
    /// The nodes of an owner after a name, in the order of their names, at most so many, without the root.
    async fn nodes(
        &self,
        owner: &BareJid,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<NodeSummary>>;
    /// Publishes items, and makes the node if that is wanted. An item with the identifier of an older one takes
    /// its place, and becomes the newest. `None`, and nothing is published, if the node is not there, or is
    /// another one, or if it is to be made and there is one of this name.
    ///
    /// # Errors
    /// `StorageError::Limit` if the owner has too many nodes, or the creator of the node has more than its share;
    /// `StorageError::Quota` if there is no room.
    async fn publish(
        &self,
        owner: &BareJid,
        name: &str,
        publication: Publication,
    ) -> Result<Option<Published>>;
    /// Replaces the configuration, and drops all but the newest `keep` items: answers their identifiers.
    /// `None` if there is no node.
    async fn configure(
        &self,
        owner: &BareJid,
        name: &str,
        config: &str,
        keep: usize,
    ) -> Result<Option<Vec<String>>>;
    /// Sets affiliations, or removes them. `false` if there is no node.
    ///
    /// # Errors
    /// `StorageError::Limit` if the node has more than `limit` after that.
    async fn set_affiliations(
        &self,
        owner: &BareJid,
        name: &str,
        changes: &[(BareJid, Option<Affiliation>)],
        limit: u32,
    ) -> Result<bool>;
    /// Stores a subscription in place of one with the same identifier. `false` if there is no node.
    ///
    /// # Errors
    /// `StorageError::Limit` if it is new and the node has `limit` already.
    async fn put_subscription(
        &self,
        owner: &BareJid,
        name: &str,
        subscription: &NodeSubscription,
        limit: u32,
    ) -> Result<bool>;
    /// Removes a subscription. `false` if there is none.
    async fn remove_subscription(&self, owner: &BareJid, name: &str, subid: &str) -> Result<bool>;
    /// The items of a node. An empty page if there is no node; `None` if there is no item with the
    /// identifier of [`Which::After`] or [`Which::Before`].
    async fn items(
        &self,
        owner: &BareJid,
        name: &str,
        query: ItemQuery<'_>,
    ) -> Result<Option<ItemPage>>;
    /// The identifiers of all items of a node, in their order, as they are at one moment. None if there is no node.
    async fn item_ids(&self, owner: &BareJid, name: &str) -> Result<Vec<String>>;
    /// The last item of each node of these owners that has one. `owners` are sorted; one of them is answered at
    /// least, and no further one when there are `max_bytes` of payloads and configurations. Payloads of more than
    /// [`LAST_PAYLOAD`] bytes are left out.
    async fn last_items(&self, owners: &[BareJid], max_bytes: usize) -> Result<LastItemPage>;
    /// Removes items: answers the identifiers of those that were there.
    async fn retract(&self, owner: &BareJid, name: &str, ids: &[String]) -> Result<Vec<String>>;
    /// Removes all items of a node. `false` if there is no node.
    async fn purge(&self, owner: &BareJid, name: &str) -> Result<bool>;
    /// Puts nodes into collections, and takes them out of others, in this order: all of them, or none. What is so
    /// already stays. The inner error says why not.
    async fn link(
        &self,
        owner: &BareJid,
        links: &[NodeLink],
        bounds: GraphBounds,
    ) -> Result<std::result::Result<(), LinkProblem>>;
    /// The nodes in a collection, in the order of their names, at most so many. `after`: those behind this name.
    async fn children(
        &self,
        owner: &BareJid,
        name: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<NodeSummary>>;
    /// The collections above a node with their distances, where 1 is its parents: the nearest first, then in the
    /// order of their names, at most so many. The root is not among them.
    async fn above(&self, owner: &BareJid, name: &str, limit: usize) -> Result<Vec<(String, u32)>>;
    /// Removes a node with all that belongs to it. What was in it, is in it no longer. `false` if there is none.
    async fn delete(&self, owner: &BareJid, name: &str) -> Result<bool>;
    /// The names of the nodes of an owner that nobody owns by an affiliation, at most so many.
    async fn ownerless(&self, owner: &BareJid, limit: usize) -> Result<Vec<String>>;
    /// The names of the nodes of an owner at which subscriptions are pending and this entity has the affiliation of an
    /// owner, in their order, at most so many.
    async fn pending_nodes(
        &self,
        owner: &BareJid,
        approver: &BareJid,
        limit: usize,
    ) -> Result<Vec<String>>;
    /// The pending subscriptions of a node, in the order of their identifiers, at most so many. `None` if there is no
    /// node.
    async fn pending(
        &self,
        owner: &BareJid,
        name: &str,
        limit: usize,
    ) -> Result<Option<Vec<NodeSubscription>>>;
    /// The affiliations of an entity at all nodes of an owner, in the order of the nodes' names.
    async fn affiliations_of(
        &self,
        owner: &BareJid,
        entity: &BareJid,
    ) -> Result<Vec<(String, Affiliation)>>;
    /// The subscriptions of an entity, with all its resources, at all nodes of an owner, in the order of the
    /// nodes' names.
    async fn subscriptions_of(
        &self,
        owner: &BareJid,
        entity: &BareJid,
    ) -> Result<Vec<(String, NodeSubscription)>>;
}

impl LastItem {
    /// Bytes that are read for it.
    pub(super) fn bytes(&self) -> usize {
        self.item.payload.len() + self.config.len()
    }
}

/// Bytes of a node itself that count for the quota of the owner. They are not fewer than its rows occupy, so
/// that empty nodes use up the quota, too.
pub(super) fn node_bytes(name: &str, config: &str) -> u64 {
    (name.len() + config.len() + 64) as u64
}

/// Levels of collections above a node that are looked at.
pub(super) const LEVELS: u32 = 16;
/// Bytes of the payload of a last item that is read with those of others. The payloads of nearly all kinds of
/// nodes but pictures are shorter.
pub const LAST_PAYLOAD: usize = 4096;
/// The limit on the nodes of an owner, as [`StorageError::Limit`](super::StorageError::Limit) names it.
pub const PUBSUB_NODES: &str = "pubsub nodes";
/// The limit on what one creator of nodes has at a service, as [`StorageError::Limit`](super::StorageError::Limit)
/// names it.
pub const PUBSUB_SHARE: &str = "nodes of one creator at a service";
/// The limit on the affiliations of a node.
pub(super) const PUBSUB_AFFILIATIONS: &str = "affiliations of a node";
/// The limit on the subscriptions of a node.
pub(super) const PUBSUB_SUBSCRIPTIONS: &str = "subscriptions of a node";
