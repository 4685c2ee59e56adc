//! Rosters: an item a row. The version of a roster stands apart, because it outlives the items.

use sqlx::Row;

use super::{Connection, DbRow, jid};
use crate::jid::{BareJid, Jid};
use crate::storage::roster::{MAX_REMOVED, first_version};
use crate::storage::{Result, RosterChange, RosterItem, RosterVersion, StorageError, Subscription};

/// The version, and all items.
pub(in crate::storage) async fn load(
    on: &mut Connection,
    owner: &BareJid,
) -> Result<(RosterVersion, Vec<RosterItem>)> {
    // One statement, so that version and items belong together.
    let rows = sqlx::query(
        "SELECT r.version, i.jid, i.name, i.groups, i.subscription, i.pending_out, \
         i.pending_in, i.approved, i.listed \
         FROM owner o JOIN roster r ON r.owner = o.number \
         LEFT JOIN roster_item i ON i.owner = o.number WHERE o.jid = $1 ORDER BY i.jid",
    )
    .bind(owner.as_str())
    .fetch_all(on)
    .await?;
    let Some(first) = rows.first() else { return Ok((0, Vec::new())) };
    let version: i64 = first.try_get("version")?;
    // A roster without items is one row of nothing but a version.
    let is_empty = first.try_get::<Option<&str>, _>("jid")?.is_none();
    let items = if is_empty { &[][..] } else { &rows[..] };
    Ok((version.unsigned_abs(), items.iter().map(item).collect::<Result<_>>()?))
}

/// One item.
pub(in crate::storage) async fn find(
    on: &mut Connection,
    owner: &BareJid,
    jid: &Jid,
) -> Result<Option<RosterItem>> {
    let row = sqlx::query(
        "SELECT i.jid, i.name, i.groups, i.subscription, i.pending_out, i.pending_in, \
         i.approved, i.listed \
         FROM owner o JOIN roster_item i ON i.owner = o.number \
         WHERE o.jid = $1 AND i.jid = $2",
    )
    .bind(owner.as_str())
    .bind(jid.as_str())
    .fetch_optional(on)
    .await?;
    row.as_ref().map(item).transpose()
}

/// The version, and what has changed since another one. To be called within a transaction, so that
/// version, items and removals belong together.
pub(in crate::storage) async fn changes(
    on: &mut Connection,
    owner: &BareJid,
    since: RosterVersion,
    limit: usize,
) -> Result<(RosterVersion, Option<Vec<RosterChange>>)> {
    let known = sqlx::query_as::<_, (i64, i64, i64)>(
        "SELECT o.number, r.version, r.since FROM owner o \
         JOIN roster r ON r.owner = o.number WHERE o.jid = $1",
    )
    .bind(owner.as_str())
    .fetch_optional(&mut *on)
    .await?;
    let Some((number, version, oldest)) = known else { return Ok((0, None)) };
    let version = version.unsigned_abs();
    let Ok(since) = i64::try_from(since) else { return Ok((version, None)) };
    if since < oldest || since.unsigned_abs() > version {
        return Ok((version, None));
    }
    let rows = sqlx::query(
        "SELECT version, jid, name, groups, subscription, pending_out, pending_in, approved, \
         listed FROM roster_item WHERE owner = $1 AND version > $2 AND listed \
         ORDER BY version LIMIT +$3",
    )
    .bind(number)
    .bind(since)
    .bind(i64::try_from(limit + 1).unwrap_or(i64::MAX))
    .fetch_all(&mut *on)
    .await?;
    let gone =
        sqlx::query("SELECT version, jid FROM roster_removed WHERE owner = $1 AND version > $2")
            .bind(number)
            .bind(since)
            .fetch_all(&mut *on)
            .await?;
    if rows.len() + gone.len() > limit {
        return Ok((version, None));
    }
    let mut changes =
        rows.iter().map(|row| changed(row, Some(item(row)?))).collect::<Result<Vec<_>>>()?;
    for row in &gone {
        changes.push(changed(row, None)?);
    }
    changes.sort_by_key(|change| change.version);
    Ok((version, Some(changes)))
}

/// One item of an owner.
pub(in crate::storage) async fn find_of(
    on: &mut Connection,
    owner: i64,
    jid: &Jid,
) -> Result<Option<RosterItem>> {
    let row = sqlx::query(
        "SELECT jid, name, groups, subscription, pending_out, pending_in, approved, listed \
         FROM roster_item WHERE owner = $1 AND jid = $2",
    )
    .bind(owner)
    .bind(jid.as_str())
    .fetch_optional(on)
    .await?;
    row.as_ref().map(item).transpose()
}

/// How many items there are that are listed, or that are not.
pub(in crate::storage) async fn count(
    on: &mut Connection,
    owner: i64,
    listed: bool,
) -> Result<i64> {
    let (count,) = sqlx::query_as::<_, (i64,)>(
        "SELECT count(*) FROM roster_item WHERE owner = $1 AND listed = $2",
    )
    .bind(owner)
    .bind(listed)
    .fetch_one(on)
    .await?;
    Ok(count)
}

/// The bytes of an owner's items, as [`RosterItem`] counts them.
pub(in crate::storage) async fn usage(on: &mut Connection, owner: i64) -> Result<i64> {
    let (bytes,) = sqlx::query_as::<_, (i64,)>(
        "SELECT CAST(coalesce(sum(octet_length(jid) + octet_length(name) + octet_length(groups) \
         + coalesce(octet_length(pending_in), 0)), 0) AS BIGINT) FROM roster_item \
         WHERE owner = $1",
    )
    .bind(owner)
    .fetch_one(on)
    .await?;
    Ok(bytes)
}

/// Keeps an item in place of an older one, and raises the version of the roster.
pub(in crate::storage) async fn put(
    on: &mut Connection,
    owner: i64,
    item: &RosterItem,
) -> Result<RosterVersion> {
    let version = raise(on, owner).await?;
    sqlx::query(
        "INSERT INTO roster_item (owner, jid, name, groups, subscription, pending_out, \
         pending_in, approved, listed, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
         ON CONFLICT (owner, jid) DO UPDATE SET name = excluded.name, \
         groups = excluded.groups, subscription = excluded.subscription, \
         pending_out = excluded.pending_out, pending_in = excluded.pending_in, \
         approved = excluded.approved, listed = excluded.listed, version = excluded.version",
    )
    .bind(owner)
    .bind(item.jid.as_str())
    .bind(item.name.as_str())
    .bind(item.groups_text())
    .bind(subscription_number(item.subscription))
    .bind(item.pending_out)
    .bind(item.pending_in.as_deref())
    .bind(item.approved)
    .bind(item.listed)
    .bind(version.cast_signed())
    .execute(&mut *on)
    .await?;
    if item.listed {
        sqlx::query("DELETE FROM roster_removed WHERE owner = $1 AND jid = $2")
            .bind(owner)
            .bind(item.jid.as_str())
            .execute(&mut *on)
            .await?;
    }
    Ok(version)
}

/// Removes an item that is there, and raises the version of the roster.
pub(in crate::storage) async fn remove(
    on: &mut Connection,
    owner: i64,
    old: &RosterItem,
) -> Result<RosterVersion> {
    sqlx::query("DELETE FROM roster_item WHERE owner = $1 AND jid = $2")
        .bind(owner)
        .bind(old.jid.as_str())
        .execute(&mut *on)
        .await?;
    let version = raise(on, owner).await?;
    // No client has seen an item that was not listed.
    if old.listed {
        remember_removed(on, owner, &old.jid, version).await?;
    }
    Ok(version)
}

/// Remembers a removed item, and forgets the oldest beyond [`MAX_REMOVED`]. Changes are known since the
/// newest one that was forgotten.
async fn remember_removed(
    on: &mut Connection,
    owner: i64,
    jid: &Jid,
    version: RosterVersion,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO roster_removed (owner, jid, version) VALUES ($1, $2, $3) \
         ON CONFLICT (owner, jid) DO UPDATE SET version = excluded.version",
    )
    .bind(owner)
    .bind(jid.as_str())
    .bind(version.cast_signed())
    .execute(&mut *on)
    .await?;
    let too_old = sqlx::query_as::<_, (i64,)>(
        "SELECT version FROM roster_removed WHERE owner = $1 \
         ORDER BY version DESC LIMIT 1 OFFSET $2",
    )
    .bind(owner)
    .bind(MAX_REMOVED as i64)
    .fetch_optional(&mut *on)
    .await?;
    let Some((too_old,)) = too_old else { return Ok(()) };
    for statement in [
        "DELETE FROM roster_removed WHERE owner = $1 AND version <= $2",
        "UPDATE roster SET since = $2 WHERE owner = $1",
    ] {
        sqlx::query(statement).bind(owner).bind(too_old).execute(&mut *on).await?;
    }
    Ok(())
}

async fn raise(on: &mut Connection, owner: i64) -> Result<RosterVersion> {
    let (version,) = sqlx::query_as::<_, (i64,)>(
        "INSERT INTO roster (owner, version, since) VALUES ($1, $2, $2) \
         ON CONFLICT (owner) DO UPDATE SET version = roster.version + 1 RETURNING version",
    )
    .bind(owner)
    .bind(first_version(owner).cast_signed())
    .fetch_one(&mut *on)
    .await?;
    Ok(version.unsigned_abs())
}

fn changed(row: &DbRow, item: Option<RosterItem>) -> Result<RosterChange> {
    let version: i64 = row.try_get("version")?;
    let jid = jid(row, "jid", "roster_removed")?;
    Ok(RosterChange { version: version.unsigned_abs(), jid, item })
}

/// An item.
pub(super) fn item(row: &DbRow) -> Result<RosterItem> {
    let jid = jid(row, "jid", "roster_item")?;
    let inconsistent = |problem: String| StorageError::Inconsistent {
        table: "roster_item",
        key: jid.to_string(),
        problem,
    };
    let number: i64 = row.try_get("subscription")?;
    let groups: &str = row.try_get("groups")?;
    Ok(RosterItem {
        name: row.try_get("name")?,
        groups: serde_json::from_str(groups).map_err(|e| inconsistent(e.to_string()))?,
        subscription: subscription(number)
            .ok_or_else(|| inconsistent(format!("subscription {number}")))?,
        pending_out: row.try_get("pending_out")?,
        pending_in: row.try_get("pending_in")?,
        approved: row.try_get("approved")?,
        listed: row.try_get("listed")?,
        jid,
    })
}

fn subscription_number(subscription: Subscription) -> i64 {
    match subscription {
        Subscription::None => 0,
        Subscription::To => 1,
        Subscription::From => 2,
        Subscription::Both => 3,
    }
}

fn subscription(number: i64) -> Option<Subscription> {
    [Subscription::None, Subscription::To, Subscription::From, Subscription::Both]
        .into_iter()
        .find(|s| subscription_number(*s) == number)
}
