//! The node at which something is published: one that was found, or one that is made with the first item.

use super::ServerState;
use crate::jid::BareJid;
use crate::payload::node_config::NodeConfig;
use crate::storage::{CreatorShare, PubSubNode};

/// A node at which something is published.
#[derive(Clone, Debug)]
pub struct TargetNode {
    /// The node.
    pub node: PubSubNode,
    /// Its configuration.
    pub config: NodeConfig,
    /// Whether it does not exist yet, and is made with the publication.
    pub is_new: bool,
}

/// How often we try to publish at a node that others make or remove at the same moment.
pub const PUBLISH_ATTEMPTS: u32 = 3;

/// What one creator of nodes may have at a service; `None` if there is no bound.
pub(super) fn creator_share(server: &ServerState, creator: &BareJid) -> Option<CreatorShare> {
    let config = server.config.load();
    let share = CreatorShare {
        creator: creator.clone(),
        nodes: config.limits.service_nodes_per_account,
        bytes: config.limits.service_bytes_per_account as u64,
    };
    (!server.budgets.is_exempt(creator)).then_some(share)
}
