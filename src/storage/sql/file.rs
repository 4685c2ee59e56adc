//! Files: one row each, and one for each content.

use sqlx::Row;

use super::{Connection, DbRow, jid, row_limit};
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::{
    ContentHash, FileId, FileTotals, Purpose, Result, StorageError, StoredFile, UploadedFiles,
};

/// A file by its id.
pub(in crate::storage) async fn find(
    on: &mut Connection,
    id: FileId,
) -> Result<Option<StoredFile>> {
    let row = sqlx::query(FIND).bind(&id.bytes()[..]).fetch_optional(on).await?;
    row.as_ref().map(file).transpose()
}

/// The files of an account, newest first.
pub(in crate::storage) async fn of(
    on: &mut Connection,
    owner: &BareJid,
    limit: usize,
) -> Result<Vec<StoredFile>> {
    let rows = sqlx::query(OF).bind(owner.as_str()).bind(row_limit(limit)).fetch_all(on).await?;
    rows.iter().map(file).collect()
}

/// The newest files of an account that were uploaded and have not expired, and their number.
pub(in crate::storage) async fn uploaded(
    on: &mut Connection,
    owner: &BareJid,
    now: Timestamp,
    limit: usize,
) -> Result<UploadedFiles> {
    let (all,) = sqlx::query_as::<_, (i64,)>(COUNT_UPLOADED)
        .bind(owner.as_str())
        .bind(now.as_micros())
        .fetch_one(&mut *on)
        .await?;
    let rows = sqlx::query(UPLOADED)
        .bind(owner.as_str())
        .bind(now.as_micros())
        .bind(row_limit(limit))
        .fetch_all(on)
        .await?;
    let newest = rows.iter().map(file).collect::<Result<_>>()?;
    Ok(UploadedFiles { newest, all: all.unsigned_abs() })
}

/// When the first of the files and slots with these purposes ends.
pub(in crate::storage) async fn next_end(
    on: &mut Connection,
    owner: &BareJid,
    [one, other]: [Purpose; 2],
) -> Result<Option<Timestamp>> {
    let (end,) = sqlx::query_as::<_, (Option<i64>,)>(NEXT_END)
        .bind(owner.as_str())
        .bind(one.code())
        .bind(other.code())
        .fetch_one(on)
        .await?;
    Ok(end.map(Timestamp::from_micros))
}

/// Stores a new file.
pub(in crate::storage) async fn insert(
    on: &mut Connection,
    owner: i64,
    file: &StoredFile,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO file (id, owner, name, size, media_type, purpose, created, slot_until, expires) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(&file.id.bytes()[..])
    .bind(owner)
    .bind(&file.name)
    .bind(i64::try_from(file.size).unwrap_or(i64::MAX))
    .bind(file.media_type.as_deref())
    .bind(file.purpose.code())
    .bind(file.created.as_micros())
    .bind(file.slot_until.as_micros())
    .bind(file.expires.map(Timestamp::as_micros))
    .execute(on)
    .await?;
    Ok(())
}

/// Lets a slot be used until a later time.
pub(in crate::storage) async fn extend(
    on: &mut Connection,
    id: FileId,
    until: Timestamp,
) -> Result<()> {
    sqlx::query("UPDATE file SET slot_until = $2 WHERE id = $1 AND slot_until < $2")
        .bind(&id.bytes()[..])
        .bind(until.as_micros())
        .execute(on)
        .await?;
    Ok(())
}

/// Notes the type of a file that has none.
pub(in crate::storage) async fn note_media_type(
    on: &mut Connection,
    id: FileId,
    media_type: &str,
) -> Result<()> {
    sqlx::query("UPDATE file SET media_type = $2 WHERE id = $1 AND media_type IS NULL")
        .bind(&id.bytes()[..])
        .bind(media_type)
        .execute(on)
        .await?;
    Ok(())
}

/// Notes a content.
pub(in crate::storage) async fn put_content(
    on: &mut Connection,
    hash: ContentHash,
    size: u64,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO file_content (hash, size) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING",
    )
    .bind(&hash.bytes()[..])
    .bind(i64::try_from(size).unwrap_or(i64::MAX))
    .execute(on)
    .await?;
    Ok(())
}

/// Gives a file its content.
pub(in crate::storage) async fn complete(
    on: &mut Connection,
    id: FileId,
    hash: ContentHash,
) -> Result<()> {
    sqlx::query("UPDATE file SET content = $2 WHERE id = $1 AND content IS NULL")
        .bind(&id.bytes()[..])
        .bind(&hash.bytes()[..])
        .execute(on)
        .await?;
    Ok(())
}

/// Removes a file of an owner.
pub(in crate::storage) async fn remove(
    on: &mut Connection,
    owner: i64,
    id: FileId,
) -> Result<bool> {
    let done = sqlx::query("DELETE FROM file WHERE id = $1 AND owner = $2")
        .bind(&id.bytes()[..])
        .bind(owner)
        .execute(on)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Removes files that have expired, up to `limit`.
pub(in crate::storage) async fn remove_expired(
    on: &mut Connection,
    now: Timestamp,
    limit: usize,
) -> Result<u64> {
    let query = sqlx::query(REMOVE_EXPIRED).bind(now.as_micros()).bind(row_limit(limit));
    Ok(query.execute(on).await?.rows_affected())
}

/// Slots that were not used in time, up to `limit`.
pub(in crate::storage) async fn expired_slots(
    on: &mut Connection,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<StoredFile>> {
    let query = sqlx::query(EXPIRED_SLOTS).bind(now.as_micros()).bind(row_limit(limit));
    query.fetch_all(on).await?.iter().map(file).collect()
}

/// Contents that no file has, in the order of their hashes, behind this one.
pub(in crate::storage) async fn unused(
    on: &mut Connection,
    after: Option<ContentHash>,
    limit: usize,
) -> Result<Vec<ContentHash>> {
    let rows = sqlx::query(
        "SELECT c.hash FROM file_content c WHERE c.hash > $1 \
         AND NOT EXISTS (SELECT 1 FROM file f WHERE f.content = c.hash) \
         ORDER BY c.hash LIMIT +$2",
    )
    .bind(after.as_ref().map_or(&[][..], |hash| &hash.bytes()[..]))
    .bind(row_limit(limit))
    .fetch_all(on)
    .await?;
    rows.iter().map(|row| content(row.try_get("hash")?)).collect()
}

/// Whether no file has this content.
pub(in crate::storage) async fn is_unused(on: &mut Connection, hash: ContentHash) -> Result<bool> {
    let row = sqlx::query_as::<_, (bool,)>(HAS_CONTENT).bind(&hash.bytes()[..]);
    let (is_used,) = row.fetch_one(on).await?;
    Ok(!is_used)
}

/// Forgets a content that no file has.
pub(in crate::storage) async fn forget(on: &mut Connection, hash: ContentHash) -> Result<()> {
    let statement = "DELETE FROM file_content WHERE hash = $1";
    sqlx::query(statement).bind(&hash.bytes()[..]).execute(on).await?;
    Ok(())
}

/// How much is stored in all.
pub(in crate::storage) async fn totals(on: &mut Connection) -> Result<FileTotals> {
    let sums = "SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT) FROM ";
    let files = sqlx::AssertSqlSafe(format!("{sums} file"));
    let contents = sqlx::AssertSqlSafe(format!("{sums} file_content"));
    let (files, bytes) = sqlx::query_as::<_, (i64, i64)>(files).fetch_one(&mut *on).await?;
    let (contents, content_bytes) = sqlx::query_as::<_, (i64, i64)>(contents).fetch_one(on).await?;
    let [files, bytes, contents, content_bytes] =
        [files, bytes, contents, content_bytes].map(i64::unsigned_abs);
    Ok(FileTotals { files, bytes, contents, content_bytes })
}

fn file(row: &DbRow) -> Result<StoredFile> {
    let bytes: Option<&[u8]> = row.try_get("content")?;
    Ok(StoredFile {
        id: id(row)?,
        owner: jid(row, "jid", TABLE)?.to_bare(),
        name: row.try_get("name")?,
        size: row.try_get::<i64, _>("size")?.unsigned_abs(),
        media_type: row.try_get("media_type")?,
        purpose: purpose(row.try_get("purpose")?)?,
        created: Timestamp::from_micros(row.try_get("created")?),
        slot_until: Timestamp::from_micros(row.try_get("slot_until")?),
        expires: row.try_get::<Option<i64>, _>("expires")?.map(Timestamp::from_micros),
        content: bytes.map(content).transpose()?,
    })
}

pub(super) fn purpose(code: i64) -> Result<Purpose> {
    Purpose::of_code(code).ok_or_else(|| damaged(format!("there is no purpose {code}")))
}

pub(super) fn id(row: &DbRow) -> Result<FileId> {
    FileId::of_bytes(row.try_get("id")?).ok_or_else(|| damaged("an id has 16 bytes".into()))
}

fn content(bytes: &[u8]) -> Result<ContentHash> {
    ContentHash::of_bytes(bytes).ok_or_else(|| damaged("a hash has 32 bytes".into()))
}

fn damaged(problem: String) -> StorageError {
    StorageError::Inconsistent { table: TABLE, key: String::new(), problem }
}

const TABLE: &str = "file";
const FIND: &str = "SELECT f.id, o.jid, f.name, f.size, f.media_type, f.purpose, f.created, \
    f.slot_until, f.expires, f.content FROM file f JOIN owner o ON o.number = f.owner \
    WHERE f.id = $1";
const OF: &str = "SELECT f.id, o.jid, f.name, f.size, f.media_type, f.purpose, f.created, \
    f.slot_until, f.expires, f.content FROM owner o JOIN file f ON f.owner = o.number \
    WHERE o.jid = $1 ORDER BY f.created DESC, f.id DESC LIMIT +$2";
const UPLOADED: &str = "SELECT f.id, o.jid, f.name, f.size, f.media_type, f.purpose, f.created, \
    f.slot_until, f.expires, f.content FROM owner o JOIN file f ON f.owner = o.number \
    WHERE o.jid = $1 AND f.content IS NOT NULL AND (f.expires IS NULL OR f.expires > $2) \
    ORDER BY f.created DESC, f.id DESC LIMIT +$3";
const COUNT_UPLOADED: &str = "SELECT count(*) FROM owner o JOIN file f ON f.owner = o.number \
    WHERE o.jid = $1 AND f.content IS NOT NULL AND (f.expires IS NULL OR f.expires > $2)";
const NEXT_END: &str = "SELECT min(CASE WHEN f.content IS NULL THEN f.slot_until ELSE f.expires END) \
    FROM owner o JOIN file f ON f.owner = o.number WHERE o.jid = $1 AND f.purpose IN ($2, $3)";
const REMOVE_EXPIRED: &str = "DELETE FROM file WHERE id IN (SELECT id FROM file \
    WHERE expires IS NOT NULL AND expires <= $1 AND content IS NOT NULL ORDER BY expires LIMIT +$2)";
const EXPIRED_SLOTS: &str = "SELECT f.id, o.jid, f.name, f.size, f.media_type, f.purpose, f.created, \
    f.slot_until, f.expires, f.content FROM file f JOIN owner o ON o.number = f.owner \
    WHERE f.content IS NULL AND f.slot_until <= $1 ORDER BY f.slot_until LIMIT +$2";
const HAS_CONTENT: &str = "SELECT EXISTS (SELECT 1 FROM file WHERE content = $1)";

/// Statements that must not read a whole table, for tests.
#[cfg(test)]
pub(in crate::storage) fn statements() -> Vec<String> {
    let own =
        [FIND, OF, UPLOADED, COUNT_UPLOADED, NEXT_END, HAS_CONTENT, REMOVE_EXPIRED, EXPIRED_SLOTS];
    own.map(str::to_owned).to_vec()
}
