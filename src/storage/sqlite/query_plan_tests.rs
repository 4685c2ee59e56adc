//! The query plans of the statements that are frequent.

use sqlx::{Connection as _, Row as _};

use super::{
    archive, archive_query, archive_scan, archive_segments, block_counts, delete_messages,
    expire_archive, quota, replace_message,
};
use crate::storage::SqliteStorage;
use crate::storage::sql::{Connection, account, device, push, resumption, undelivered};
use crate::tasks::Tasks;

/// The query plan, one step a line.
async fn plan(connection: &mut Connection, statement: &str) -> Vec<String> {
    let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
    let rows = sqlx::query(explain).fetch_all(connection).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>("detail")).collect()
}

#[tokio::test]
async fn no_frequent_statement_walks_through_a_table() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("waxwing.sqlite");
    SqliteStorage::open(&path, 1, &Tasks::new()).await.unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut connection = Connection::connect_with(&options).await.unwrap();
    let mut statements: Vec<String> = archive_query::STATEMENTS
        .iter()
        .chain(&archive_scan::STATEMENTS)
        .chain(&[archive::HAS, expire_archive::OLDEST])
        .map(|statement| (*statement).to_owned())
        .collect();
    statements.extend(block_counts::statements());
    statements.extend(archive_segments::statements());
    statements.extend(account::statements());
    statements.extend(device::statements());
    statements.extend(delete_messages::statements());
    statements.extend(resumption::statements());
    statements.extend(quota::statements());
    statements.extend(replace_message::statements());
    statements.extend(push::statements());
    statements.extend(undelivered::statements());
    for statement in statements {
        assert!(
            !statement.contains("LIMIT $"),
            "compiled each time (see storage/sql): {statement}"
        );
        let plan = plan(&mut connection, &statement).await;
        // Parameters, and the index of words, are not tables of ours.
        let walks = |step: &&String| {
            step.starts_with("SCAN")
                && [
                    "message",
                    "m ",
                    "archive_row",
                    "archive_segment",
                    "archive_block",
                    "archive_block_peer",
                    "b ",
                    "e ",
                    "p ",
                    "a ",
                    "s ",
                    "waiting",
                    "owner",
                    "device",
                    "account",
                    "resumable",
                    "handled",
                    "push_registration",
                ]
                .iter()
                .any(|table| format!("{} ", &step[5..]).starts_with(table))
        };
        assert_eq!(plan.iter().find(walks), None, "{statement}: {plan:?}");
        let sorts = |step: &&String| step.contains("USE TEMP B-TREE");
        assert_eq!(plan.iter().find(sorts), None, "{statement}: {plan:?}");
    }
}
