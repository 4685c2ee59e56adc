//! Changes of a node that exists: its configuration, who may do what, subscriptions, and items that are removed.

use async_trait::async_trait;

use super::change::Change;
use super::quota;
use super::write_tx::WriteTx;
use crate::jid::BareJid;
use crate::storage::pubsub::{PUBSUB_AFFILIATIONS, PUBSUB_SUBSCRIPTIONS};
use crate::storage::sql::pubsub::NodeRow;
use crate::storage::sql::{Connection, pubsub, pubsub_entity, pubsub_item};
use crate::storage::{Affiliation, NodeSubscription, Result, StorageError};

/// A change of a node that exists. The answer is what it has removed; `None` if there is no node.
pub(super) struct ChangeNode {
    pub(super) owner: BareJid,
    pub(super) name: String,
    pub(super) todo: Todo,
}

/// What changes.
pub(super) enum Todo {
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
