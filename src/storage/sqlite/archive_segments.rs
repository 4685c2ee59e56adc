//! Segments of the archives: which segment grows, and which owners have rows in it.
//!
//! Each message is a row in two archives. If all archives were one table, these two rows could be on any
//! two of its pages. The more is stored, the more pages would be read, written and split for each message.
//! So new rows of all owners go to one segment, in the order of owner and id. When it has enough rows, the
//! next segment begins. Older segments are only read, or rows of them are deleted. A write costs as much
//! as in a table with one segment, however much is stored.
//!
//! A reader goes from segment to segment, to those in which the owner has rows. The index
//! `archive_segment` says which ones. It is divided in the same way: 16 segments are a volume. If many
//! owners write, so that a segment would have few rows of each, it grows until it has more. So reading is
//! bounded, too.

use std::sync::LazyLock;

use super::block_counts;
use super::growing_segment::{GrowingSegment, SEGMENTS_OF_VOLUME};
use super::write_tx::WriteTx;
use crate::storage::Result;
use crate::storage::sql::multi_row::MultiRow;

/// The number of the segment for these rows (owner and id), which are sorted. Enters owners in the index
/// that are not in it yet.
pub(super) async fn for_rows(
    on: &mut WriteTx<'_>,
    rows: impl Iterator<Item = (i64, i64)> + Clone + Send,
) -> Result<i64> {
    let Some(lowest) = rows.clone().map(|(_, id)| id).min() else { return Ok(0) };
    let mut segment = match on.memory.segment.take() {
        Some(segment) => segment,
        None => load(on).await?,
    };
    if segment.is_full() {
        segment = segment.next();
        if segment.is_first_of_volume() {
            sqlx::query(BEGIN)
                .bind(segment.volume())
                .bind(lowest)
                .execute(on.tx.connection().await?)
                .await?;
        }
    }
    let mut firsts = Vec::new();
    for (owner, id) in rows {
        if segment.add_row(owner) {
            firsts.push((owner, id));
        }
    }
    let (volume, number) = (segment.volume(), segment.number());
    FIRSTS
        .execute(&mut on.tx, &firsts, |q, (owner, first)| {
            q.bind(volume).bind(*owner).bind(*first).bind(number)
        })
        .await?;
    on.memory.segment = Some(segment);
    Ok(number)
}

/// Reads the segment from the database: after a start, or after a transaction has failed.
async fn load(on: &mut WriteTx<'_>) -> Result<GrowingSegment> {
    // The last volume stays when its rows are deleted. Segment 0 has the rows from before there were
    // segments, and does not grow.
    let (segment, volume) = sqlx::query_as::<_, (Option<i64>, Option<i64>)>(LAST)
        .fetch_one(on.tx.connection().await?)
        .await?;
    let number = segment.unwrap_or(0).max(volume.unwrap_or(0) * SEGMENTS_OF_VOLUME).max(1);
    let rows = sqlx::query_as::<_, (i64, i64)>(ROWS)
        .bind(number)
        .fetch_all(on.tx.connection().await?)
        .await?;
    Ok(GrowingSegment::with_rows(number, &rows))
}

/// Deletes the rows of an owner up to this id, and entries of the index that lead to no row then.
pub(super) async fn forget(on: &mut WriteTx<'_>, owner: i64, last: i64) -> Result<()> {
    sqlx::query(FORGET).bind(owner).bind(last).execute(on.tx.connection().await?).await?;
    sqlx::query(CUT).bind(owner).bind(last).execute(on.tx.connection().await?).await?;
    let empty = sqlx::query_as::<_, (i64,)>(EMPTY)
        .bind(owner)
        .bind(last)
        .fetch_all(on.tx.connection().await?)
        .await?;
    if let Some(segment) = &mut on.memory.segment
        && empty.iter().any(|(number,)| *number == segment.number())
    {
        segment.remove_owner(owner);
    }
    if !empty.is_empty() {
        sqlx::query(END).execute(on.tx.connection().await?).await?;
    }
    block_counts::forget(on, owner, last).await
}

const LAST: &str = "SELECT (SELECT max(segment) FROM archive_row), \
    (SELECT max(number) FROM archive_volume)";
const ROWS: &str = "SELECT owner, count(*) FROM archive_row WHERE segment = $1 GROUP BY owner";
const BEGIN: &str = "INSERT INTO archive_volume (number, first) VALUES ($1, $2)";
const FORGET: &str = "DELETE FROM archive_row WHERE owner = $1 AND id <= $2 AND segment IN \
    (SELECT s.segment FROM archive_volume v CROSS JOIN archive_segment s ON s.volume = v.number \
    WHERE v.first <= $2 AND s.owner = $1 AND s.first <= $2)";
// What is left of a segment must be counted again.
const CUT: &str = "UPDATE archive_segment SET bytes = NULL WHERE owner = $1 AND first <= $2 \
    AND volume IN (SELECT number FROM archive_volume WHERE first <= $2)";
const EMPTY: &str = "DELETE FROM archive_segment WHERE owner = $1 AND first <= $2 AND volume IN \
    (SELECT number FROM archive_volume WHERE first <= $2) AND NOT EXISTS \
    (SELECT 1 FROM archive_row a WHERE a.segment = archive_segment.segment AND a.owner = $1) \
    RETURNING segment";
const END: &str = "DELETE FROM archive_volume \
    WHERE number < (SELECT max(number) FROM archive_volume) AND NOT EXISTS \
    (SELECT 1 FROM archive_segment s WHERE s.volume = archive_volume.number)";

static FIRSTS: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new("INSERT INTO archive_segment (volume, owner, first, segment) VALUES ", 4, "")
});

/// All statements, for tests.
#[cfg(test)]
pub(super) fn statements() -> Vec<String> {
    [LAST, ROWS, FORGET, CUT, EMPTY, END].map(str::to_owned).into()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use bytes::Bytes;
    use smallvec::SmallVec;
    use sqlx::Connection as _;

    use crate::jid::{BareJid, Jid};
    use crate::payload::datetime::Timestamp;
    use crate::storage::sql::Connection;
    use crate::storage::{
        Holder, MemoryStorage, MessageId, NewMessage, Query, Retention, SqliteStorage, Storage, Way,
    };
    use crate::tasks::Tasks;

    fn user(n: usize) -> BareJid {
        Jid::parse(&format!("user{n}@localhost")).unwrap().to_bare()
    }

    async fn open(dir: &Path) -> Arc<SqliteStorage> {
        SqliteStorage::open(&dir.join("waxwing.sqlite"), 2, &Tasks::new()).await.unwrap()
    }

    async fn raw(dir: &Path) -> Connection {
        let options =
            sqlx::sqlite::SqliteConnectOptions::new().filename(dir.join("waxwing.sqlite"));
        Connection::connect_with(&options).await.unwrap()
    }

    async fn numbers<T>(dir: &Path, question: &'static str) -> T
    where
        T: Send + Unpin + for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow>,
    {
        sqlx::query_as(question).fetch_one(&mut raw(dir).await).await.unwrap()
    }

    /// Numbers without pattern, the same in each run.
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(0xB0B);
            (self.0 >> 33) as usize % bound
        }

        /// The first one writes half of all there is, the last one next to nothing.
        fn user(&mut self) -> usize {
            let bound = self.below(USERS) + 1;
            self.below(bound) * self.below(2)
        }
    }

    const USERS: usize = 12;

    async fn keep(on: &[&dyn Storage], now: i64, count: usize, random: &mut Random) {
        for n in 0..count {
            let (from, to) = (random.user(), random.user());
            let holder = |owner: usize, other: usize, way| Holder {
                owner: user(owner),
                with: user(other).into_jid(),
                way,
                archive: true,
                waiting: false,
                limit: None,
            };
            let holders = [holder(from, to, Way::Sent), holder(to, from, Way::Received)];
            let mut ids = Vec::new();
            for storage in on {
                let text = ["", "bread wine", "bread"][n % 3];
                let xml = format!("<message id='{now}-{n}'><body>{text}</body></message>");
                let message = NewMessage {
                    at: Timestamp::from_micros(now + n as i64),
                    xml: Bytes::from(xml),
                    holders: holders.clone().into_iter().collect::<SmallVec<_>>(),
                    handled: None,
                };
                ids.push(storage.archive().keep(message).await.unwrap().id);
            }
            assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        }
    }

    fn id_of(ids: &std::ops::Range<i64>, random: &mut Random) -> Option<MessageId> {
        let micros = ids.start + random.below((ids.end - ids.start) as usize) as i64;
        MessageId::new(micros << 10)
    }

    /// Asks both the same.
    async fn compare(on: &[&dyn Storage; 2], ids: std::ops::Range<i64>, random: &mut Random) {
        let [a, b] = on.map(Storage::archive);
        let owner = user(random.below(USERS));
        assert_eq!(a.ends(&owner).await.unwrap(), b.ends(&owner).await.unwrap());
        let some: Vec<_> = (0..4).map(|_| id_of(&ids, random)).collect();
        let mut one = |n: usize| if random.below(3) == 0 { some[n] } else { None };
        let (after, before, above, named) = (one(0), one(1), one(2), one(3));
        let mut time = || {
            let micros = ids.start + random.below((ids.end - ids.start) as usize) as i64;
            (random.below(5) == 0).then(|| Timestamp::from_micros(micros))
        };
        let (start, end) = (time(), time());
        let listed = (random.below(6) == 0).then(|| random.below(30));
        let listed = listed.map(|n| (0..n).filter_map(|_| id_of(&ids, random)).collect());
        let words = ["bread", "wine", "bread wine", "none"][random.below(4)];
        let query = Query {
            after,
            before,
            above,
            start,
            end,
            ids: listed,
            text: (random.below(5) == 0).then(|| words.to_owned()),
            named: named.into_iter().collect(),
            with: (random.below(3) == 0).then(|| user(random.below(USERS)).into_jid()),
            index: None,
            backwards: random.below(2) == 0,
            max: [0, 1, 7, 1_000][random.below(4)],
            count: random.below(2) == 0,
            ..Query::default()
        };
        let pages = [a.page(&owner, &query).await.unwrap(), b.page(&owner, &query).await.unwrap()];
        assert_eq!(pages[0], pages[1], "{owner}: {query:?}");
        if let Some(stored) = pages[0].as_ref().and_then(|page| page.rows.first()) {
            let named = Query { named: [stored.id].into_iter().collect(), ..Query::default() };
            assert!(b.page(&owner, &named).await.unwrap().is_some(), "{owner}: {stored:?}");
        }
        let index = Some(random.below(40) as u64);
        let index = Query {
            index,
            max: 5,
            count: true,
            after: None,
            before: None,
            backwards: false,
            ..query
        };
        assert_eq!(a.page(&owner, &index).await.unwrap(), b.page(&owner, &index).await.unwrap());
        assert_eq!(a.owners(None, 99).await.unwrap(), b.owners(None, 99).await.unwrap());
    }

    #[tokio::test]
    async fn segments_answer_as_one_table_would() {
        for seed in 0..12 {
            let random = &mut Random(seed);
            let dir = tempfile::tempdir().unwrap();
            let memory: Arc<dyn Storage> = MemoryStorage::new();
            let mut sqlite = open(dir.path()).await;
            let mut now = 1_000;
            for _ in 0..150 {
                let on: [&dyn Storage; 2] = [&*memory, &*sqlite];
                match random.below(12) {
                    0 => {
                        let before = Some(Timestamp::from_micros(now - random.below(400) as i64));
                        let keep = Some(random.below(60) as u64);
                        let either =
                            [Retention { before, keep: None }, Retention { before: None, keep }];
                        let owner = user(random.below(USERS));
                        let what = either[random.below(2)];
                        for storage in on {
                            while storage.archive().expire(&owner, what).await.unwrap() > 0 {}
                        }
                    }
                    1 => {
                        let gone = user(random.below(USERS));
                        for storage in on {
                            storage.accounts().remove(&gone).await.unwrap();
                        }
                    }
                    2 => {
                        sqlite.close().await;
                        sqlite = open(dir.path()).await;
                    }
                    3..7 => {
                        let count = random.below(30);
                        keep(&on, now, count, random).await;
                        now += 30;
                    }
                    _ => compare(&on, 990..now, random).await,
                }
            }
            // In the end nothing is left but the volume that grows.
            for n in 0..USERS {
                let all = Retention { before: None, keep: Some(0) };
                while sqlite.archive().expire(&user(n), all).await.unwrap() > 0 {}
            }
            let left: (i64, i64, i64) = numbers(
                dir.path(),
                "SELECT (SELECT count(*) FROM archive_row), (SELECT count(*) FROM archive_segment), \
                 (SELECT count(*) FROM archive_volume)",
            )
            .await;
            assert_eq!(left, (0, 0, 1));
            sqlite.close().await;
        }
    }
}
