//! Where a request goes: the account or the service whose nodes it is about, and who the sender is there.

use crate::host::{AccountNodes, Cx, ServerState, block_list, contact_list};
use crate::jid::{BareJid, Jid};
use crate::payload::datetime::Timestamp;
use crate::payload::node_config::{AccessModel, NodeConfig};
use crate::pubsub::error::Problem;
use crate::pubsub::rights::Entity;
use crate::stanza::StanzaError;
use crate::storage::{self, Affiliation, ItemQuery, PubSubNode, Which};

/// An account or a service with its nodes.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) owner: BareJid,
    pub(super) nodes: AccountNodes,
}

impl Place {
    /// The one with this address.
    pub(super) fn of(owner: BareJid) -> Self {
        Self { nodes: AccountNodes::of(&owner), owner }
    }

    /// Whether it is an account, and not a service.
    pub(super) fn is_account(&self) -> bool {
        self.owner.local().is_some()
    }

    /// The configuration of new nodes.
    pub(super) fn default_config(&self) -> NodeConfig {
        if self.is_account() { NodeConfig::default() } else { NodeConfig::of_service() }
    }

    /// The configuration of a new node of this name.
    pub(super) fn default_config_of(&self, name: &str) -> NodeConfig {
        if self.is_account() { NodeConfig::of_account(name) } else { self.default_config() }
    }

    /// Whether it is this user's account.
    pub(super) fn is_of(&self, from: &Jid) -> bool {
        from.bare_str() == self.owner.as_str()
    }

    /// A node that exists.
    pub(super) async fn node(
        &self,
        cx: &Cx<'_>,
        name: &str,
    ) -> Result<(PubSubNode, NodeConfig), StanzaError> {
        let found = self.nodes.find(cx.server, name).await?;
        found.ok_or_else(|| Problem::NotFound.into())
    }

    /// A node that exists, for one of its owners.
    pub(super) async fn own_node(
        &self,
        cx: &Cx<'_>,
        from: &Jid,
        name: &str,
    ) -> Result<(PubSubNode, NodeConfig), StanzaError> {
        // Others than the user do not learn which nodes, and which accounts, there are.
        let hidden = if self.is_account() { Problem::Forbidden } else { Problem::NotFound };
        match self.nodes.find(cx.server, name).await? {
            Some(found) if self.affiliation(from, &found.0) == Some(Affiliation::Owner) => {
                Ok(found)
            }
            Some(_) => Err(Problem::Forbidden.into()),
            None if self.is_of(from) => Err(Problem::NotFound.into()),
            None => Err(hidden.into()),
        }
    }

    /// The names of all nodes, in their order.
    pub(super) async fn names(&self, server: &ServerState) -> storage::Result<Vec<String>> {
        let (store, mut names) = (server.storage.pubsub(), Vec::<String>::new());
        loop {
            let after = names.last().map(String::as_str);
            let some = store.nodes(&self.owner, after, AT_ONCE).await?;
            let is_last = some.len() < AT_ONCE;
            names.extend(some.into_iter().map(|node| node.name));
            if is_last {
                return Ok(names);
            }
        }
    }

    /// The affiliation of an entity. A user owns all nodes of the account.
    pub(super) fn affiliation(&self, entity: &Jid, node: &PubSubNode) -> Option<Affiliation> {
        if self.is_account() && self.is_of(entity) {
            return Some(Affiliation::Owner);
        }
        let is_entity = |(jid, _): &&(BareJid, Affiliation)| jid.as_str() == entity.bare_str();
        node.affiliations.iter().find(is_entity).map(|(_, affiliation)| *affiliation)
    }

    /// The owners of a node: of an account, its user.
    pub(super) fn owners(&self, node: &PubSubNode) -> Vec<BareJid> {
        if self.is_account() {
            return vec![self.owner.clone()];
        }
        let is_owner =
            |(_, affiliation): &&(BareJid, Affiliation)| *affiliation == Affiliation::Owner;
        node.affiliations.iter().filter(is_owner).map(|(jid, _)| jid.clone()).collect()
    }

    /// Who has published these items, as far as they are there and were published at this moment or later.
    pub(super) async fn publishers(
        &self,
        server: &ServerState,
        name: &str,
        ids: &[String],
        since: Option<Timestamp>,
    ) -> storage::Result<Vec<Jid>> {
        let (which, max) = (Which::Ids(ids), ids.len());
        let query = ItemQuery { which, max, max_bytes: usize::MAX, since, payloads: false };
        let page = server.storage.pubsub().items(&self.owner, name, query).await?;
        let items = page.unwrap_or_default().items;
        Ok(items.into_iter().map(|item| item.publisher).collect())
    }

    /// What is known of an entity at a node. The rosters of the owners are read only if the access model needs
    /// them.
    pub(super) async fn entity(
        &self,
        server: &ServerState,
        jid: &Jid,
        node: &PubSubNode,
        config: &NodeConfig,
    ) -> storage::Result<Entity> {
        let own = || node.subscriptions.iter().filter(|s| s.jid.bare_str() == jid.bare_str());
        let mut entity = Entity {
            affiliation: self.affiliation(jid, node),
            is_subscribed: own().any(|subscription| !subscription.is_pending),
            is_pending: own().any(|subscription| subscription.is_pending),
            ..Entity::default()
        };
        let needs_roster =
            matches!(config.access_model, AccessModel::Presence | AccessModel::Roster);
        if entity.affiliation.is_none() && needs_roster {
            let contact: Jid = jid.to_bare().into();
            for owner in self.owners(node) {
                let Some(item) = contact_list::find(server, &owner, &contact).await? else {
                    continue;
                };
                let blocked = block_list::of(server, &owner).await?;
                if block_list::keeps_out(&blocked, &owner, jid) {
                    continue;
                }
                let is_named = |group: &String| config.roster_groups_allowed.contains(group);
                entity.sees_presence |= item.subscription.is_from();
                entity.is_in_group |= item.listed && item.groups.iter().any(is_named);
            }
        }
        Ok(entity)
    }
}

/// Nodes that are read at once.
const AT_ONCE: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Parts, Registry};
    use crate::storage::{Publication, PublishAt};

    #[tokio::test]
    async fn all_nodes_are_named_however_many_there_are() {
        let parts = Parts::for_tests(&["localhost"]);
        let server = ServerState::new(parts, &[], Registry::default().take_shared()).unwrap();
        let place = Place::of(BareJid::parse("romeo@localhost").unwrap());
        let config = place.default_config();
        let wanted: Vec<_> = (0..2 * AT_ONCE + 1).map(|n| format!("n{n:05}")).collect();
        for name in &wanted {
            let node = place.nodes.new_node(&server, name, &config).node;
            let publication = Publication {
                at: PublishAt::New(node),
                max_nodes: u32::MAX,
                share: None,
                items: Vec::new(),
                keep: 0,
                expire_before: None,
                within_quota: false,
            };
            server.storage.pubsub().publish(&place.owner, name, publication).await.unwrap();
        }
        assert_eq!(place.names(&server).await.unwrap(), wanted);
    }
}
