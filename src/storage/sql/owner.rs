//! Owners: the addresses for which something is kept. All other tables have the number of the owner.

use super::Connection;
use crate::jid::BareJid;
use crate::storage::Result;

/// The number of an owner, and its quota in bytes, if one was set for this owner. `u64::MAX`: no bound.
pub(in crate::storage) async fn find(
    on: &mut Connection,
    jid: &BareJid,
) -> Result<Option<(i64, Option<u64>)>> {
    let row =
        sqlx::query_as::<_, (i64, Option<i64>)>("SELECT number, quota FROM owner WHERE jid = $1")
            .bind(jid.as_str())
            .fetch_optional(on)
            .await?;
    Ok(row.map(|(number, quota)| (number, quota.map(quota_from_column))))
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

/// Sets the quota of an owner in bytes. `None`: the same as all others.
pub(in crate::storage) async fn set_quota(
    on: &mut Connection,
    owner: i64,
    bytes: Option<u64>,
) -> Result<()> {
    sqlx::query("UPDATE owner SET quota = $2 WHERE number = $1")
        .bind(owner)
        .bind(bytes.map(quota_to_column))
        .execute(on)
        .await?;
    Ok(())
}

/// Removes an owner. Rows of other tables go with it, as far as they refer to it.
pub(in crate::storage) async fn delete(on: &mut Connection, owner: i64) -> Result<()> {
    sqlx::query("DELETE FROM owner WHERE number = $1").bind(owner).execute(on).await?;
    Ok(())
}

/// The column has no number above `i64::MAX`, which stands for no bound.
fn quota_to_column(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn quota_from_column(bytes: i64) -> u64 {
    if bytes == i64::MAX { u64::MAX } else { bytes.unsigned_abs() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_comes_back_as_it_was_set() {
        for bytes in [0, 1, 1 << 40, u64::MAX] {
            assert_eq!(quota_from_column(quota_to_column(bytes)), bytes);
        }
    }
}
