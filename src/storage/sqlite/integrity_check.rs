//! Checks the file for damage: at once, or while it is in use.

use std::path::PathBuf;

use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnectOptions;
use tokio_util::sync::CancellationToken;

use super::open_error::{damaged, explain};
use crate::storage::sql::Connection;

/// What is wrong with the file, or with one of its tables. `None` if nothing was found.
pub(super) async fn quick_check(
    connection: &mut Connection,
    table: Option<&str>,
) -> Result<Option<String>, sqlx::Error> {
    let statement = match table {
        None => "PRAGMA quick_check(1)".to_owned(),
        Some(table) => format!("PRAGMA quick_check('{table}')"),
    };
    // The name is from the schema, and has no quotes in it.
    let (problem,): (String,) =
        sqlx::query_as(sqlx::AssertSqlSafe(statement)).fetch_one(connection).await?;
    Ok((problem != "ok").then_some(problem))
}

/// Checks a large file while it is in use, and logs what is found.
pub(super) async fn check_later(
    path: PathBuf,
    options: SqliteConnectOptions,
    stop: CancellationToken,
) {
    match check_tables(&options, &stop).await {
        Ok(None) => tracing::debug!("database check found no damage"),
        Ok(Some(problem)) => {
            tracing::error!(error = %damaged(&path, &problem), "the database is damaged")
        }
        Err(error) => tracing::error!(error = %explain(&path, &error), "cannot check the database"),
    }
}

/// Checks table by table, so that it can be stopped. Returns the first problem.
async fn check_tables(
    options: &SqliteConnectOptions,
    stop: &CancellationToken,
) -> Result<Option<String>, sqlx::Error> {
    let mut connection = Connection::connect_with(options).await?;
    let tables: Vec<(String,)> =
        sqlx::query_as("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
            .fetch_all(&mut connection)
            .await?;
    for (table,) in tables {
        if stop.is_cancelled() {
            break;
        }
        if let Some(problem) = quick_check(&mut connection, Some(&table)).await? {
            return Ok(Some(problem));
        }
    }
    connection.close().await?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::os::unix::fs::FileExt;

    use super::*;
    use crate::storage::{SqliteStorage, Storage};
    use crate::tasks::Tasks;

    #[tokio::test]
    async fn the_late_check_finds_damage() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("waxwing.sqlite");
        SqliteStorage::open(&path, 1, &Tasks::new()).await.unwrap().close().await;
        let options = SqliteConnectOptions::new().filename(&path).read_only(true);
        let go_on = CancellationToken::new();
        assert_eq!(check_tables(&options, &go_on).await.unwrap(), None);

        // All but the first page, which holds the schema.
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        let size = file.metadata().unwrap().len();
        file.write_all_at(&vec![0xA5; size as usize - 4096], 4096).unwrap();
        let found = check_tables(&options, &go_on).await;
        assert!(!matches!(found, Ok(None)), "{found:?}");
    }
}
