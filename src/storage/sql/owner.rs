//! Owners: the addresses for which something is kept. All other tables have the number of the owner.

use super::Connection;
use crate::jid::BareJid;
use crate::storage::Result;

/// The number of an owner, and how many bytes it may keep if that was set for it alone.
pub(in crate::storage) async fn find(
    on: &mut Connection,
    jid: &BareJid,
) -> Result<Option<(i64, Option<i64>)>> {
    let row = sqlx::query_as("SELECT number, quota FROM owner WHERE jid = $1")
        .bind(jid.as_str())
        .fetch_optional(on)
        .await?;
    Ok(row)
}

/// The number of a new owner. `None` if there is one already.
pub(in crate::storage) async fn insert(on: &mut Connection, jid: &BareJid) -> Result<Option<i64>> {
    let row = sqlx::query_as::<_, (i64,)>(
        "INSERT INTO owner (jid, domain) VALUES ($1, $2) \
         ON CONFLICT (jid) DO NOTHING RETURNING number",
    )
    .bind(jid.as_str())
    .bind(jid.domain())
    .fetch_optional(on)
    .await?;
    Ok(row.map(|(number,)| number))
}

/// Sets how many bytes an owner may keep. `None`: as many as all others.
pub(in crate::storage) async fn set_quota(
    on: &mut Connection,
    owner: i64,
    bytes: Option<i64>,
) -> Result<()> {
    sqlx::query("UPDATE owner SET quota = $2 WHERE number = $1")
        .bind(owner)
        .bind(bytes)
        .execute(on)
        .await?;
    Ok(())
}

/// Removes an owner. Rows of other tables go with it, as far as they refer to it.
pub(in crate::storage) async fn delete(on: &mut Connection, owner: i64) -> Result<()> {
    sqlx::query("DELETE FROM owner WHERE number = $1").bind(owner).execute(on).await?;
    Ok(())
}
