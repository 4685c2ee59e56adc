//! Nodes in the storage of the conversations: a publication may be slow, all else is passed on.

use async_trait::async_trait;
use waxwing::jid::BareJid;
use waxwing::storage::{
    Affiliation, GraphBounds, ItemPage, ItemQuery, LastItemPage, LinkProblem, NodeLink,
    NodeSubscription, NodeSummary, PubSubNode, PubSubStore, Publication, Published, Result,
};

use super::Faulty;

#[async_trait]
impl PubSubStore for Faulty {
    async fn node(&self, owner: &BareJid, name: &str) -> Result<Option<PubSubNode>> {
        self.inner().pubsub().node(owner, name).await
    }

    async fn summary(&self, owner: &BareJid, name: &str) -> Result<Option<NodeSummary>> {
        self.inner().pubsub().summary(owner, name).await
    }

    async fn nodes(
        &self,
        owner: &BareJid,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<NodeSummary>> {
        self.inner().pubsub().nodes(owner, after, limit).await
    }

    async fn publish(
        &self,
        owner: &BareJid,
        name: &str,
        publication: Publication,
    ) -> Result<Option<Published>> {
        self.for_publication().await.pubsub().publish(owner, name, publication).await
    }

    async fn configure(
        &self,
        owner: &BareJid,
        name: &str,
        config: &str,
        keep: usize,
    ) -> Result<Option<Vec<String>>> {
        self.inner().pubsub().configure(owner, name, config, keep).await
    }

    async fn set_affiliations(
        &self,
        owner: &BareJid,
        name: &str,
        changes: &[(BareJid, Option<Affiliation>)],
        limit: u32,
    ) -> Result<bool> {
        self.inner().pubsub().set_affiliations(owner, name, changes, limit).await
    }

    async fn put_subscription(
        &self,
        owner: &BareJid,
        name: &str,
        subscription: &NodeSubscription,
        limit: u32,
    ) -> Result<bool> {
        self.inner().pubsub().put_subscription(owner, name, subscription, limit).await
    }

    async fn remove_subscription(&self, owner: &BareJid, name: &str, subid: &str) -> Result<bool> {
        self.inner().pubsub().remove_subscription(owner, name, subid).await
    }

    async fn items(
        &self,
        owner: &BareJid,
        name: &str,
        query: ItemQuery<'_>,
    ) -> Result<Option<ItemPage>> {
        self.inner().pubsub().items(owner, name, query).await
    }

    async fn last_items(&self, owners: &[BareJid], max_bytes: usize) -> Result<LastItemPage> {
        self.inner().pubsub().last_items(owners, max_bytes).await
    }

    async fn item_ids(&self, owner: &BareJid, name: &str) -> Result<Vec<String>> {
        self.inner().pubsub().item_ids(owner, name).await
    }

    async fn retract(&self, owner: &BareJid, name: &str, ids: &[String]) -> Result<Vec<String>> {
        self.inner().pubsub().retract(owner, name, ids).await
    }

    async fn purge(&self, owner: &BareJid, name: &str) -> Result<bool> {
        self.inner().pubsub().purge(owner, name).await
    }

    async fn link(
        &self,
        owner: &BareJid,
        links: &[NodeLink],
        bounds: GraphBounds,
    ) -> Result<std::result::Result<(), LinkProblem>> {
        self.inner().pubsub().link(owner, links, bounds).await
    }

    async fn children(
        &self,
        owner: &BareJid,
        name: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<NodeSummary>> {
        self.inner().pubsub().children(owner, name, after, limit).await
    }

    async fn above(&self, owner: &BareJid, name: &str, limit: usize) -> Result<Vec<(String, u32)>> {
        self.inner().pubsub().above(owner, name, limit).await
    }

    async fn delete(&self, owner: &BareJid, name: &str) -> Result<bool> {
        self.inner().pubsub().delete(owner, name).await
    }

    async fn ownerless(&self, owner: &BareJid, limit: usize) -> Result<Vec<String>> {
        self.inner().pubsub().ownerless(owner, limit).await
    }

    async fn pending_nodes(
        &self,
        owner: &BareJid,
        approver: &BareJid,
        limit: usize,
    ) -> Result<Vec<String>> {
        self.inner().pubsub().pending_nodes(owner, approver, limit).await
    }

    async fn pending(
        &self,
        owner: &BareJid,
        name: &str,
        limit: usize,
    ) -> Result<Option<Vec<NodeSubscription>>> {
        self.inner().pubsub().pending(owner, name, limit).await
    }

    async fn affiliations_of(
        &self,
        owner: &BareJid,
        entity: &BareJid,
    ) -> Result<Vec<(String, Affiliation)>> {
        self.inner().pubsub().affiliations_of(owner, entity).await
    }

    async fn subscriptions_of(
        &self,
        owner: &BareJid,
        entity: &BareJid,
    ) -> Result<Vec<(String, NodeSubscription)>> {
        self.inner().pubsub().subscriptions_of(owner, entity).await
    }
}
