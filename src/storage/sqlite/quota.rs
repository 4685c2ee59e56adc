//! The quota of an account, while something is written: counts what the account stores, and makes room.

use super::change::Change;
use super::expire_archive::ExpireArchive;
use super::write_tx::{Known, WriteTx};
use crate::jid::BareJid;
use crate::storage::sql::{Connection, document, pubsub, push, roster, undelivered};
use crate::storage::usage::{Room, slack};
use crate::storage::{Result, StorageError, Usage};

/// Counts what an owner stores. `unwritten` bytes come on top of it.
pub(super) async fn count_used(
    on: &mut WriteTx<'_>,
    known: &mut Known,
    unwritten: u64,
) -> Result<u64> {
    sqlx::query(SUM_UP).bind(known.number).execute(on.tx.connection().await?).await?;
    let used =
        usage_of(on.tx.connection().await?, known.number).await?.total().saturating_add(unwritten);
    known.room = Room::left(on.quota_of(known), used);
    Ok(used)
}

/// Makes room for `bytes`, and a little more: forgets the oldest delivered messages of the archive.
/// `false` if there are not enough of them.
pub(super) async fn make_room(
    on: &mut WriteTx<'_>,
    owner: &BareJid,
    known: &mut Known,
    unwritten: u64,
    bytes: u64,
) -> Result<bool> {
    let quota = on.quota_of(known);
    if bytes > quota {
        return Ok(false);
    }
    for _ in 0..ROUNDS {
        let used = count_used(on, known, unwritten).await?;
        if known.room.has(bytes) {
            return Ok(true);
        }
        let wanted = used.saturating_add(bytes).saturating_add(slack(quota)) - quota;
        let rows = sqlx::query_as::<_, (i64, i64)>(OLDEST)
            .bind(known.number)
            .bind(AT_ONCE)
            .fetch_all(on.tx.connection().await?)
            .await?;
        let mut freed = 0;
        let enough = rows.iter().find(|(_, bytes)| {
            freed += bytes.unsigned_abs();
            freed >= wanted
        });
        let Some((last, _)) = enough.or(rows.last()) else { return Ok(false) };
        ExpireArchive { owner: owner.clone(), below: last + 1 }.apply(on).await?;
    }
    Ok(known.room.has(bytes))
}

/// Takes the difference between `old` and `new` bytes from the room of an account, of which something has changed.
///
/// # Errors
/// [`StorageError::Quota`] if it grows, `within_quota` is set, and there is no room.
pub(super) async fn charge(
    on: &mut WriteTx<'_>,
    owner: &BareJid,
    old: u64,
    new: u64,
    within_quota: bool,
) -> Result<()> {
    let Some(bytes) = new.checked_sub(old).filter(|more| *more > 0) else {
        on.memory.freed(owner);
        return Ok(());
    };
    let mut known = on.owner(owner).await?;
    if !known.room.has(bytes) && !known.room.is_counted() {
        count_used(on, &mut known, 0).await?;
    }
    let is_kept = known.room.has(bytes) || !within_quota;
    if is_kept {
        known.room.overdraw(bytes);
    }
    on.memory.remember(owner, known);
    if is_kept { Ok(()) } else { Err(StorageError::Quota) }
}

/// What an owner stores. The archive is counted by sums of its segments, all else row by row.
pub(super) async fn usage_of(on: &mut Connection, owner: i64) -> Result<Usage> {
    let (archive,) = sqlx::query_as::<_, (i64,)>(ARCHIVE).bind(owner).fetch_one(&mut *on).await?;
    let waiting = undelivered::usage(on, owner).await?;
    let push = push::usage(on, owner).await?;
    let roster = roster::usage(on, owner).await?;
    let documents = document::usage(on, owner).await?;
    let nodes = pubsub::usage(on, owner).await?;
    let bytes = i64::unsigned_abs;
    Ok(Usage {
        archive: bytes(archive),
        documents: documents.into_iter().map(|(kind, sum)| (kind, bytes(sum))).collect(),
        push: bytes(push),
        pubsub: bytes(nodes),
        roster: bytes(roster),
        waiting: bytes(waiting),
    })
}

/// How many messages are forgotten at once, and how often at most.
const AT_ONCE: i64 = 500;
const ROUNDS: usize = 20;

/// Stores the sums of segments. The segment that grows is left out: its sum would not stay right.
const SUM_UP: &str = "UPDATE archive_segment SET bytes = \
    (SELECT CAST(coalesce(sum(r.bytes), 0) AS BIGINT) FROM archive_row r \
    WHERE r.segment = archive_segment.segment AND r.owner = archive_segment.owner) \
    WHERE volume IN (SELECT number FROM archive_volume) AND owner = $1 AND bytes IS NULL \
    AND segment < (SELECT max(segment) FROM archive_row)";

const ARCHIVE: &str = "SELECT CAST(coalesce(sum(coalesce(s.bytes, \
    (SELECT sum(r.bytes) FROM archive_row r \
    WHERE r.segment = s.segment AND r.owner = s.owner))), 0) AS BIGINT) \
    FROM archive_volume v CROSS JOIN archive_segment s ON s.volume = v.number WHERE s.owner = $1";

/// The oldest messages of an archive, up to the oldest undelivered one.
const OLDEST: &str = "SELECT a.id, a.bytes FROM archive a WHERE a.owner = $1 AND a.id < \
    coalesce((SELECT min(message) FROM waiting WHERE owner = $1), 9223372036854775807) \
    ORDER BY a.volume, a.first, a.id LIMIT +$2";

/// Statements that must not read a whole table, for tests.
#[cfg(test)]
pub(super) fn statements() -> Vec<String> {
    [SUM_UP, ARCHIVE, OLDEST].map(str::to_owned).into()
}
