//! Nodes of XEP-0060 in SQLite. What is published is in `pubsub_publish.rs`.

use async_trait::async_trait;
use sqlx::Connection as _;

use super::change::Change;
use super::database::Database;
use super::pubsub_page::page;
use super::pubsub_publish::Publish;
use super::quota;
use super::write_tx::WriteTx;
use crate::jid::BareJid;
use crate::storage::pubsub::{PUBSUB_AFFILIATIONS, PUBSUB_SUBSCRIPTIONS};
use crate::storage::sql::pubsub::NodeRow;
use crate::storage::sql::{Connection, pubsub, pubsub_entity, pubsub_item};
use crate::storage::{
    Affiliation, ItemPage, ItemQuery, LastItemPage, NodeSubscription, NodeSummary, PubSubNode,
    PubSubStore, Publication, Published, Result, StorageError,
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

/// A change of a node that exists. The answer is what it has removed; `None` if there is no node.
struct ChangeNode {
    owner: BareJid,
    name: String,
    todo: Todo,
}

enum Todo {
    Affiliations(Vec<(BareJid, Option<Affiliation>)>, u32),
    Configure(String, usize),
    Delete,
    Purge,
    Retract(Vec<String>),
    Subscribe(NodeSubscription, u32),
    Unsubscribe(String),
}

#[async_trait]
impl Change for ChangeNode {
    type Answer = Option<Vec<String>>;

    async fn apply(&self, tx: &mut WriteTx<'_>) -> Result<Option<Vec<String>>> {
        let on = tx.tx.connection().await?;
        let Some(mut node) = pubsub::find(&mut *on, &self.owner, &self.name).await? else {
            return Ok(None);
        };
        let mut gone = Vec::new();
        match &self.todo {
            Todo::Affiliations(changes, limit) => {
                change_affiliations(on, node.number, changes, *limit).await?;
            }
            Todo::Subscribe(subscription, limit) => {
                let (count, is_known) =
                    pubsub_entity::other_subscriptions(&mut *on, node.number, &subscription.subid)
                        .await?;
                if !is_known && count >= i64::from(*limit) {
                    return Err(StorageError::Limit(PUBSUB_SUBSCRIPTIONS));
                }
                pubsub_entity::put_subscription(on, node.number, subscription).await?;
            }
            Todo::Unsubscribe(subid) => {
                if pubsub_entity::remove_subscription(on, node.number, subid).await? {
                    gone.push(subid.clone());
                }
            }
            Todo::Configure(config, keep) => {
                let old = pubsub::config_bytes(&mut *on, node.number).await?;
                gone = configure(on, &mut node, config, old, *keep).await?;
                quota::charge(tx, &self.owner, old.unsigned_abs(), config.len() as u64, false)
                    .await?;
            }
            Todo::Retract(ids) => {
                for id in ids {
                    let Some(item) = pubsub_item::find(&mut *on, node.number, id).await? else {
                        continue;
                    };
                    pubsub_item::delete(&mut *on, node.number, item.position).await?;
                    (node.items, node.bytes) = (node.items - 1, node.bytes - item.bytes);
                    gone.push(item.id);
                }
                pubsub::update_sums(on, &node).await?;
                tx.memory.freed(&self.owner);
            }
            Todo::Purge => {
                let config = pubsub::config_bytes(&mut *on, node.number).await?;
                pubsub_item::delete_all(&mut *on, node.number).await?;
                node.items = 0;
                node.bytes = config + crate::storage::pubsub::node_bytes(&self.name, "") as i64;
                pubsub::update_sums(on, &node).await?;
                tx.memory.freed(&self.owner);
            }
            Todo::Delete => {
                pubsub::delete(on, node.number).await?;
                tx.memory.freed(&self.owner);
            }
        }
        Ok(Some(gone))
    }
}

/// Sets and removes affiliations of a node, if there are at most `limit` afterwards, or not more than before.
async fn change_affiliations(
    on: &mut Connection,
    node: i64,
    changes: &[(BareJid, Option<Affiliation>)],
    limit: u32,
) -> Result<()> {
    let those = |set: bool| changes.iter().filter(move |(_, is)| is.is_some() == set);
    let added: Vec<_> = those(true).map(|(jid, _)| jid).collect();
    let removed: Vec<_> = those(false).map(|(jid, _)| jid).collect();
    let (count, known) = pubsub_entity::affiliation_count(&mut *on, node, &added).await?;
    let (_, less) = pubsub_entity::affiliation_count(&mut *on, node, &removed).await?;
    let after = count + added.len() as i64 - known - less;
    if after > i64::from(limit) && after > count {
        return Err(StorageError::Limit(PUBSUB_AFFILIATIONS));
    }
    for (jid, affiliation) in changes {
        pubsub_entity::set_affiliation(&mut *on, node, jid, *affiliation).await?;
    }
    Ok(())
}

/// Replaces the configuration, `old` bytes long, and deletes the oldest items if there are more than `keep`.
/// Answers their ids.
async fn configure(
    on: &mut Connection,
    node: &mut NodeRow,
    config: &str,
    old: i64,
    keep: usize,
) -> Result<Vec<String>> {
    pubsub::set_config(&mut *on, node.number, config).await?;
    node.bytes += config.len() as i64 - old;
    let excess = usize::try_from(node.items).unwrap_or(0).saturating_sub(keep);
    let mut gone = Vec::new();
    for item in pubsub_item::oldest(&mut *on, node.number, excess).await? {
        pubsub_item::delete(&mut *on, node.number, item.position).await?;
        (node.items, node.bytes) = (node.items - 1, node.bytes - item.bytes);
        gone.push(item.id);
    }
    pubsub::update_sums(on, node).await?;
    Ok(gone)
}
