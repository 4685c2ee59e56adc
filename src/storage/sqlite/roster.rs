//! Rosters: an item a row, and the version of the whole apart, as it outlives the items.

use async_trait::async_trait;
use sqlx::Row;

use super::writer::{Change, WriteTx};
use super::{Database, usage};
use crate::jid::{BareJid, Jid};
use crate::storage::sql::{DbRow, jid};
use crate::storage::{
    MAX_REMOVED, Result, RosterChange, RosterItem, RosterStore, RosterVersion, StorageError,
    Subscription, first_version,
};

#[async_trait]
impl RosterStore for Database {
    async fn load(&self, owner: &BareJid) -> Result<(RosterVersion, Vec<RosterItem>)> {
        // One statement, so that version and items belong together.
        let rows = sqlx::query(
            "SELECT r.version, i.jid, i.name, i.groups, i.subscription, i.pending_out, \
             i.pending_in, i.approved, i.listed \
             FROM owner o JOIN roster r ON r.owner = o.number \
             LEFT JOIN roster_item i ON i.owner = o.number WHERE o.jid = $1 ORDER BY i.jid",
        )
        .bind(owner.as_str())
        .fetch_all(&self.reads)
        .await?;
        let Some(first) = rows.first() else { return Ok((0, Vec::new())) };
        let version: i64 = first.try_get("version")?;
        // A roster without items is one row of nothing but a version.
        let is_empty = first.try_get::<Option<&str>, _>("jid")?.is_none();
        let items = if is_empty { &[][..] } else { &rows[..] };
        Ok((version.unsigned_abs(), items.iter().map(item).collect::<Result<_>>()?))
    }

    async fn find(&self, owner: &BareJid, jid: &Jid) -> Result<Option<RosterItem>> {
        let row = sqlx::query(
            "SELECT i.jid, i.name, i.groups, i.subscription, i.pending_out, i.pending_in, \
             i.approved, i.listed \
             FROM owner o JOIN roster_item i ON i.owner = o.number \
             WHERE o.jid = $1 AND i.jid = $2",
        )
        .bind(owner.as_str())
        .bind(jid.as_str())
        .fetch_optional(&self.reads)
        .await?;
        row.as_ref().map(item).transpose()
    }

    async fn changes(
        &self,
        owner: &BareJid,
        since: RosterVersion,
        limit: usize,
    ) -> Result<(RosterVersion, Option<Vec<RosterChange>>)> {
        // In one transaction, so that version, items and removals belong together.
        let mut on = self.reads.begin().await?;
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
             ORDER BY version LIMIT $3",
        )
        .bind(number)
        .bind(since)
        .bind(i64::try_from(limit + 1).unwrap_or(i64::MAX))
        .fetch_all(&mut *on)
        .await?;
        let gone = sqlx::query(
            "SELECT version, jid FROM roster_removed WHERE owner = $1 AND version > $2",
        )
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

    async fn put(&self, owner: &BareJid, item: &RosterItem, limit: u32) -> Result<RosterVersion> {
        let jid = item.jid.clone();
        let change =
            Replace { owner: owner.clone(), jid, old: None, new: Some(item.clone()), limit };
        let version = self.writer.write(change).await?;
        version.ok_or_else(|| StorageError::Database("an item was not put".into()))
    }

    async fn remove(&self, owner: &BareJid, jid: &Jid) -> Result<Option<RosterVersion>> {
        let (owner, jid) = (owner.clone(), jid.clone());
        self.writer.write(Replace { owner, jid, old: None, new: None, limit: 0 }).await
    }

    async fn replace(
        &self,
        owner: &BareJid,
        jid: &Jid,
        old: Option<&RosterItem>,
        new: Option<&RosterItem>,
        limit: u32,
    ) -> Result<Option<RosterVersion>> {
        let (owner, jid) = (owner.clone(), jid.clone());
        let (old, new) = (Some(old.cloned()), new.cloned());
        self.writer.write(Replace { owner, jid, old, new, limit }).await
    }
}

/// Puts an item, or takes it away.
struct Replace {
    owner: BareJid,
    jid: Jid,
    /// What must be there now, if that matters.
    old: Option<Option<RosterItem>>,
    new: Option<RosterItem>,
    limit: u32,
}

#[async_trait]
impl Change for Replace {
    type Answer = Option<RosterVersion>;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<Option<RosterVersion>> {
        let known = match &self.new {
            Some(_) => Some(on.owner(&self.owner).await?),
            None => on.owner_if_any(&self.owner).await?,
        };
        let Some(owner) = known.map(|known| known.number) else { return Ok(None) };
        let there = self.there(on, owner).await?;
        if self.old.as_ref().is_some_and(|old| *old != there) {
            return Ok(None);
        }
        match (&self.new, there) {
            (Some(new), there) => {
                let old_bytes = there.as_ref().map_or(0, RosterItem::bytes);
                if there.is_none_or(|old| new.listed && !old.listed) {
                    self.check_limit(on, owner, new.listed).await?;
                }
                usage::change(on, &self.owner, old_bytes, new.bytes(), true).await?;
                on.memory.take_senders(owner);
                put(on, owner, new).await.map(Some)
            }
            (None, Some(old)) => {
                on.memory.freed(&self.owner);
                on.memory.take_senders(owner);
                remove(on, owner, &old).await.map(Some)
            }
            (None, None) => Ok(None),
        }
    }
}

impl Replace {
    async fn there(&self, on: &mut WriteTx<'_>, owner: i64) -> Result<Option<RosterItem>> {
        let row = sqlx::query(
            "SELECT jid, name, groups, subscription, pending_out, pending_in, approved, listed \
             FROM roster_item WHERE owner = $1 AND jid = $2",
        )
        .bind(owner)
        .bind(self.jid.as_str())
        .fetch_optional(&mut *on.connection)
        .await?;
        row.as_ref().map(item).transpose()
    }

    async fn check_limit(&self, on: &mut WriteTx<'_>, owner: i64, listed: bool) -> Result<()> {
        let (alike,) = sqlx::query_as::<_, (i64,)>(
            "SELECT count(*) FROM roster_item WHERE owner = $1 AND listed = $2",
        )
        .bind(owner)
        .bind(listed)
        .fetch_one(&mut *on.connection)
        .await?;
        if alike >= i64::from(self.limit) {
            return Err(StorageError::Limit("roster items"));
        }
        Ok(())
    }
}

async fn put(on: &mut WriteTx<'_>, owner: i64, item: &RosterItem) -> Result<RosterVersion> {
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
    .execute(&mut *on.connection)
    .await?;
    if item.listed {
        sqlx::query("DELETE FROM roster_removed WHERE owner = $1 AND jid = $2")
            .bind(owner)
            .bind(item.jid.as_str())
            .execute(&mut *on.connection)
            .await?;
    }
    Ok(version)
}

async fn remove(on: &mut WriteTx<'_>, owner: i64, old: &RosterItem) -> Result<RosterVersion> {
    sqlx::query("DELETE FROM roster_item WHERE owner = $1 AND jid = $2")
        .bind(owner)
        .bind(old.jid.as_str())
        .execute(&mut *on.connection)
        .await?;
    let version = raise(on, owner).await?;
    // No client has ever seen what was not listed.
    if old.listed {
        remember_removed(on, owner, &old.jid, version).await?;
    }
    Ok(version)
}

/// So many are remembered, and all changes are known since the newest of those forgotten.
async fn remember_removed(
    on: &mut WriteTx<'_>,
    owner: i64,
    jid: &Jid,
    version: RosterVersion,
) -> Result<()> {
    sqlx::query("INSERT OR REPLACE INTO roster_removed (owner, jid, version) VALUES ($1, $2, $3)")
        .bind(owner)
        .bind(jid.as_str())
        .bind(version.cast_signed())
        .execute(&mut *on.connection)
        .await?;
    let too_old = sqlx::query_as::<_, (i64,)>(
        "SELECT version FROM roster_removed WHERE owner = $1 \
         ORDER BY version DESC LIMIT 1 OFFSET $2",
    )
    .bind(owner)
    .bind(MAX_REMOVED as i64)
    .fetch_optional(&mut *on.connection)
    .await?;
    let Some((too_old,)) = too_old else { return Ok(()) };
    for statement in [
        "DELETE FROM roster_removed WHERE owner = $1 AND version <= $2",
        "UPDATE roster SET since = $2 WHERE owner = $1",
    ] {
        sqlx::query(statement).bind(owner).bind(too_old).execute(&mut *on.connection).await?;
    }
    Ok(())
}

async fn raise(on: &mut WriteTx<'_>, owner: i64) -> Result<RosterVersion> {
    let (version,) = sqlx::query_as::<_, (i64,)>(
        "INSERT INTO roster (owner, version, since) VALUES ($1, $2, $2) \
         ON CONFLICT (owner) DO UPDATE SET version = roster.version + 1 RETURNING version",
    )
    .bind(owner)
    .bind(first_version(owner).cast_signed())
    .fetch_one(&mut *on.connection)
    .await?;
    Ok(version.unsigned_abs())
}

fn changed(row: &DbRow, item: Option<RosterItem>) -> Result<RosterChange> {
    let version: i64 = row.try_get("version")?;
    let jid = jid(row, "jid", "roster_removed")?;
    Ok(RosterChange { version: version.unsigned_abs(), jid, item })
}

fn item(row: &DbRow) -> Result<RosterItem> {
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
