//! XEP-0115 and XEP-0390: the capabilities of the hosts themselves, in their stream features. The hash is that of what a host
//! tells of itself, so a client that checks it finds it right, also if it asks without a node.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::config::Config;
use crate::host::{AddressKind, Asked, Cx, Discovery, Registry, ServerState, SharedState};
use crate::payload::caps;
use crate::payload::disco::Info;
use crate::stanza::StanzaError;
use crate::xml::Node;

/// The nodes that stream features name. What they tell is the same for everybody (XEP-0115 §6.3).
pub(super) struct Capabilities;

#[async_trait]
impl Discovery for Capabilities {
    async fn info(&self, cx: &Cx<'_>, asked: Asked<'_>) -> Result<Option<Info>, StanzaError> {
        let Some(node) = asked.node else { return Ok(None) };
        let info = host_info(cx.server, cx.registry, asked.to.domain());
        Ok(hashes(&info).iter().any(|(own, _)| own == node).then_some(info))
    }
}

fn host_info(server: &ServerState, registry: &Registry, domain: &str) -> Info {
    registry.info_of_domain(AddressKind::Host, &server.config.load(), domain)
}

/// The nodes with the hashes of this, each with its element for stream features.
fn hashes(info: &Info) -> Vec<(String, Node)> {
    let hash = caps::hash(info);
    let mut found = vec![(format!("{NODE}#{hash}"), caps::caps(NODE, &hash))];
    if let Some(hash) = caps::hash_2(info) {
        found.push((caps::node_2(&hash), caps::caps_2(&hash)));
    }
    found
}

/// The elements that stream features carry (XEP-0115 §6.3, XEP-0390 §5.2), by host. They are computed once for each
/// configuration.
pub fn server_capabilities(
    server: &ServerState,
    registry: &Registry,
) -> Arc<FxHashMap<String, Vec<Node>>> {
    let config = server.config.load_full();
    let mut own = server.shared::<Own>().0.lock();
    if let Some(known) = own.as_ref().filter(|known| Arc::ptr_eq(&known.config, &config)) {
        return Arc::clone(&known.elements);
    }
    let of_host = |domain: &str| {
        let info = host_info(server, registry, domain);
        hashes(&info).into_iter().map(|(_, element)| element).collect()
    };
    let hosts = server.hosts().iter().map(|host| host.domain.to_string());
    let elements = Arc::new(hosts.map(|domain| (domain.clone(), of_host(&domain))).collect());
    *own = Some(Computed { config, elements: Arc::clone(&elements) });
    elements
}

/// What was computed last.
#[derive(Default)]
pub(super) struct Own(Mutex<Option<Computed>>);

struct Computed {
    /// For this configuration.
    config: Arc<Config>,
    /// By host.
    elements: Arc<FxHashMap<String, Vec<Node>>>,
}

impl SharedState for Own {}

/// Names this software (XEP-0115 §4).
const NODE: &str = "urn:waxwing";
