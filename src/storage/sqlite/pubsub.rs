//! Nodes of XEP-0060 in SQLite. Publications are in `pubsub_publish.rs`, other changes of a node in `pubsub_change.rs`.

use async_trait::async_trait;
use sqlx::Connection as _;

use super::database::Database;
use super::pubsub_change::{ChangeNode, Todo};
use super::pubsub_link::Link;
use super::pubsub_page::page;
use super::pubsub_publish::Publish;
use crate::jid::BareJid;
use crate::storage::sql::{pubsub, pubsub_child, pubsub_entity, pubsub_item};
use crate::storage::{
    Affiliation, GraphBounds, ItemPage, ItemQuery, LastItemPage, LinkProblem, NodeLink,
    NodeSubscription, NodeSummary, PubSubNode, PubSubStore, Publication, Published, Result,
};

#[async_trait]
impl PubSubStore for Database {
    async fn node(&self, owner: &BareJid, name: &str) -> Result<Option<PubSubNode>> {
        pubsub::load(&mut *self.reader().await?, owner, name).await
    }

    async fn summary(&self, owner: &BareJid, name: &str) -> Result<Option<NodeSummary>> {
        pubsub::summary(&mut *self.reader().await?, owner, name).await
    }

    async fn nodes(
        &self,
        owner: &BareJid,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<NodeSummary>> {
        pubsub::list(&mut *self.reader().await?, owner, after, limit).await
    }

    async fn publish(
        &self,
        owner: &BareJid,
        name: &str,
        publication: Publication,
    ) -> Result<Option<Published>> {
        let (owner, name) = (owner.clone(), name.to_owned());
        self.writer.write(Publish { owner, name, publication }).await
    }

    async fn configure(
        &self,
        owner: &BareJid,
        name: &str,
        config: &str,
        keep: usize,
    ) -> Result<Option<Vec<String>>> {
        let todo = Todo::Configure(config.to_owned(), keep);
        Ok(self.change(owner, name, todo).await?)
    }

    async fn set_affiliations(
        &self,
        owner: &BareJid,
        name: &str,
        changes: &[(BareJid, Option<Affiliation>)],
        limit: u32,
    ) -> Result<bool> {
        let todo = Todo::Affiliations(changes.to_vec(), limit);
        Ok(self.change(owner, name, todo).await?.is_some())
    }

    async fn put_subscription(
        &self,
        owner: &BareJid,
        name: &str,
        subscription: &NodeSubscription,
        limit: u32,
    ) -> Result<bool> {
        let todo = Todo::Subscribe(subscription.clone(), limit);
        Ok(self.change(owner, name, todo).await?.is_some())
    }

    async fn remove_subscription(&self, owner: &BareJid, name: &str, subid: &str) -> Result<bool> {
        let gone = self.change(owner, name, Todo::Unsubscribe(subid.to_owned())).await?;
        Ok(gone.is_some_and(|gone| !gone.is_empty()))
    }

    async fn items(
        &self,
        owner: &BareJid,
        name: &str,
        query: ItemQuery<'_>,
    ) -> Result<Option<ItemPage>> {
        let mut reader = self.reader().await?;
        let mut on = reader.begin().await?;
        let Some(node) = pubsub::find(&mut on, owner, name).await? else {
            return Ok(Some(ItemPage::default()));
        };
        page(&mut on, node.number, query).await
    }

    async fn item_ids(&self, owner: &BareJid, name: &str) -> Result<Vec<String>> {
        let mut reader = self.reader().await?;
        let mut on = reader.begin().await?;
        let Some(node) = pubsub::find(&mut on, owner, name).await? else { return Ok(Vec::new()) };
        let items = pubsub_item::oldest(&mut on, node.number, usize::MAX).await?;
        Ok(items.into_iter().map(|item| item.id).collect())
    }

    async fn last_items(&self, owners: &[BareJid], max_bytes: usize) -> Result<LastItemPage> {
        pubsub_item::last_of(&mut *self.reader().await?, owners, max_bytes).await
    }

    async fn retract(&self, owner: &BareJid, name: &str, ids: &[String]) -> Result<Vec<String>> {
        let gone = self.change(owner, name, Todo::Retract(ids.to_vec())).await?;
        Ok(gone.unwrap_or_default())
    }

    async fn purge(&self, owner: &BareJid, name: &str) -> Result<bool> {
        Ok(self.change(owner, name, Todo::Purge).await?.is_some())
    }

    async fn link(
        &self,
        owner: &BareJid,
        links: &[NodeLink],
        bounds: GraphBounds,
    ) -> Result<std::result::Result<(), LinkProblem>> {
        let (owner, links) = (owner.clone(), links.to_vec());
        self.writer.write(Link { owner, links, bounds }).await
    }

    async fn children(
        &self,
        owner: &BareJid,
        name: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<NodeSummary>> {
        pubsub_child::children(&mut *self.reader().await?, owner, name, after, limit).await
    }

    async fn above(&self, owner: &BareJid, name: &str, limit: usize) -> Result<Vec<(String, u32)>> {
        let mut reader = self.reader().await?;
        let mut on = reader.begin().await?;
        let Some(node) = pubsub::find(&mut on, owner, name).await? else { return Ok(Vec::new()) };
        let above = pubsub_child::above(&mut on, node.number, limit).await?;
        Ok(above.into_iter().map(|(_, name, distance)| (name, distance)).collect())
    }

    async fn delete(&self, owner: &BareJid, name: &str) -> Result<bool> {
        Ok(self.change(owner, name, Todo::Delete).await?.is_some())
    }

    async fn ownerless(&self, owner: &BareJid, limit: usize) -> Result<Vec<String>> {
        pubsub_entity::ownerless(&mut *self.reader().await?, owner, limit).await
    }

    async fn pending_nodes(
        &self,
        owner: &BareJid,
        approver: &BareJid,
        limit: usize,
    ) -> Result<Vec<String>> {
        pubsub_entity::pending_nodes(&mut *self.reader().await?, owner, approver, limit).await
    }

    async fn pending(
        &self,
        owner: &BareJid,
        name: &str,
        limit: usize,
    ) -> Result<Option<Vec<NodeSubscription>>> {
        let mut reader = self.reader().await?;
        let mut on = reader.begin().await?;
        let Some(node) = pubsub::find(&mut on, owner, name).await? else { return Ok(None) };
        pubsub_entity::pending(&mut on, node.number, limit).await.map(Some)
    }

    async fn affiliations_of(
        &self,
        owner: &BareJid,
        entity: &BareJid,
    ) -> Result<Vec<(String, Affiliation)>> {
        pubsub_entity::affiliations_of(&mut *self.reader().await?, owner, entity).await
    }

    async fn subscriptions_of(
        &self,
        owner: &BareJid,
        entity: &BareJid,
    ) -> Result<Vec<(String, NodeSubscription)>> {
        pubsub_entity::subscriptions_of(&mut *self.reader().await?, owner, entity).await
    }
}

impl Database {
    async fn change(&self, owner: &BareJid, name: &str, todo: Todo) -> Result<Option<Vec<String>>> {
        let (owner, name) = (owner.clone(), name.to_owned());
        self.writer.write(ChangeNode { owner, name, todo }).await
    }
}
