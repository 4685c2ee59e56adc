//! The newest rows of archives, and how they come to the others.
//!
//! Each message is a row in two archives, and each archive ends on a page of its own. To write them at
//! once is to write two pages of the large table for two narrow rows, and the larger the table, the
//! more pages divide. So new rows gather in a small table, in the same order; when it is full, its rows
//! go over a stretch at a time, in that order, and come round again: by then there are several for each
//! owner, and they fill a page of the large table together. The cost of a write is that of a small
//! table, however large the other one is.

use super::writer::Writing;
use crate::storage::Result;

/// What the writer remembers of the recent rows.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::storage) struct Recent {
    /// How many there are at most; `None` if they were not counted.
    rows: Option<i64>,
    /// The last one that went over: what comes next goes next.
    moved: (i64, i64),
}

/// Rows were added. If there are too many, some go over.
pub(super) async fn settle(on: &mut Writing<'_>, added: usize) -> Result<()> {
    let mut rows = match on.memory.recent.rows {
        Some(rows) => rows + added as i64,
        None => count(on).await?,
    };
    while rows >= MOST + STRETCH {
        rows -= STRETCH;
        if !move_stretch(on).await? {
            rows = count(on).await?;
        }
    }
    on.memory.recent.rows = Some(rows);
    Ok(())
}

async fn count(on: &mut Writing<'_>) -> Result<i64> {
    let (rows,) = sqlx::query_as::<_, (i64,)>("SELECT count(*) FROM archive_recent")
        .fetch_one(&mut *on.connection)
        .await?;
    Ok(rows)
}

/// `false` at the end of the table: fewer went over, and the next stretch begins at its beginning.
async fn move_stretch(on: &mut Writing<'_>) -> Result<bool> {
    let from = on.memory.recent.moved;
    let last = sqlx::query_as::<_, (i64, i64)>(LAST)
        .bind(from.0)
        .bind(from.1)
        .bind(STRETCH - 1)
        .fetch_optional(&mut *on.connection)
        .await?;
    let to = last.unwrap_or((i64::MAX, i64::MAX));
    for statement in MOVE {
        sqlx::query(statement)
            .bind(from.0)
            .bind(from.1)
            .bind(to.0)
            .bind(to.1)
            .execute(&mut *on.connection)
            .await?;
    }
    on.memory.recent.moved = last.unwrap_or_default();
    Ok(last.is_some())
}

/// So many rows may be in the small table: a megabyte.
const MOST: i64 = 16_384;
/// So many go over at once: a few milliseconds.
const STRETCH: i64 = 1024;

const LAST: &str = "SELECT owner, id FROM archive_recent WHERE (owner, id) > ($1, $2) \
    ORDER BY owner, id LIMIT 1 OFFSET $3";
const MOVE: [&str; 2] = [
    "INSERT INTO archive (owner, id, peer, way) SELECT owner, id, peer, way FROM archive_recent \
     WHERE (owner, id) > ($1, $2) AND (owner, id) <= ($3, $4) ORDER BY owner, id",
    "DELETE FROM archive_recent WHERE (owner, id) > ($1, $2) AND (owner, id) <= ($3, $4)",
];

/// All of them but the count.
#[cfg(test)]
pub(super) fn statements() -> Vec<String> {
    [LAST, MOVE[0], MOVE[1]].map(str::to_owned).into()
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

    /// What is right after each addition, whatever the owners.
    async fn check(connection: &mut Connection, written: i64) {
        let all = number(connection, "SELECT count(*) FROM archived").await;
        assert_eq!(all, written, "a row was lost or doubled");
        let recent = number(connection, "SELECT count(*) FROM archive_recent").await;
        assert!(recent < MOST + STRETCH, "{recent} rows in the small table");
        let older = "SELECT count(*) FROM archive_recent r WHERE EXISTS \
            (SELECT 1 FROM archive a WHERE a.owner = r.owner AND a.id > r.id)";
        assert_eq!(number(connection, older).await, 0, "an older row was left behind");
    }

    #[tokio::test]
    async fn the_small_table_stays_small_and_nothing_is_lost() {
        for owners in [1, 2, 300, 1_000_000] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("waxwing.sqlite");
            SqliteStorage::open(&path, 1, &Tasks::new()).await.unwrap().close().await;
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
            let mut connection =
                Connection::connect_with(&options.foreign_keys(false)).await.unwrap();
            let (mut memory, lag) = (Memory::new(0), AtomicI64::new(0));
            let mut written = 0;
            for size in [1, 5_000, MOST - 5_001, STRETCH - 1, 1, 1, 900, 30_000, 2_500, 40_000, 7] {
                // As many threads through a large number as there are owners.
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
                let mut on =
                    Writing { connection: &mut connection, memory: &mut memory, lag: &lag };
                settle(&mut on, size as usize).await.unwrap();
                check(&mut connection, written).await;
            }
            // Rows that were forgotten meanwhile are no reason to move too many for ever.
            sqlx::query("DELETE FROM archive_recent").execute(&mut connection).await.unwrap();
            let mut on = Writing { connection: &mut connection, memory: &mut memory, lag: &lag };
            settle(&mut on, 3 * MOST as usize).await.unwrap();
            assert!(memory.recent.rows.unwrap() < MOST + STRETCH);
        }
    }
}
