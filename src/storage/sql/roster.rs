//! Rosters: an item a row, and the version of the whole apart, as it outlives the items.

use async_trait::async_trait;
use sqlx::Row;

use super::writer::{Change, Writing};
use super::{Database, DbRow, jid};
use crate::jid::{BareJid, Jid};
use crate::storage::{
    Result, RosterItem, RosterStore, RosterVersion, StorageError, Subscription, first_version,
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

    async fn put(&self, owner: &BareJid, item: &RosterItem, limit: u32) -> Result<RosterVersion> {
        self.writer.write(Put { owner: owner.clone(), item: item.clone(), limit }).await
    }

    async fn remove(&self, owner: &BareJid, jid: &Jid) -> Result<Option<RosterVersion>> {
        self.writer.write(Remove { owner: owner.clone(), jid: jid.clone() }).await
    }
}

struct Put {
    owner: BareJid,
    item: RosterItem,
    limit: u32,
}

#[async_trait]
impl Change for Put {
    type Answer = RosterVersion;

    async fn apply(&self, on: &mut Writing<'_>) -> Result<RosterVersion> {
        let owner = on.owner(&self.owner).await?.number;
        let item = &self.item;
        self.check_limit(on, owner).await?;
        sqlx::query(
            "INSERT INTO roster_item (owner, jid, name, groups, subscription, pending_out, \
             pending_in, approved, listed) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
             ON CONFLICT (owner, jid) DO UPDATE SET name = excluded.name, \
             groups = excluded.groups, subscription = excluded.subscription, \
             pending_out = excluded.pending_out, pending_in = excluded.pending_in, \
             approved = excluded.approved, listed = excluded.listed",
        )
        .bind(owner)
        .bind(item.jid.as_str())
        .bind(item.name.as_str())
        .bind(serde_json::Value::from(item.groups.clone()).to_string())
        .bind(subscription_number(item.subscription))
        .bind(item.pending_out)
        .bind(item.pending_in.as_deref())
        .bind(item.approved)
        .bind(item.listed)
        .execute(&mut *on.connection)
        .await?;
        raise(on, owner).await
    }
}

impl Put {
    async fn check_limit(&self, on: &mut Writing<'_>, owner: i64) -> Result<()> {
        let old = sqlx::query_as::<_, (bool,)>(
            "SELECT listed FROM roster_item WHERE owner = $1 AND jid = $2",
        )
        .bind(owner)
        .bind(self.item.jid.as_str())
        .fetch_optional(&mut *on.connection)
        .await?;
        if old.is_some_and(|(listed,)| listed || !self.item.listed) {
            return Ok(());
        }
        let (alike,) = sqlx::query_as::<_, (i64,)>(
            "SELECT count(*) FROM roster_item WHERE owner = $1 AND listed = $2",
        )
        .bind(owner)
        .bind(self.item.listed)
        .fetch_one(&mut *on.connection)
        .await?;
        if alike >= i64::from(self.limit) {
            return Err(StorageError::Limit("roster items"));
        }
        Ok(())
    }
}

struct Remove {
    owner: BareJid,
    jid: Jid,
}

#[async_trait]
impl Change for Remove {
    type Answer = Option<RosterVersion>;

    async fn apply(&self, on: &mut Writing<'_>) -> Result<Option<RosterVersion>> {
        let Some(known) = on.owner_if_any(&self.owner).await? else { return Ok(None) };
        let done = sqlx::query("DELETE FROM roster_item WHERE owner = $1 AND jid = $2")
            .bind(known.number)
            .bind(self.jid.as_str())
            .execute(&mut *on.connection)
            .await?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        raise(on, known.number).await.map(Some)
    }
}

async fn raise(on: &mut Writing<'_>, owner: i64) -> Result<RosterVersion> {
    let (version,) = sqlx::query_as::<_, (i64,)>(
        "INSERT INTO roster (owner, version) VALUES ($1, $2) \
         ON CONFLICT (owner) DO UPDATE SET version = roster.version + 1 RETURNING version",
    )
    .bind(owner)
    .bind(first_version(owner).cast_signed())
    .fetch_one(&mut *on.connection)
    .await?;
    Ok(version.unsigned_abs())
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
