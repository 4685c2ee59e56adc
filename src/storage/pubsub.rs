//! Nodes with their items: of accounts (XEP-0163), and of services (XEP-0060).
//!
//! The owner of a node is the bare address of an account, or the domain of a service. The store does not
//! know who may do what: that is decided in `src/pubsub/`, which also writes and reads configurations.

use async_trait::async_trait;
use bytes::Bytes;

use super::Result;
use crate::jid::{BareJid, Jid};
use crate::payload::datetime::Timestamp;

/// What an entity may do at a node (XEP-0060 §4.1). An entity without an affiliation has no row.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Affiliation {
    /// Everything.
    Owner,
    /// Publish, and read.
    Publisher,
    /// Publish, but neither read nor subscribe.
    PublishOnly,
    /// Read and subscribe, if the node is for members only.
    Member,
    /// Nothing.
    Outcast,
}

/// A subscription to a node (XEP-0060 §4.2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NodeSubscription {
    /// Its identifier, unique at the node.
    pub subid: String,
    /// The address to which events go.
    pub jid: Jid,
    /// An owner has to approve it first.
    pub is_pending: bool,
    /// The options, as the engine writes them; empty if none was set.
    pub options: String,
}

/// A node, with all but its items.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PubSubNode {
    /// The name, unique for its owner.
    pub name: String,
    /// The entity that created it.
    pub creator: BareJid,
    /// When it was created.
    pub created: Timestamp,
    /// The configuration, as the engine writes it.
    pub config: String,
    /// The affiliations, in the order of the addresses.
    pub affiliations: Vec<(BareJid, Affiliation)>,
    /// The subscriptions, in the order of their identifiers.
    pub subscriptions: Vec<NodeSubscription>,
    /// How many items it has.
    pub items: u64,
}

/// A node in a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NodeSummary {
    /// The name.
    pub name: String,
    /// The configuration, as the engine writes it.
    pub config: String,
    /// How many items it has.
    pub items: u64,
}

/// A published item.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PubSubItem {
    /// Its identifier, unique at the node.
    pub id: String,
    /// The entity that published it.
    pub publisher: Jid,
    /// When it was published.
    pub published: Timestamp,
    /// The payload, one element; empty if there is none.
    pub payload: Bytes,
}

/// Items that are to be published, with what the node does with the older ones.
#[derive(Clone, Debug)]
pub struct Publication {
    /// The node that is made if there is none; its `items` do not matter.
    pub create: Option<PubSubNode>,
    /// At most so many nodes may the owner have after that.
    pub max_nodes: u32,
    /// The items, oldest first. An identifier appears once. None, if the node is only to be created.
    pub items: Vec<PubSubItem>,
    /// So many items stay, the newest ones.
    pub keep: usize,
    /// Items that were published before this moment are dropped.
    pub expire_before: Option<Timestamp>,
    /// What is published counts for the quota of the owner, and is refused if there is no room.
    pub within_quota: bool,
}

/// What a publication has done.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Published {
    /// The node was made.
    pub created: bool,
    /// The identifiers of items that were dropped because there were too many or they were too old, oldest
    /// first. Those that were overwritten are not among them.
    pub dropped: Vec<String>,
}

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
}

/// Nodes with their items.
#[async_trait]
pub trait PubSubStore: Send + Sync {
    /// A node with its affiliations and subscriptions.
    async fn node(&self, owner: &BareJid, name: &str) -> Result<Option<PubSubNode>>;
    /// The nodes of an owner after a name, in the order of their names, at most so many.
    async fn nodes(
        &self,
        owner: &BareJid,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<NodeSummary>>;
    /// Publishes items, and makes the node if that is wanted and there is none. An item with the identifier
    /// of an older one takes its place, and becomes the newest. `None` if there is no node.
    ///
    /// # Errors
    /// `StorageError::Limit` if the owner has too many nodes, `StorageError::Quota` if there is no room.
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
    /// The last item of each node of these owners that has one, in the order of the nodes' names.
    async fn last_items(&self, owners: &[BareJid]) -> Result<Vec<LastItem>>;
    /// Removes items: answers the identifiers of those that were there.
    async fn retract(&self, owner: &BareJid, name: &str, ids: &[String]) -> Result<Vec<String>>;
    /// Removes all items of a node. `false` if there is no node.
    async fn purge(&self, owner: &BareJid, name: &str) -> Result<bool>;
    /// Removes a node with all that belongs to it. `false` if there is none.
    async fn delete(&self, owner: &BareJid, name: &str) -> Result<bool>;
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

impl PubSubItem {
    /// Bytes that count for the quota of the owner.
    pub(super) fn bytes(&self) -> u64 {
        (self.id.len() + self.publisher.as_str().len() + self.payload.len()) as u64
    }
}

/// Bytes of a node itself that count for the quota of the owner. They are not fewer than its rows occupy, so
/// that empty nodes use up the quota, too.
pub(super) fn node_bytes(name: &str, config: &str) -> u64 {
    (name.len() + config.len() + 64) as u64
}

/// The limit on the nodes of an owner, as [`StorageError::Limit`](super::StorageError::Limit) names it.
pub const PUBSUB_NODES: &str = "pubsub nodes";
/// The limit on the affiliations of a node.
pub(super) const PUBSUB_AFFILIATIONS: &str = "affiliations of a node";
/// The limit on the subscriptions of a node.
pub(super) const PUBSUB_SUBSCRIPTIONS: &str = "subscriptions of a node";
