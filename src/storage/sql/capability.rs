//! What hashes of capabilities stand for.

use smol_str::SmolStr;

use super::Connection;
use crate::storage::{MAX_CAPABILITIES, MAX_CAPABILITIES_OF_OWNER, Result, StorageError};

/// The nodes that this hash stands for.
pub(in crate::storage) async fn interests(
    on: &mut Connection,
    hash: &str,
) -> Result<Option<Vec<SmolStr>>> {
    let row = sqlx::query_as::<_, (String,)>("SELECT nodes FROM capability WHERE hash = $1")
        .bind(hash)
        .fetch_optional(on)
        .await?;
    let Some((nodes,)) = row else { return Ok(None) };
    let nodes = serde_json::from_str(&nodes).map_err(|error| StorageError::Inconsistent {
        table: "capability",
        key: hash.to_owned(),
        problem: error.to_string(),
    })?;
    Ok(Some(nodes))
}

/// Remembers the nodes that this hash stands for, and forgets the oldest entries if there are too many.
pub(in crate::storage) async fn remember(
    on: &mut Connection,
    owner: i64,
    hash: &str,
    nodes: &[SmolStr],
) -> Result<()> {
    let nodes = serde_json::to_string(nodes).unwrap_or_default();
    let done = sqlx::query(
        "INSERT INTO capability (hash, owner, number, nodes) \
         SELECT $1, $2, coalesce(max(number), 0) + 1, $3 FROM capability WHERE TRUE \
         ON CONFLICT (hash) DO NOTHING",
    )
    .bind(hash)
    .bind(owner)
    .bind(nodes)
    .execute(&mut *on)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(());
    }
    sqlx::query(
        "DELETE FROM capability WHERE owner = $1 AND number <= (SELECT number FROM capability \
         WHERE owner = $1 ORDER BY number DESC LIMIT 1 OFFSET +$2)",
    )
    .bind(owner)
    .bind(MAX_CAPABILITIES_OF_OWNER as i64)
    .execute(&mut *on)
    .await?;
    sqlx::query(
        "DELETE FROM capability WHERE number <= (SELECT number FROM capability \
         ORDER BY number DESC LIMIT 1 OFFSET +$1)",
    )
    .bind(MAX_CAPABILITIES as i64)
    .execute(on)
    .await?;
    Ok(())
}
