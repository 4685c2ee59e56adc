//! XEP-0485: PubSub Server Information. If the operator wants it, each host tells programs that draw maps of the
//! network about itself, in a node of its service `pubsub.<host>`.
//!
//! The node belongs to the server: a node of this name that a user has made goes. The servers with which the host has
//! streams are named if they agree (`federation.rs`); this is renewed every ten minutes, if it has changed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::federation::{NS, Remotes};
use crate::host::{AccountNodes, Invalidation, ServerState, ServiceDomain};
use crate::payload::node_config::NodeConfig;
use crate::storage::{self, Publication, PublishAt};
use crate::xml::{Node, element};

/// Where the node of a host is (XEP-0485 §3).
pub(super) fn uri(host: &str) -> String {
    format!("xmpp:{SERVICE}.{host}?;node={NODE}")
}

/// Publishes what is to be told, and again what has changed, or takes it back.
pub(super) async fn run(server: Arc<ServerState>) {
    let is_wanted = server.config.load().pubsub.server_info;
    let (stopping, mut remotes) = (server.tasks.stopping(), Remotes::default());
    loop {
        let round = tell(&server, is_wanted, &mut remotes);
        let is_over = stopping.run_until_cancelled(round).await.is_none();
        if is_over || !is_wanted || timeout(PAUSE, stopping.cancelled()).await.is_ok() {
            return;
        }
    }
}

async fn tell(server: &ServerState, is_wanted: bool, remotes: &mut Remotes) {
    for service in server.services().iter().filter(|service| has_nodes(service)) {
        let done = match is_wanted {
            true => {
                let federation = remotes.of(server, &service.host.jid).await;
                publish(server, service, federation).await
            }
            false => withdraw(server, service).await,
        };
        if let Err(error) = done {
            tracing::error!(host = %service.host.domain, %error, "cannot publish about the server");
        }
    }
}

fn has_nodes(service: &ServiceDomain) -> bool {
    let prefix = service.domain.strip_suffix(&*service.host.domain);
    prefix.and_then(|prefix| prefix.strip_suffix('.')) == Some(SERVICE)
}

async fn publish(
    server: &ServerState,
    service: &ServiceDomain,
    federation: Option<Node>,
) -> storage::Result<()> {
    let owner = service.jid.to_bare();
    let (nodes, store) = (AccountNodes::of(&owner), server.storage.pubsub());
    let mut found = nodes.find(server, NODE).await?.map(|(node, _)| node);
    if found.as_ref().is_some_and(|node| node.creator != owner) {
        store.delete(&owner, NODE).await?;
        found = None;
    }
    let payload = Bytes::from(about(&service.host.domain, federation).to_bytes());
    if nodes.last(server, NODE).await?.is_some_and(|last| last.payload == payload) {
        return Ok(());
    }
    // XEP-0485 §5: open, with one item.
    let config = NodeConfig { max_items: Some(1), ..NodeConfig::of_service() };
    let at = match found {
        Some(node) => PublishAt::Existing(node.created),
        None => PublishAt::New(nodes.new_node(server, NODE, &config).node),
    };
    let publication = Publication {
        at,
        share: None,
        max_nodes: u32::MAX,
        items: vec![nodes.item(server, ITEM, payload)],
        keep: 1,
        expire_before: None,
        within_quota: false,
    };
    store.publish(&owner, NODE, publication).await?;
    server.invalidate(&Invalidation::Nodes(owner));
    Ok(())
}

async fn withdraw(server: &ServerState, service: &ServiceDomain) -> storage::Result<()> {
    let owner = service.jid.to_bare();
    let node = server.storage.pubsub().node(&owner, NODE).await?;
    if node.is_some_and(|node| node.creator == owner) {
        server.storage.pubsub().delete(&owner, NODE).await?;
        server.invalidate(&Invalidation::Nodes(owner));
    }
    Ok(())
}

/// XEP-0485 §4. Other hosts of this server are not told.
fn about(host: &str, federation: Option<Node>) -> Node {
    element("serverinfo").ns(NS).child(element("domain").attr("name", host).children(federation))
}

/// The time between two looks at the streams.
const PAUSE: Duration = Duration::from_secs(10 * 60);

/// The service whose node it is.
const SERVICE: &str = "pubsub";
const NODE: &str = "serverinfo";
const ITEM: &str = "current";
