//! The limits for XML from other servers.

use crate::config::Config;
use crate::xml::Limits;

/// The limits before a server has proven a domain.
pub(super) fn before_auth(config: &Config) -> Limits {
    let after = of_servers(config);
    let nodes = after.nodes.min(NODES_BEFORE_AUTH);
    Limits { bytes: config.limits.stanza_before_auth, nodes, ..after }
}

/// The limits once a domain is proven.
pub(super) fn of_servers(config: &Config) -> Limits {
    let limits = &config.limits;
    Limits {
        bytes: config.s2s.stanza,
        depth: limits.depth,
        attributes: limits.attributes,
        nodes: limits.nodes,
    }
}

/// Elements, attributes and texts: enough for a stream header, features and keys.
const NODES_BEFORE_AUTH: usize = 256;
