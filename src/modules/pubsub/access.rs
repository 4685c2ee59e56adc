//! What happens when users gain or lose the right to read a node. Interested clients that may read it from now on get
//! its last item (XEP-0060 §12.2); subscriptions of users who may no longer read it end (XEP-0163 §7.1).

use async_trait::async_trait;

use super::place::Place;
use super::{hearing, last_items, notify, subscription};
use crate::host::Cx;
use crate::host::lifecycle::{Event, Listener};
use crate::jid::BareJid;
use crate::payload::node_config::{AccessModel, NodeConfig};
use crate::session::SessionRef;
use crate::stanza::StanzaError;
use crate::storage::PubSubNode;

/// The clients that get the events of a node of an account without a subscription, before the node is changed.
pub(super) struct Audience(Vec<SessionRef>);

impl Audience {
    /// Those of this moment. At a service there are none.
    pub(super) async fn of(
        cx: &Cx<'_>,
        place: &Place,
        node: &PubSubNode,
        config: &NodeConfig,
    ) -> Result<Self, StanzaError> {
        Ok(Self(match place.is_account() {
            true => notify::interested(cx, place, node, config).await?,
            false => Vec::new(),
        }))
    }

    /// Sends the last item to the clients that get the events of the node only since the change.
    pub(super) async fn welcome(
        self,
        cx: &Cx<'_>,
        place: &Place,
        name: &str,
    ) -> Result<(), StanzaError> {
        if !place.is_account() {
            return Ok(());
        }
        let Some((node, config)) = place.nodes.find(cx.server, name).await? else { return Ok(()) };
        let mut now = notify::interested(cx, place, &node, &config).await?;
        now.retain(|session| !self.0.contains(session));
        Ok(last_items::to_sessions(cx.server, place, name, &config, &now).await?)
    }
}

/// Follows the rosters of users.
pub(super) struct OfContacts;

#[async_trait]
impl Listener for OfContacts {
    async fn on_event(&self, cx: &mut Cx<'_>, event: &Event<'_>) -> Result<(), StanzaError> {
        let Event::ContactChanged { user, contact, groups } = event else { return Ok(()) };
        let place = Place::of((*user).clone());
        let store = cx.server.storage.pubsub();
        let mut names: Vec<String> = Vec::new();
        for (name, _) in store.subscriptions_of(&place.owner, contact).await? {
            if names.last() != Some(&name) {
                names.push(name);
            }
        }
        let whose = [(*contact).clone()];
        for name in names {
            subscription::settle(cx, &place, &name, Some(&whose)).await?;
        }
        match groups {
            Some(before) => joined(cx, &place, contact, before).await,
            None => Ok(()),
        }
    }
}

/// Sends a contact the last items of nodes for the groups that it has come into.
async fn joined(
    cx: &Cx<'_>,
    place: &Place,
    contact: &BareJid,
    before: &[String],
) -> Result<(), StanzaError> {
    let mut sessions = cx.server.sessions.of(contact);
    sessions.retain(|one| one.interests().is_some_and(|interests| !interests.nodes().is_empty()));
    if sessions.is_empty() {
        return Ok(());
    }
    let jid = contact.clone().into_jid();
    for summary in cx.server.storage.pubsub().nodes(&place.owner, None, MAX_NODES).await? {
        let config = NodeConfig::from_text(&summary.config);
        let is_named = |group: &String| config.roster_groups_allowed.contains(group);
        if config.access_model != AccessModel::Roster || before.iter().any(is_named) {
            continue;
        }
        let mut wanting = sessions.clone();
        wanting.retain(|session| session.wants(&summary.name));
        if wanting.is_empty() {
            continue;
        }
        let found = place.nodes.find(cx.server, &summary.name).await?;
        if let Some((node, config)) = found
            && place.affiliation(&jid, &node).is_none()
            && hearing::may_hear(cx, place, &jid, &node, &config).await?
        {
            last_items::to_sessions(cx.server, place, &node.name, &config, &wanting).await?;
        }
    }
    Ok(())
}

/// Nodes that are looked at, at most.
const MAX_NODES: usize = 1000;
