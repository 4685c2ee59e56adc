//! Nodes with their items, as they are stored (see `pubsub.rs`), and what is published
//! at them.

use bytes::Bytes;

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
    /// The names of the collections in which it is, in their order. A node that is made is in none.
    pub parents: Vec<String>,
    /// The owner has the root of all nodes, [`ROOT_NODE`]: it is made when somebody subscribes to it.
    pub has_root: bool,
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
    /// It is in a collection.
    pub is_child: bool,
    /// How many items it has.
    pub items: u64,
}

/// Puts a node into a collection, or takes it out (XEP-0248).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NodeLink {
    /// The node.
    pub child: String,
    /// The collection.
    pub parent: String,
    /// It is put into it. `None`: it is taken out. Else: so many children may the collection have.
    pub max_children: Option<u32>,
}

/// Bounds of all collections of an owner.
#[derive(Clone, Copy, Debug)]
pub struct GraphBounds {
    /// A node is in so many collections.
    pub parents: u32,
    /// Above a node are so many collections, if it is counted when the node is put into one.
    pub above: u32,
}

/// Why nodes are not put into collections.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LinkProblem {
    /// A collection would contain itself.
    Cycle,
    /// There is no such node.
    NotFound,
    /// There would be too many children, parents, or collections above the node.
    TooMany,
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

/// The node at which something is published. The rights of the publisher were checked against it.
#[derive(Clone, Debug)]
pub enum PublishAt {
    /// One that exists, created at this moment: not another one that has taken its place.
    Existing(Timestamp),
    /// One that does not exist, and is made; its `items` do not matter.
    New(PubSubNode),
}

/// What one creator of nodes may have at a service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CreatorShare {
    /// The creator of the node at which is published.
    pub creator: BareJid,
    /// Nodes.
    pub nodes: u32,
    /// Bytes of the nodes with their items.
    pub bytes: u64,
}

/// Items that are to be published, with what the node does with the older ones.
#[derive(Clone, Debug)]
pub struct Publication {
    /// The node.
    pub at: PublishAt,
    /// At most so many nodes may the owner have after that.
    pub max_nodes: u32,
    /// What the creator of the node may have at this owner in all; `None`: no bound.
    pub share: Option<CreatorShare>,
    /// The items, oldest first. An identifier appears once. None, if the node is only to be created.
    pub items: Vec<PubSubItem>,
    /// How many items stay: the newest ones.
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

/// The name of the root, which all nodes without a parent are below (XEP-0248 §8.1). No other node has it, and
/// lists of nodes do not contain it.
pub const ROOT_NODE: &str = "";

impl PubSubItem {
    /// Bytes that count for the quota of the owner.
    pub(super) fn bytes(&self) -> u64 {
        (self.id.len() + self.publisher.as_str().len() + self.payload.len()) as u64
    }
}

impl CreatorShare {
    /// Whether something that grows by `more` bytes, and may be a new node, is beyond the share of a creator who
    /// has so many nodes and bytes.
    pub(super) fn is_exceeded(&self, is_new: bool, more: u64, nodes: u64, bytes: u64) -> bool {
        is_new && nodes >= u64::from(self.nodes) || bytes.saturating_add(more) > self.bytes
    }
}
