//! Last items of nodes of the service, for subscribers who come online (XEP-0060 §4.3). What accounts have is sent by
//! `last_item_sender.rs`.
//!
//! Users subscribe at the service of their own host as a rule: only this one is asked when they come online.

use std::sync::Arc;

use async_trait::async_trait;

use super::last_item_delivery::Deliveries;
use super::place::Place;
use super::service::PREFIX;
use super::{hearing, last_item_walk, last_items};
use crate::host::lifecycle::{Event, Listener};
use crate::host::{Cx, ServerState};
use crate::jid::{BareJid, Jid};
use crate::payload::node_config::{AccessModel, NodeConfig};
use crate::pubsub::options::Options;
use crate::pubsub::rights::Entity;
use crate::session::SessionRef;
use crate::stanza::StanzaError;
use crate::storage::{self, Affiliation, NodeSubscription};

/// Sends last items to subscribers of the service.
pub(super) struct OfService;

#[async_trait]
impl Listener for OfService {
    async fn on_event(&self, cx: &mut Cx<'_>, event: &Event<'_>) -> Result<(), StanzaError> {
        let Event::SessionAvailable { session, .. } = event else { return Ok(()) };
        let domain = format!("{PREFIX}.{}", session.jid().domain());
        let Ok(service) = BareJid::from_parts(None, &domain) else { return Ok(()) };
        let (store, user) = (cx.server.storage.pubsub(), session.jid().to_bare());
        let mut subscriptions = store.subscriptions_of(&service, &user).await?;
        subscriptions.retain(|(_, one)| is_for(one, session));
        subscriptions.dedup_by(|(one, _), (other, _)| one == other);
        subscriptions.truncate(MAX_NODES);
        if subscriptions.is_empty() {
            return Ok(());
        }
        let affiliations = store.affiliations_of(&service, &user).await?;
        let subscriber = Subscriber {
            place: Place::of(service),
            jid: user.into_jid(),
            session: (*session).clone(),
            affiliations,
        };
        let nodes = subscriptions.into_iter().map(|(name, _)| name).collect();
        cx.server.shared::<Deliveries>().spawn(|server| subscriber.send_all(server, nodes));
        Ok(())
    }
}

/// Whether the events of a subscription come to this session, which has become available.
fn is_for(subscription: &NodeSubscription, session: &SessionRef) -> bool {
    let options = Options::from_text(&subscription.options);
    let to = &subscription.jid;
    !subscription.is_pending
        && options.deliver
        && (to.is_bare() || to.as_str() == session.jid().as_str())
        && hearing::shows(session, &options)
}

/// A subscriber who has come online.
struct Subscriber {
    place: Place,
    jid: Jid,
    session: SessionRef,
    affiliations: Vec<(String, Affiliation)>,
}

impl Subscriber {
    /// Sends the last items of nodes, at the pace at which the client reads.
    async fn send_all(self, server: Arc<ServerState>, nodes: Vec<String>) {
        for name in nodes {
            last_item_walk::wait(&self.session, &server).await;
            if self.session.is_ending() || self.session.available().is_none() {
                return;
            }
            if let Err(error) = self.send(&server, &name).await {
                tracing::warn!(%error, "cannot read last items");
                return;
            }
        }
    }

    async fn send(&self, server: &ServerState, name: &str) -> storage::Result<()> {
        let found = server.storage.pubsub().summary(&self.place.owner, name).await?;
        let Some(node) = found.filter(|node| node.items > 0) else { return Ok(()) };
        let config = NodeConfig::from_text(&node.config);
        if !self.may_read(server, name, &config).await? {
            return Ok(());
        }
        let to = std::slice::from_ref(&self.session);
        last_items::to_sessions(server, &self.place, name, &config, to).await
    }

    /// The whole node is read only if the right to read it depends on rosters.
    async fn may_read(
        &self,
        server: &ServerState,
        name: &str,
        config: &NodeConfig,
    ) -> storage::Result<bool> {
        let known = self.affiliations.iter().find(|(node, _)| node == name);
        let affiliation = known.map(|(_, affiliation)| *affiliation);
        let by_roster = matches!(config.access_model, AccessModel::Presence | AccessModel::Roster);
        if affiliation.is_some() || !by_roster {
            let entity = Entity { affiliation, is_subscribed: true, ..Entity::default() };
            return Ok(entity.may_read(config).is_ok());
        }
        let found = self.place.nodes.find(server, name).await?;
        let Some((node, config)) = found else { return Ok(false) };
        let entity = self.place.entity(server, &self.jid, &node, &config).await?;
        Ok(entity.may_read(&config).is_ok())
    }
}

/// Nodes whose last items are sent, at most.
const MAX_NODES: usize = 64;
