//! What accounts were given slots for (XEP-0363), by the hour.

use super::Connection;
use crate::storage::Result;

/// The hours of an owner after this one with their bytes, the oldest first.
pub(in crate::storage) async fn after(
    on: &mut Connection,
    owner: i64,
    last: i64,
) -> Result<Vec<(i64, u64)>> {
    let rows = sqlx::query_as::<_, (i64, i64)>(AFTER).bind(owner).bind(last).fetch_all(on).await?;
    Ok(rows.into_iter().map(|(hour, bytes)| (hour, bytes.unsigned_abs())).collect())
}

/// Adds bytes to an hour of an owner.
pub(in crate::storage) async fn add(
    on: &mut Connection,
    owner: i64,
    hour: i64,
    bytes: u64,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO upload_hour (owner, hour, bytes) VALUES ($1, $2, $3) \
         ON CONFLICT (owner, hour) DO UPDATE SET bytes = upload_hour.bytes + excluded.bytes",
    )
    .bind(owner)
    .bind(hour)
    .bind(i64::try_from(bytes).unwrap_or(i64::MAX))
    .execute(on)
    .await?;
    Ok(())
}

/// Takes bytes back from an hour of an owner, as many as there are.
pub(in crate::storage) async fn take_back(
    on: &mut Connection,
    owner: i64,
    hour: i64,
    bytes: u64,
) -> Result<()> {
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    sqlx::query(TAKE_BACK).bind(owner).bind(hour).bind(bytes).execute(on).await?;
    Ok(())
}

/// Forgets the hours of an owner up to this one.
pub(in crate::storage) async fn forget(on: &mut Connection, owner: i64, last: i64) -> Result<()> {
    sqlx::query(FORGET).bind(owner).bind(last).execute(on).await?;
    Ok(())
}

const AFTER: &str =
    "SELECT hour, bytes FROM upload_hour WHERE owner = $1 AND hour > $2 ORDER BY hour";
const TAKE_BACK: &str = "UPDATE upload_hour SET bytes = CASE WHEN bytes > $3 THEN bytes - $3 ELSE 0 END \
     WHERE owner = $1 AND hour = $2";
const FORGET: &str = "DELETE FROM upload_hour WHERE owner = $1 AND hour <= $2";

/// Statements that must not read a whole table, for tests.
#[cfg(test)]
pub(in crate::storage) const STATEMENTS: [&str; 3] = [AFTER, TAKE_BACK, FORGET];
