//! Nodes of XEP-0060. Their items are in `pubsub_item.rs`, affiliations and subscriptions in
//! `pubsub_entity.rs`.

use sqlx::Row;

use super::transaction::Transaction;
use super::{Connection, pubsub_entity, row_limit};
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::{NodeSummary, PubSubNode, Result};

/// The number of a node and its sums, as far as a change needs them.
#[derive(Clone, Copy, Debug)]
pub(in crate::storage) struct NodeRow {
    pub(in crate::storage) number: i64,
    pub(in crate::storage) created: i64,
    pub(in crate::storage) last_position: i64,
    pub(in crate::storage) items: i64,
    pub(in crate::storage) bytes: i64,
}

/// The node of this name.
pub(in crate::storage) async fn find(
    on: &mut Connection,
    owner: &BareJid,
    name: &str,
) -> Result<Option<NodeRow>> {
    let row = sqlx::query_as::<_, (i64, i64, i64, i64, i64)>(
        "SELECT n.number, n.created, n.last_position, n.items, n.bytes FROM owner o \
         JOIN pubsub_node n ON n.owner = o.number WHERE o.jid = $1 AND n.name = $2",
    )
    .bind(owner.as_str())
    .bind(name)
    .fetch_optional(on)
    .await?;
    Ok(row.map(|(number, created, last_position, items, bytes)| NodeRow {
        number,
        created,
        last_position,
        items,
        bytes,
    }))
}

/// A node with its affiliations and subscriptions. One statement, so that they belong together, and because each
/// publication needs it: a statement costs more than a row.
pub(in crate::storage) async fn load(
    on: &mut Connection,
    owner: &BareJid,
    name: &str,
) -> Result<Option<PubSubNode>> {
    let rows = sqlx::query(LOAD).bind(owner.as_str()).bind(name).fetch_all(on).await?;
    let mut node = None;
    let (mut affiliations, mut subscriptions) = (Vec::new(), Vec::new());
    let (mut parents, mut has_root) = (Vec::new(), false);
    for row in &rows {
        match row.try_get::<i64, _>("part")? {
            NODE => {
                node = Some(PubSubNode {
                    name: name.to_owned(),
                    creator: pubsub_entity::bare(row.try_get("jid")?, "pubsub_node")?,
                    created: Timestamp::from_micros(row.try_get("state")?),
                    config: row.try_get("options")?,
                    affiliations: Vec::new(),
                    subscriptions: Vec::new(),
                    parents: Vec::new(),
                    has_root: false,
                    items: row.try_get::<i64, _>("items")?.unsigned_abs(),
                });
            }
            AFFILIATION => affiliations.push(pubsub_entity::affiliation(row)?),
            PARENT => parents.push(row.try_get("jid")?),
            ROOT => has_root = true,
            _ => subscriptions.push(pubsub_entity::subscription(row)?),
        }
    }
    // They come in this order from SQLite; nothing promises it.
    affiliations.sort_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
    subscriptions.sort_by(|a, b| a.subid.cmp(&b.subid));
    parents.sort_unstable();
    Ok(node.map(|node| PubSubNode { affiliations, subscriptions, parents, has_root, ..node }))
}

/// The parts of a node: itself, affiliations, subscriptions, the collections in which it is, and whether its owner has
/// a root.
const LOAD: &str = "WITH n AS (SELECT n.number, n.creator, n.created, n.config, n.items \
     FROM owner o JOIN pubsub_node n ON n.owner = o.number WHERE o.jid = $1 AND n.name = $2) \
     SELECT 0 AS part, n.creator AS jid, n.config AS options, '' AS subid, n.created AS state, \
     n.items AS items FROM n \
     UNION ALL SELECT 1, a.jid, '', '', a.affiliation, 0 \
     FROM n JOIN pubsub_affiliation a ON a.node = n.number \
     UNION ALL SELECT 2, s.jid, s.options, s.subid, s.state, 0 \
     FROM n JOIN pubsub_subscription s ON s.node = n.number \
     UNION ALL SELECT 3, p.name, '', '', 0, 0 FROM n \
     JOIN pubsub_child c ON c.node = n.number JOIN pubsub_node p ON p.number = c.parent \
     UNION ALL SELECT 4, '', '', '', 0, 0 \
     FROM owner o JOIN pubsub_node r ON r.owner = o.number WHERE o.jid = $1 AND r.name = ''";
const NODE: i64 = 0;
const AFFILIATION: i64 = 1;
const PARENT: i64 = 3;
const ROOT: i64 = 4;

/// Statements that must not walk through a table.
#[cfg(test)]
pub(in crate::storage) fn statements() -> [String; 1] {
    [LOAD.to_owned()]
}

/// The nodes of an owner after a name, in the order of their names.
pub(in crate::storage) async fn list(
    on: &mut Connection,
    owner: &BareJid,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<NodeSummary>> {
    let rows = sqlx::query_as::<_, SummaryRow>(
        "SELECT n.name, n.config, EXISTS (SELECT 1 FROM pubsub_child c WHERE c.node = n.number), \
         n.items FROM owner o JOIN pubsub_node n ON n.owner = o.number \
         WHERE o.jid = $1 AND n.name > $2 ORDER BY n.name LIMIT +$3",
    )
    .bind(owner.as_str())
    .bind(after.unwrap_or_default())
    .bind(row_limit(limit))
    .fetch_all(on)
    .await?;
    Ok(rows.into_iter().map(summary_of).collect())
}

/// A node, without its affiliations and subscriptions.
pub(in crate::storage) async fn summary(
    on: &mut Connection,
    owner: &BareJid,
    name: &str,
) -> Result<Option<NodeSummary>> {
    let row = sqlx::query_as::<_, SummaryRow>(
        "SELECT n.name, n.config, EXISTS (SELECT 1 FROM pubsub_child c WHERE c.node = n.number), \
         n.items FROM owner o JOIN pubsub_node n ON n.owner = o.number \
         WHERE o.jid = $1 AND n.name = $2",
    )
    .bind(owner.as_str())
    .bind(name)
    .fetch_optional(on)
    .await?;
    Ok(row.map(summary_of))
}

/// Name, configuration, whether it is in a collection, items.
pub(super) type SummaryRow = (String, String, bool, i64);

pub(super) fn summary_of((name, config, is_child, items): SummaryRow) -> NodeSummary {
    NodeSummary { name, config, is_child, items: items.unsigned_abs() }
}

/// How many nodes an owner has.
pub(in crate::storage) async fn count(on: &mut Connection, owner: i64) -> Result<i64> {
    let (count,) = sqlx::query_as::<_, (i64,)>("SELECT count(*) FROM pubsub_node WHERE owner = $1")
        .bind(owner)
        .fetch_one(on)
        .await?;
    Ok(count)
}

/// The bytes of an owner's nodes.
pub(in crate::storage) async fn usage(on: &mut Connection, owner: i64) -> Result<i64> {
    let (bytes,) = sqlx::query_as::<_, (i64,)>(
        "SELECT CAST(coalesce(sum(bytes), 0) AS BIGINT) FROM pubsub_node WHERE owner = $1",
    )
    .bind(owner)
    .fetch_one(on)
    .await?;
    Ok(bytes)
}

/// How many nodes at this owner the creator of a node has, and their bytes.
pub(in crate::storage) async fn of_creator(
    on: &mut Connection,
    owner: &BareJid,
    creator: &BareJid,
) -> Result<(u64, u64)> {
    let (count, bytes) = sqlx::query_as::<_, (i64, i64)>(
        "SELECT count(*), CAST(coalesce(sum(n.bytes), 0) AS BIGINT) FROM owner o \
         JOIN pubsub_node n ON n.owner = o.number WHERE o.jid = $1 AND n.creator = $2",
    )
    .bind(owner.as_str())
    .bind(creator.as_str())
    .fetch_one(on)
    .await?;
    Ok((count.unsigned_abs(), bytes.unsigned_abs()))
}

/// Makes a node: answers its number.
pub(in crate::storage) async fn insert(
    on: &mut Connection,
    owner: i64,
    node: &PubSubNode,
    bytes: i64,
) -> Result<i64> {
    let (number,) = sqlx::query_as::<_, (i64,)>(
        "INSERT INTO pubsub_node (owner, name, creator, created, config, last_position, items, bytes) \
         VALUES ($1, $2, $3, $4, $5, 0, 0, $6) RETURNING number",
    )
    .bind(owner)
    .bind(&node.name)
    .bind(node.creator.as_str())
    .bind(node.created.as_micros())
    .bind(&node.config)
    .bind(bytes)
    .fetch_one(&mut *on)
    .await?;
    for (jid, affiliation) in &node.affiliations {
        pubsub_entity::set_affiliation(&mut *on, number, jid, Some(*affiliation)).await?;
    }
    for subscription in &node.subscriptions {
        pubsub_entity::put_subscription(&mut *on, number, subscription).await?;
    }
    Ok(number)
}

/// Writes the sums of a node.
pub(in crate::storage) async fn update_sums(on: &mut Connection, node: &NodeRow) -> Result<()> {
    sqlx::query(
        "UPDATE pubsub_node SET last_position = $2, items = $3, bytes = $4 WHERE number = $1",
    )
    .bind(node.number)
    .bind(node.last_position)
    .bind(node.items)
    .bind(node.bytes)
    .execute(on)
    .await?;
    Ok(())
}

/// Writes the sums of a node, together with what else is queued.
pub(in crate::storage) async fn queue_sums(on: &mut Transaction<'_>, node: &NodeRow) -> Result<()> {
    on.make_room(1).await?;
    on.queue(
        "UPDATE pubsub_node SET last_position = $1, items = $2, bytes = $3 WHERE number = $4",
        |statement| {
            let NodeRow { number, last_position, items, bytes, .. } = *node;
            statement.bind(last_position).bind(items).bind(bytes).bind(number)
        },
    );
    Ok(())
}

/// Replaces the configuration.
pub(in crate::storage) async fn set_config(
    on: &mut Connection,
    node: i64,
    config: &str,
) -> Result<()> {
    sqlx::query("UPDATE pubsub_node SET config = $2 WHERE number = $1")
        .bind(node)
        .bind(config)
        .execute(on)
        .await?;
    Ok(())
}

/// The bytes of a configuration.
pub(in crate::storage) async fn config_bytes(on: &mut Connection, node: i64) -> Result<i64> {
    let (bytes,) = sqlx::query_as::<_, (i64,)>(
        "SELECT CAST(octet_length(config) AS BIGINT) FROM pubsub_node WHERE number = $1",
    )
    .bind(node)
    .fetch_one(on)
    .await?;
    Ok(bytes)
}

/// Removes a node. What belongs to it goes with it.
pub(in crate::storage) async fn delete(on: &mut Connection, node: i64) -> Result<()> {
    sqlx::query("DELETE FROM pubsub_node WHERE number = $1").bind(node).execute(on).await?;
    Ok(())
}
