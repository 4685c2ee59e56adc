//! The newest rows of archives, and how they come to the others.
//!
//! Each message is a row in two archives, and each archive ends on a page of its own. To write them at
//! once is to write two pages of the large table for two narrow rows, and the larger the table, the
//! more pages divide. So new rows gather in a small table, in the same order; when it is full, its rows
//! go over a stretch at a time, in that order, and come round again: by then there are several for each
//! owner, and they fill a page of the large table together. The cost of a write is that of a small
//! table, however large the other one is.
//!
//! If so many owners write that a stretch has few rows of each, the small table grows until it has
//! more.

use super::writer::Writing;
use crate::storage::Result;

/// What the writer remembers of the recent rows.
#[derive(Clone, Copy, Debug)]
pub(in crate::storage) struct Recent {
    /// How many there are at most; `None` if they were not counted.
    rows: Option<i64>,
    /// From so many on, some go over.
    full: i64,
    /// The last one that went over: what comes next goes next.
    moved: (i64, i64),
}

impl Default for Recent {
    fn default() -> Self {
        Self { rows: None, full: LEAST, moved: (0, 0) }
    }
}

/// Rows were added. If there are too many, some go over.
pub(super) async fn settle(on: &mut Writing<'_>, added: usize) -> Result<()> {
    let mut recent = on.memory.recent;
    let mut rows = match recent.rows {
        Some(rows) => rows + added as i64,
        None => {
            // What a server before has left is not to be moved all at once.
            let rows = count(on).await?;
            recent.full = recent.full.max(rows);
            rows
        }
    };
    while rows >= recent.full {
        let Stretch { last, owners } = next(on, recent.moved).await?;
        if owners * WORTH > STRETCH && rows < MOST {
            recent.full = (rows + rows / 4).min(MOST);
            break;
        }
        let to = last.unwrap_or((i64::MAX, i64::MAX));
        for statement in MOVE {
            let query = sqlx::query(statement).bind(recent.moved.0).bind(recent.moved.1);
            query.bind(to.0).bind(to.1).execute(&mut *on.connection).await?;
        }
        recent.moved = last.unwrap_or_default();
        recent.full = (recent.full - STRETCH / 8).max(LEAST);
        // At the end, fewer went over.
        rows = if last.is_some() { rows - STRETCH } else { count(on).await? };
    }
    recent.rows = Some(rows);
    on.memory.recent = recent;
    Ok(())
}

async fn count(on: &mut Writing<'_>) -> Result<i64> {
    let (rows,) = sqlx::query_as::<_, (i64,)>("SELECT count(*) FROM archive_recent")
        .fetch_one(&mut *on.connection)
        .await?;
    Ok(rows)
}

/// What goes over next.
struct Stretch {
    /// Its last row; `None`: what is left of the table.
    last: Option<(i64, i64)>,
    /// Whose rows it has.
    owners: i64,
}

async fn next(on: &mut Writing<'_>, from: (i64, i64)) -> Result<Stretch> {
    let last = sqlx::query_as::<_, (i64, i64)>(LAST)
        .bind(from.0)
        .bind(from.1)
        .bind(STRETCH - 1)
        .fetch_optional(&mut *on.connection)
        .await?;
    let to = last.unwrap_or((i64::MAX, i64::MAX));
    let (owners,) = sqlx::query_as::<_, (i64,)>(OWNERS)
        .bind(from.0)
        .bind(from.1)
        .bind(to.0)
        .bind(to.1)
        .fetch_one(&mut *on.connection)
        .await?;
    Ok(Stretch { last, owners })
}

/// So many rows may always be in the small table: a megabyte.
const LEAST: i64 = 16_384;
/// So many at most; fewer where it must be filled soon.
const MOST: i64 = if cfg!(test) { 1 << 17 } else { 1 << 20 };
/// So many go over at once: a few milliseconds.
const STRETCH: i64 = 1024;
/// So many rows of an owner are worth a page of the large table.
const WORTH: i64 = 6;

const LAST: &str = "SELECT owner, id FROM archive_recent WHERE (owner, id) > ($1, $2) \
    ORDER BY owner, id LIMIT 1 OFFSET $3";
const OWNERS: &str = "SELECT count(DISTINCT owner) FROM archive_recent \
    WHERE (owner, id) > ($1, $2) AND (owner, id) <= ($3, $4)";
const MOVE: [&str; 2] = [
    "INSERT INTO archive (owner, id, peer, way) SELECT owner, id, peer, way FROM archive_recent \
     WHERE (owner, id) > ($1, $2) AND (owner, id) <= ($3, $4) ORDER BY owner, id",
    "DELETE FROM archive_recent WHERE (owner, id) > ($1, $2) AND (owner, id) <= ($3, $4)",
];

/// All of them but the count.
#[cfg(test)]
pub(super) fn statements() -> Vec<String> {
    [LAST, OWNERS, MOVE[0], MOVE[1]].map(str::to_owned).into()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicI64;

    use sqlx::Connection as _;

    use super::*;
    use crate::storage::sql::Connection;
    use crate::storage::sql::writing::Memory;
    use crate::storage::{SqliteStorage, Storage};
    use crate::tasks::Tasks;

    async fn number(connection: &mut Connection, question: &'static str) -> i64 {
        sqlx::query_as::<_, (i64,)>(question).fetch_one(connection).await.unwrap().0
    }

    /// Adds rows in rounds, of so many owners in turn; answers how many are in the small table.
    async fn fill(owners: i64, rounds: impl IntoIterator<Item = i64>) -> i64 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("waxwing.sqlite");
        SqliteStorage::open(&path, 1, &Tasks::new()).await.unwrap().close().await;
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
        let mut connection = Connection::connect_with(&options.foreign_keys(false)).await.unwrap();
        let (mut memory, lag) = (Memory::new(0), AtomicI64::new(0));
        let (mut written, mut recent) = (0, 0);
        for size in rounds {
            sqlx::query(
                "INSERT INTO archive_recent WITH RECURSIVE n (i) AS \
                 (VALUES ($1) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $1 + $2) \
                 SELECT i * 7919 % $3 + 1, i, 'romeo@localhost/orchard', i % 2 FROM n",
            )
            .bind(written + 1)
            .bind(size)
            .bind(owners)
            .execute(&mut connection)
            .await
            .unwrap();
            written += size;
            let mut on = Writing { connection: &mut connection, memory: &mut memory, lag: &lag };
            settle(&mut on, size as usize).await.unwrap();
            let all = number(&mut connection, "SELECT count(*) FROM archived").await;
            assert_eq!(all, written, "a row was lost or doubled");
            recent = number(&mut connection, "SELECT count(*) FROM archive_recent").await;
            assert!(recent < memory.recent.full && memory.recent.full <= MOST);
        }
        let older = "SELECT count(*) FROM archive_recent r WHERE EXISTS \
            (SELECT 1 FROM archive a WHERE a.owner = r.owner AND a.id > r.id)";
        assert_eq!(number(&mut connection, older).await, 0, "an older row was left behind");
        // Rows that were forgotten meanwhile are no reason to move too many for ever.
        sqlx::query("DELETE FROM archive_recent").execute(&mut connection).await.unwrap();
        let mut on = Writing { connection: &mut connection, memory: &mut memory, lag: &lag };
        settle(&mut on, 2 * MOST as usize).await.unwrap();
        assert_eq!(memory.recent.rows, Some(0));
        recent
    }

    #[tokio::test]
    async fn the_small_table_stays_small_and_nothing_is_lost() {
        for owners in [1, 2, 300, 2_000] {
            let sizes = [1, 5_000, LEAST - 5_002, 1, STRETCH - 1, 1, 1, 900, 30_000, 2_500, 7];
            let recent = fill(owners, sizes).await;
            assert!(recent < LEAST, "{recent}");
        }
    }

    #[tokio::test]
    async fn the_small_table_grows_with_the_number_of_those_who_write() {
        let recent = fill(10_000, [3_000; 60]).await;
        assert!((40_000..100_000).contains(&recent), "{recent}");
        let recent = fill(2_000_000, [LEAST, MOST - LEAST, 100_000, 100]).await;
        assert!((MOST - STRETCH..MOST).contains(&recent), "{recent}");
    }

    #[tokio::test]
    async fn what_a_server_before_has_left_is_not_moved_all_at_once() {
        // Who begins anew counts what is there.
        let recent = fill(1, [3 * LEAST]).await;
        assert!((2 * LEAST..3 * LEAST).contains(&recent), "{recent}");
    }
}
