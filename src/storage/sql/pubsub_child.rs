//! Nodes of XEP-0060 in collections (XEP-0248).

use super::pubsub::{SummaryRow, summary_of};
use super::{Connection, row_limit};
use crate::jid::BareJid;
use crate::storage::pubsub::LEVELS;
use crate::storage::{NodeSummary, Result};

/// The nodes in a collection behind a name, in the order of their names.
pub(in crate::storage) async fn children(
    on: &mut Connection,
    owner: &BareJid,
    name: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<NodeSummary>> {
    let rows = sqlx::query_as::<_, SummaryRow>(
        "SELECT n.name, n.config, TRUE, n.items FROM owner o \
         JOIN pubsub_node p ON p.owner = o.number JOIN pubsub_child c ON c.parent = p.number \
         JOIN pubsub_node n ON n.number = c.node \
         WHERE o.jid = $1 AND p.name = $2 AND n.name > $3 ORDER BY n.name LIMIT +$4",
    )
    .bind(owner.as_str())
    .bind(name)
    .bind(after.unwrap_or_default())
    .bind(row_limit(limit))
    .fetch_all(on)
    .await?;
    Ok(rows.into_iter().map(summary_of).collect())
}

/// The collections above a node, as many as that: their numbers, names and distances, the nearest first.
pub(in crate::storage) async fn above(
    on: &mut Connection,
    node: i64,
    limit: usize,
) -> Result<Vec<(i64, String, u32)>> {
    let rows = sqlx::query_as::<_, (i64, String, i64)>(
        "WITH RECURSIVE up (number, distance) AS (\
         SELECT c.parent, 1 FROM pubsub_child c WHERE c.node = $1 \
         UNION SELECT c.parent, up.distance + 1 FROM up JOIN pubsub_child c ON c.node = up.number \
         WHERE up.distance < $2) \
         SELECT n.number, n.name, CAST(min(up.distance) AS BIGINT) AS nearest FROM up \
         JOIN pubsub_node n ON n.number = up.number \
         GROUP BY n.number, n.name ORDER BY nearest, n.name LIMIT +$3",
    )
    .bind(node)
    .bind(i64::from(LEVELS))
    .bind(row_limit(limit))
    .fetch_all(on)
    .await?;
    let distance = |distance: i64| u32::try_from(distance).unwrap_or(u32::MAX);
    Ok(rows.into_iter().map(|(number, name, at)| (number, name, distance(at))).collect())
}

/// How many parents a node has, and how many children a collection has.
pub(in crate::storage) async fn counts(
    on: &mut Connection,
    node: i64,
    parent: i64,
) -> Result<(i64, i64)> {
    let counts = sqlx::query_as::<_, (i64, i64)>(
        "SELECT (SELECT count(*) FROM pubsub_child WHERE node = $1), \
         (SELECT count(*) FROM pubsub_child WHERE parent = $2)",
    )
    .bind(node)
    .bind(parent)
    .fetch_one(on)
    .await?;
    Ok(counts)
}

/// Whether a node is in a collection.
pub(in crate::storage) async fn is_in(on: &mut Connection, node: i64, parent: i64) -> Result<bool> {
    let row = sqlx::query("SELECT 1 FROM pubsub_child WHERE node = $1 AND parent = $2")
        .bind(node)
        .bind(parent)
        .fetch_optional(on)
        .await?;
    Ok(row.is_some())
}

/// Puts a node into a collection, in which it is not yet.
pub(in crate::storage) async fn put(on: &mut Connection, node: i64, parent: i64) -> Result<()> {
    sqlx::query("INSERT INTO pubsub_child (node, parent) VALUES ($1, $2)")
        .bind(node)
        .bind(parent)
        .execute(on)
        .await?;
    Ok(())
}

/// Takes a node out of a collection.
pub(in crate::storage) async fn take(on: &mut Connection, node: i64, parent: i64) -> Result<()> {
    sqlx::query("DELETE FROM pubsub_child WHERE node = $1 AND parent = $2")
        .bind(node)
        .bind(parent)
        .execute(on)
        .await?;
    Ok(())
}
