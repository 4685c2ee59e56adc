//! The query plans of the statements that are frequent.

use sqlx::{Connection as _, Row as _};

use super::{
    archive, archive_query, archive_scan, archive_segments, block_counts, delete_messages,
    expire_archive, quota, replace_message,
};
use crate::storage::SqliteStorage;
use crate::storage::sql::{
    Connection, account, api_token, device, document, file, file_room, invitation, login_keys,
    pubsub, pubsub_entity, push, resumption, room, room_list, room_people, roster_of_many,
    undelivered, upload_hour,
};
use crate::tasks::Tasks;

/// The query plan, one step a line.
async fn plan(connection: &mut Connection, statement: &str) -> Vec<String> {
    let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
    let rows = sqlx::query(explain).fetch_all(connection).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>("detail")).collect()
}

async fn connect(dir: &tempfile::TempDir) -> Connection {
    let path = dir.path().join("waxwing.sqlite");
    SqliteStorage::open(&path, 1, &Tasks::new()).await.unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    Connection::connect_with(&options).await.unwrap()
}

#[tokio::test]
async fn rooms_are_listed_by_an_index() {
    let dir = tempfile::tempdir().unwrap();
    let mut connection = connect(&dir).await;
    let (sorting, of_user) = room_list::SORTING;
    let statements = room_list::statements().into_iter().map(|(text, index)| (text, index, false));
    for (text, index, sorts) in statements.chain([(sorting.to_owned(), of_user, true)]) {
        let plan = plan(&mut connection, &text).await;
        let is_index = |step: &String| step.starts_with("SEARCH") && step.contains(index);
        assert!(plan.iter().any(is_index), "{text}: {plan:?}");
        let is_bad = |step: &String| step.starts_with("SCAN") || step.contains("B-TREE") && !sorts;
        assert!(!plan.iter().any(is_bad), "{text}: {plan:?}");
        assert!(!text.contains("LIMIT $"), "compiled each time (see storage/sql): {text}");
    }
    for text in room_people::deletions() {
        let plan = plan(&mut connection, &text).await;
        assert!(plan.iter().any(|step| step.contains("(owner=? AND ")), "{text}: {plan:?}");
    }
}

/// Our tables, and the names by which statements call them.
const TABLES: &[&str] = &[
    "api_token",
    "t ",
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
    "f ",
    "file",
    "invitation",
    "i ",
    "room",
    "r ",
    "room_member",
    "room_occupant",
    "roster_item",
    "upload_hour",
    "document",
    "d ",
    "o ",
];

#[tokio::test]
async fn no_frequent_statement_walks_through_a_table() {
    let dir = tempfile::tempdir().unwrap();
    let mut connection = connect(&dir).await;
    let mut statements: Vec<String> = archive_query::STATEMENTS
        .iter()
        .chain(&archive_scan::STATEMENTS)
        .chain(&[archive::HAS, expire_archive::OLDEST])
        .map(|statement| (*statement).to_owned())
        .collect();
    statements.extend(block_counts::statements());
    statements.extend(archive_segments::statements());
    statements.extend(account::statements());
    statements.extend(api_token::statements());
    statements.extend(device::statements());
    statements.extend(document::statements());
    statements.extend(file::statements());
    statements.extend(invitation::statements());
    statements.push(login_keys::KEYS_AND_DOCUMENT.to_owned());
    statements.extend(file_room::STATEMENTS.map(str::to_owned));
    statements.extend(delete_messages::statements());
    statements.extend(resumption::statements());
    statements.extend(quota::statements());
    statements.extend(replace_message::statements());
    statements.extend(push::statements());
    statements.extend(pubsub_entity::statements());
    statements.extend(pubsub::statements());
    statements.extend(room::statements());
    statements.extend(room_people::statements());
    statements.extend(roster_of_many::statements());
    statements.extend(undelivered::statements());
    statements.extend(upload_hour::STATEMENTS.map(str::to_owned));
    for statement in statements {
        assert!(
            !statement.contains("LIMIT $"),
            "compiled each time (see storage/sql): {statement}"
        );
        let plan = plan(&mut connection, &statement).await;
        // Parameters, and the index of words, are not tables of ours.
        let walks = |step: &&String| {
            step.starts_with("SCAN")
                && TABLES.iter().any(|table| format!("{} ", &step[5..]).starts_with(table))
        };
        assert_eq!(plan.iter().find(walks), None, "{statement}: {plan:?}");
        let sorts = |step: &&String| step.contains("USE TEMP B-TREE");
        assert_eq!(plan.iter().find(sorts), None, "{statement}: {plan:?}");
    }
}
