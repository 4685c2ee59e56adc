//! Affiliations and subscriptions of nodes of XEP-0060.

use sqlx::Row;

use super::{Connection, DbRow, jid, row_limit};
use crate::jid::{BareJid, Jid};
use crate::storage::{Affiliation, NodeSubscription, Result, StorageError};

/// An affiliation. Its number is in the column `state`.
pub(super) fn affiliation(row: &DbRow) -> Result<(BareJid, Affiliation)> {
    let text: &str = row.try_get("jid")?;
    let affiliation = affiliation_from_column(row.try_get("state")?, text)?;
    Ok((bare(text, "pubsub_affiliation")?, affiliation))
}

/// How many affiliations a node has, and whether these addresses are among them.
pub(in crate::storage) async fn affiliation_count(
    on: &mut Connection,
    node: i64,
    jids: &[&BareJid],
) -> Result<(i64, i64)> {
    let (count,) =
        sqlx::query_as::<_, (i64,)>("SELECT count(*) FROM pubsub_affiliation WHERE node = $1")
            .bind(node)
            .fetch_one(&mut *on)
            .await?;
    let mut known = 0;
    for jid in jids {
        let row = sqlx::query("SELECT 1 FROM pubsub_affiliation WHERE node = $1 AND jid = $2")
            .bind(node)
            .bind(jid.as_str())
            .fetch_optional(&mut *on)
            .await?;
        known += i64::from(row.is_some());
    }
    Ok((count, known))
}

/// Sets an affiliation, or removes it.
pub(in crate::storage) async fn set_affiliation(
    on: &mut Connection,
    node: i64,
    jid: &BareJid,
    affiliation: Option<Affiliation>,
) -> Result<()> {
    let statement = match affiliation {
        None => sqlx::query("DELETE FROM pubsub_affiliation WHERE node = $1 AND jid = $2")
            .bind(node)
            .bind(jid.as_str()),
        Some(affiliation) => sqlx::query(
            "INSERT INTO pubsub_affiliation (node, jid, affiliation) VALUES ($1, $2, $3) \
             ON CONFLICT (node, jid) DO UPDATE SET affiliation = excluded.affiliation",
        )
        .bind(node)
        .bind(jid.as_str())
        .bind(affiliation_to_column(affiliation)),
    };
    statement.execute(on).await?;
    Ok(())
}

/// How many subscriptions a node has besides this one.
pub(in crate::storage) async fn other_subscriptions(
    on: &mut Connection,
    node: i64,
    subid: &str,
) -> Result<(i64, bool)> {
    let (count,) =
        sqlx::query_as::<_, (i64,)>("SELECT count(*) FROM pubsub_subscription WHERE node = $1")
            .bind(node)
            .fetch_one(&mut *on)
            .await?;
    let row = sqlx::query("SELECT 1 FROM pubsub_subscription WHERE node = $1 AND subid = $2")
        .bind(node)
        .bind(subid)
        .fetch_optional(on)
        .await?;
    Ok((count, row.is_some()))
}

/// Stores a subscription.
pub(in crate::storage) async fn put_subscription(
    on: &mut Connection,
    node: i64,
    subscription: &NodeSubscription,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO pubsub_subscription (node, subid, jid, bare, state, options) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (node, subid) DO UPDATE SET \
         jid = excluded.jid, bare = excluded.bare, state = excluded.state, \
         options = excluded.options",
    )
    .bind(node)
    .bind(&subscription.subid)
    .bind(subscription.jid.as_str())
    .bind(subscription.jid.bare_str())
    .bind(if subscription.is_pending { PENDING } else { SUBSCRIBED })
    .bind(&subscription.options)
    .execute(on)
    .await?;
    Ok(())
}

/// Removes a subscription. `false` if there is none.
pub(in crate::storage) async fn remove_subscription(
    on: &mut Connection,
    node: i64,
    subid: &str,
) -> Result<bool> {
    let done = sqlx::query("DELETE FROM pubsub_subscription WHERE node = $1 AND subid = $2")
        .bind(node)
        .bind(subid)
        .execute(on)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// The affiliations of an entity at all nodes of an owner.
pub(in crate::storage) async fn affiliations_of(
    on: &mut Connection,
    owner: &BareJid,
    entity: &BareJid,
) -> Result<Vec<(String, Affiliation)>> {
    let rows = sqlx::query_as::<_, (String, i64)>(
        "SELECT n.name, a.affiliation FROM pubsub_affiliation a \
         JOIN pubsub_node n ON n.number = a.node JOIN owner o ON o.number = n.owner \
         WHERE a.jid = $1 AND o.jid = $2 ORDER BY n.name",
    )
    .bind(entity.as_str())
    .bind(owner.as_str())
    .fetch_all(on)
    .await?;
    let one = |(name, word): (String, i64)| {
        let affiliation = affiliation_from_column(word, &name)?;
        Ok((name, affiliation))
    };
    rows.into_iter().map(one).collect()
}

/// The names of the nodes of an owner that have no affiliation of an owner.
pub(in crate::storage) async fn ownerless(
    on: &mut Connection,
    owner: &BareJid,
    limit: usize,
) -> Result<Vec<String>> {
    let rows = sqlx::query_as::<_, (String,)>(
        "SELECT n.name FROM owner o JOIN pubsub_node n ON n.owner = o.number WHERE o.jid = $1 \
         AND NOT EXISTS (SELECT 1 FROM pubsub_affiliation a \
         WHERE a.node = n.number AND a.affiliation = $2) ORDER BY n.name LIMIT +$3",
    )
    .bind(owner.as_str())
    .bind(affiliation_to_column(Affiliation::Owner))
    .bind(row_limit(limit))
    .fetch_all(on)
    .await?;
    Ok(rows.into_iter().map(|(name,)| name).collect())
}

/// The names of the nodes of an owner at which subscriptions are pending, of those that `approver` owns.
pub(in crate::storage) async fn pending_nodes(
    on: &mut Connection,
    owner: &BareJid,
    approver: &BareJid,
    limit: usize,
) -> Result<Vec<String>> {
    let rows = sqlx::query_as::<_, (String,)>(PENDING_NODES)
        .bind(approver.as_str())
        .bind(affiliation_to_column(Affiliation::Owner))
        .bind(owner.as_str())
        .bind(row_limit(limit))
        .fetch_all(on)
        .await?;
    Ok(rows.into_iter().map(|(name,)| name).collect())
}

/// The pending subscriptions of a node.
pub(in crate::storage) async fn pending(
    on: &mut Connection,
    node: i64,
    limit: usize,
) -> Result<Vec<NodeSubscription>> {
    let rows = sqlx::query(PENDING_OF_NODE).bind(node).bind(row_limit(limit)).fetch_all(on).await?;
    rows.iter().map(subscription).collect()
}

/// The statements that find what is pending. The number is that of [`PENDING`], as in the index.
#[cfg(test)]
pub(in crate::storage) fn statements() -> [String; 2] {
    [PENDING_NODES.to_owned(), PENDING_OF_NODE.to_owned()]
}

const PENDING_NODES: &str = "SELECT n.name FROM pubsub_affiliation a \
     JOIN pubsub_node n ON n.number = a.node JOIN owner o ON o.number = n.owner \
     WHERE a.jid = $1 AND a.affiliation = $2 AND o.jid = $3 \
     AND EXISTS (SELECT 1 FROM pubsub_subscription s WHERE s.node = a.node AND s.state = 1) \
     ORDER BY n.name LIMIT +$4";
const PENDING_OF_NODE: &str = "SELECT subid, jid, state, options FROM pubsub_subscription \
     WHERE node = $1 AND state = 1 ORDER BY subid LIMIT +$2";

/// The subscriptions of an entity at all nodes of an owner.
pub(in crate::storage) async fn subscriptions_of(
    on: &mut Connection,
    owner: &BareJid,
    entity: &BareJid,
) -> Result<Vec<(String, NodeSubscription)>> {
    let rows = sqlx::query(
        "SELECT n.name, s.subid, s.jid, s.state, s.options FROM pubsub_subscription s \
         JOIN pubsub_node n ON n.number = s.node JOIN owner o ON o.number = n.owner \
         WHERE s.bare = $1 AND o.jid = $2 ORDER BY n.name, s.subid",
    )
    .bind(entity.as_str())
    .bind(owner.as_str())
    .fetch_all(on)
    .await?;
    rows.iter().map(|row| Ok((row.try_get("name")?, subscription(row)?))).collect()
}

/// A subscription.
pub(super) fn subscription(row: &DbRow) -> Result<NodeSubscription> {
    Ok(NodeSubscription {
        subid: row.try_get("subid")?,
        jid: jid(row, "jid", "pubsub_subscription")?,
        is_pending: row.try_get::<i64, _>("state")? == PENDING,
        options: row.try_get("options")?,
    })
}

/// Reads a bare address that the server wrote.
pub(super) fn bare(text: &str, table: &'static str) -> Result<BareJid> {
    Jid::parse(text).map(|jid| jid.to_bare()).map_err(|e| StorageError::Inconsistent {
        table,
        key: text.to_owned(),
        problem: e.to_string(),
    })
}

fn affiliation_to_column(affiliation: Affiliation) -> i64 {
    match affiliation {
        Affiliation::Owner => 1,
        Affiliation::Publisher => 2,
        Affiliation::PublishOnly => 3,
        Affiliation::Member => 4,
        Affiliation::Outcast => 5,
    }
}

fn affiliation_from_column(value: i64, key: &str) -> Result<Affiliation> {
    Ok(match value {
        1 => Affiliation::Owner,
        2 => Affiliation::Publisher,
        3 => Affiliation::PublishOnly,
        4 => Affiliation::Member,
        5 => Affiliation::Outcast,
        _ => {
            return Err(StorageError::Inconsistent {
                table: "pubsub_affiliation",
                key: key.to_owned(),
                problem: format!("affiliation {value}"),
            });
        }
    })
}

const PENDING: i64 = 1;
const SUBSCRIBED: i64 = 2;
