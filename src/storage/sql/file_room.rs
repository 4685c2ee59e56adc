//! How much room the files of an owner take, and which of them make room for a new one.

use sqlx::Row;

use super::file::{id, purpose};
use super::{Connection, DbRow, row_limit};
use crate::payload::datetime::Timestamp;
use crate::storage::{FileId, Purpose, Result};

/// How much room the files of an owner take.
pub(in crate::storage) struct Room {
    /// Bytes of files and slots with the purposes.
    pub(in crate::storage) bytes: u64,
    /// Of these, what was uploaded.
    pub(in crate::storage) uploaded_bytes: u64,
    /// Files and slots with any purpose.
    pub(in crate::storage) files: u64,
    /// Of these, what was uploaded.
    pub(in crate::storage) uploaded: u64,
    /// Of these, what has the purposes.
    pub(in crate::storage) replaceable: u64,
}

/// How much room the files of an owner take, those with these purposes apart.
pub(in crate::storage) async fn room(
    on: &mut Connection,
    owner: i64,
    [one, other]: [Purpose; 2],
) -> Result<Room> {
    let (bytes, uploaded_bytes, files, uploaded, replaceable) =
        sqlx::query_as::<_, (i64, i64, i64, i64, i64)>(ROOM)
            .bind(owner)
            .bind(one.code())
            .bind(other.code())
            .fetch_one(on)
            .await?;
    Ok(Room {
        bytes: bytes.unsigned_abs(),
        uploaded_bytes: uploaded_bytes.unsigned_abs(),
        files: files.unsigned_abs(),
        uploaded: uploaded.unsigned_abs(),
        replaceable: replaceable.unsigned_abs(),
    })
}

/// The owner and the purpose of a slot: a file that has no content.
pub(in crate::storage) async fn slot(
    on: &mut Connection,
    id: FileId,
) -> Result<Option<(i64, Purpose)>> {
    let row = sqlx::query_as::<_, (i64, i64)>(SLOT).bind(&id.bytes()[..]);
    let Some((owner, code)) = row.fetch_optional(on).await? else { return Ok(None) };
    Ok(Some((owner, purpose(code)?)))
}

/// Removes a slot: its owner, and when it was asked for. `None` if there is no such slot.
pub(in crate::storage) async fn remove_slot(
    on: &mut Connection,
    id: FileId,
) -> Result<Option<(i64, Timestamp)>> {
    let row = sqlx::query_as::<_, (i64, i64)>(REMOVE_SLOT).bind(&id.bytes()[..]);
    let row = row.fetch_optional(on).await?;
    Ok(row.map(|(owner, created)| (owner, Timestamp::from_micros(created))))
}

/// The oldest files of these purposes that were uploaded: their ids and sizes.
pub(in crate::storage) async fn oldest(
    on: &mut Connection,
    owner: i64,
    [one, other]: [Purpose; 2],
    limit: usize,
) -> Result<Vec<(FileId, u64)>> {
    let rows = sqlx::query(OLDEST)
        .bind(owner)
        .bind(one.code())
        .bind(other.code())
        .bind(row_limit(limit))
        .fetch_all(on)
        .await?;
    let row = |row: &DbRow| Ok((id(row)?, row.try_get::<i64, _>("size")?.unsigned_abs()));
    rows.iter().map(row).collect()
}

const SLOT: &str = "SELECT owner, purpose FROM file WHERE id = $1 AND content IS NULL";
const REMOVE_SLOT: &str =
    "DELETE FROM file WHERE id = $1 AND content IS NULL RETURNING owner, created";
const ROOM: &str = "SELECT \
    CAST(coalesce(sum(CASE WHEN purpose IN ($2, $3) THEN size ELSE 0 END), 0) AS BIGINT), \
    CAST(coalesce(sum(CASE WHEN purpose IN ($2, $3) AND content IS NOT NULL THEN size ELSE 0 END), 0) \
    AS BIGINT), count(*), count(content), \
    count(CASE WHEN purpose IN ($2, $3) THEN content END) FROM file WHERE owner = $1";
const OLDEST: &str = "SELECT id, size FROM file WHERE owner = $1 AND purpose IN ($2, $3) \
    AND content IS NOT NULL ORDER BY created, id LIMIT +$4";

/// Statements that must not read a whole table, for tests.
#[cfg(test)]
pub(in crate::storage) const STATEMENTS: [&str; 4] = [SLOT, REMOVE_SLOT, ROOM, OLDEST];
