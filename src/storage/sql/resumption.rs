//! Sessions that can be resumed. What changes with each message stands apart (`handled`).

use std::sync::LazyLock;

use bytes::Bytes;
use sqlx::Row;

use super::multi_row::MultiRow;
use super::transaction::Transaction;
use super::{Connection, DbRow, jid};
use crate::jid::{BareJid, Jid};
use crate::payload::datetime::Timestamp;
use crate::storage::{NodeNumber, Result, Resumable, SavedSession, SessionNumber, StorageError};

/// A session that begins.
pub(in crate::storage) struct Begin {
    pub(in crate::storage) number: SessionNumber,
    /// Where it begins.
    pub(in crate::storage) node: NodeNumber,
    pub(in crate::storage) owner: BareJid,
    pub(in crate::storage) resource: String,
    pub(in crate::storage) key: String,
}

/// The session with this key.
pub(in crate::storage) async fn find(on: &mut Connection, key: &str) -> Result<Option<Resumable>> {
    let row = sqlx::query(
        "SELECT r.number, o.jid, r.resource, r.key, h.count, r.ended, r.state \
         FROM resumable r JOIN owner o ON o.number = r.owner \
         LEFT JOIN handled h ON h.session = r.number WHERE r.key = $1",
    )
    .bind(key)
    .fetch_optional(on)
    .await?;
    row.as_ref().map(resumable).transpose()
}

/// The sessions of a node that have not ended, by number.
pub(in crate::storage) async fn all(
    on: &mut Connection,
    node: NodeNumber,
) -> Result<Vec<Resumable>> {
    let rows = sqlx::query(
        "SELECT r.number, o.jid, r.resource, r.key, h.count, r.ended, r.state \
         FROM resumable r JOIN owner o ON o.number = r.owner \
         LEFT JOIN handled h ON h.session = r.number \
         WHERE r.node = $1 AND r.ended IS NULL ORDER BY r.number",
    )
    .bind(i64::from(node.get()))
    .fetch_all(on)
    .await?;
    rows.iter().map(resumable).collect()
}

/// Sessions begin, each with the number of its owner.
pub(in crate::storage) async fn insert(
    on: &mut Transaction<'_>,
    begun: &[(i64, &Begin)],
) -> Result<()> {
    BEGIN
        .execute(on, begun, |q, (owner, session)| {
            q.bind(session.number.0)
                .bind(*owner)
                .bind(session.resource.as_str())
                .bind(session.key.as_str())
                .bind(i64::from(session.node.get()))
        })
        .await
}

/// Sessions end: number, and microseconds since 1970.
pub(in crate::storage) async fn end(on: &mut Transaction<'_>, ended: &[(i64, i64)]) -> Result<()> {
    END.execute(on, ended, |q, (number, at)| q.bind(*number).bind(*at)).await
}

/// Keeps what a session wants to remember. `false` if there is no such session.
pub(in crate::storage) async fn save(on: &mut Connection, session: &SavedSession) -> Result<bool> {
    let done = sqlx::query("UPDATE resumable SET state = $2, ended = NULL WHERE number = $1")
        .bind(session.number.0)
        .bind(&session.state[..])
        .execute(on)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Keeps how many stanzas sessions have handled. A count that is behind the one that is kept changes
/// nothing; counts wrap around at 2^32 (XEP-0198 §4).
pub(in crate::storage) async fn set_handled(
    on: &mut Transaction<'_>,
    handled: &[(i64, u32)],
) -> Result<()> {
    HANDLED.execute(on, handled, |q, (session, n)| q.bind(*session).bind(i64::from(*n))).await
}

/// Called when a node starts: ends its sessions that were not saved, and deletes what was saved of the others.
pub(in crate::storage) async fn begin_anew(
    on: &mut Connection,
    node: NodeNumber,
    at: Timestamp,
) -> Result<()> {
    let node = i64::from(node.get());
    sqlx::query(LOST).bind(node).bind(at.as_micros()).execute(&mut *on).await?;
    sqlx::query(TAKEN).bind(node).execute(&mut *on).await?;
    // Counts that came late, or of owners that are gone, have no session.
    sqlx::query("DELETE FROM handled WHERE session NOT IN (SELECT number FROM resumable)")
        .execute(on)
        .await?;
    Ok(())
}

/// Ends all sessions of an owner. Returns how many of them were saved.
pub(in crate::storage) async fn end_all(
    on: &mut Connection,
    owner: &BareJid,
    at: Timestamp,
) -> Result<u64> {
    let (saved,) =
        sqlx::query_as::<_, (i64,)>(SAVED_OF).bind(owner.as_str()).fetch_one(&mut *on).await?;
    sqlx::query(END_ALL).bind(owner.as_str()).bind(at.as_micros()).execute(on).await?;
    Ok(saved.unsigned_abs())
}

/// Forgets sessions that ended before `before`, `limit` at most. Returns how many.
pub(in crate::storage) async fn expire(
    on: &mut Transaction<'_>,
    before: Timestamp,
    limit: i64,
) -> Result<u64> {
    let gone = sqlx::query_as::<_, (i64,)>(EXPIRED)
        .bind(before.as_micros())
        .bind(limit)
        .fetch_all(on.connection().await?)
        .await?;
    for statement in [&FORGET_HANDLED, &FORGET] {
        statement.execute(on, &gone, |q, (number,)| q.bind(*number)).await?;
    }
    Ok(gone.len() as u64)
}

// Only what has not ended has something saved.
const LOST: &str = "UPDATE resumable SET ended = $2 \
    WHERE node = $1 AND ended IS NULL AND state IS NULL";
const TAKEN: &str = "UPDATE resumable SET state = NULL \
    WHERE node = $1 AND ended IS NULL AND state IS NOT NULL";
const SAVED_OF: &str = "SELECT count(*) FROM resumable WHERE owner = (SELECT number FROM owner \
     WHERE jid = $1) AND ended IS NULL AND state IS NOT NULL";
const END_ALL: &str = "UPDATE resumable SET ended = $2, state = NULL WHERE owner = \
     (SELECT number FROM owner WHERE jid = $1) AND ended IS NULL";
const EXPIRED: &str = "SELECT number FROM resumable WHERE ended < $1 ORDER BY ended LIMIT +$2";

static BEGIN: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new("INSERT INTO resumable (number, owner, resource, key, node) VALUES ", 5, "")
});
static END: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new(
        "WITH gone (number, at) AS (VALUES ",
        2,
        ") UPDATE resumable SET ended = gone.at, state = NULL FROM gone \
         WHERE resumable.number = gone.number",
    )
});
static HANDLED: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new(
        "INSERT INTO handled (session, count) VALUES ",
        2,
        " ON CONFLICT (session) DO UPDATE SET count = excluded.count \
         WHERE ((excluded.count - handled.count) & 4294967295) < 2147483648",
    )
});
static FORGET_HANDLED: LazyLock<MultiRow> =
    LazyLock::new(|| MultiRow::new("DELETE FROM handled WHERE session IN (", 1, ")"));
static FORGET: LazyLock<MultiRow> =
    LazyLock::new(|| MultiRow::new("DELETE FROM resumable WHERE number IN (", 1, ")"));

/// All that must not walk through the table.
#[cfg(test)]
pub(in crate::storage) fn statements() -> Vec<String> {
    let many = [&END, &FORGET_HANDLED, &FORGET].into_iter().flat_map(|many| many.texts());
    many.chain([LOST, TAKEN, SAVED_OF, END_ALL, EXPIRED].map(str::to_owned)).collect()
}

fn resumable(row: &DbRow) -> Result<Resumable> {
    let owner: Jid = jid(row, "jid", "owner")?;
    let number: i64 = row.try_get("number")?;
    let count = row.try_get::<Option<i64>, _>("count")?.unwrap_or(0);
    Ok(Resumable {
        number: SessionNumber(number),
        owner: owner.to_bare(),
        resource: row.try_get("resource")?,
        key: row.try_get("key")?,
        handled: count.try_into().map_err(|_| StorageError::Inconsistent {
            table: "handled",
            key: number.to_string(),
            problem: format!("{count} stanzas"),
        })?,
        ended: row.try_get::<Option<i64>, _>("ended")?.map(Timestamp::from_micros),
        state: row.try_get::<Option<Vec<u8>>, _>("state")?.map(Bytes::from),
    })
}
