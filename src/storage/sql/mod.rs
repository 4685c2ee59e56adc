//! Statements that work in SQLite and in PostgreSQL, as functions of one connection.
//!
//! Three things here are about one database: the aliases and [`parameter`] below, and how
//! [`transaction`] sends queued statements, as one script. What only SQLite can do is in
//! [`super::sqlite`]. `tests/storage/portable.rs` finds words that only SQLite knows.
//!
//! The number of rows is bound as `LIMIT +$1`. Without the plus, SQLite compiles the statement anew each
//! time it is executed, because the number could change the plan (`sqlite3ExprIsInteger`).

pub(super) mod account;
pub(super) mod api_token;
pub(super) mod capability;
pub(super) mod device;
pub(super) mod document;
pub(super) mod file;
pub(super) mod file_room;
pub(super) mod invitation;
pub(super) mod login_keys;
pub(super) mod multi_row;
pub(super) mod owner;
pub(super) mod pubsub;
pub(super) mod pubsub_child;
pub(super) mod pubsub_entity;
pub(super) mod pubsub_item;
pub(super) mod push;
pub(super) mod resumption;
pub(super) mod room;
pub(super) mod room_list;
pub(super) mod room_people;
pub(super) mod roster;
pub(super) mod roster_of_many;
pub(super) mod setting;
pub(super) mod transaction;
pub(super) mod undelivered;
pub(super) mod upload_hour;

use sqlx::Row;

use super::{MessageId, Result, StorageError};
use crate::jid::Jid;

/// The database for which the statements are built.
pub(super) type Db = sqlx::Sqlite;
/// One connection to it.
pub(super) type Connection = sqlx::SqliteConnection;
/// One row of an answer.
pub(super) type DbRow = sqlx::sqlite::SqliteRow;
/// A statement with the parameters that are bound to it.
pub(super) type Statement = sqlx::query::Query<'static, Db, <Db as sqlx::Database>::Arguments>;

/// How the database writes a parameter. `position` is counted from 1: PostgreSQL writes `$1`.
///
/// SQLite takes that too, but sqlx looks up each name, which costs the square of their number. So
/// statements of many rows have parameters without names.
fn parameter(_position: usize) -> &'static str {
    "?"
}

/// Reads an address that the server wrote.
///
/// # Errors
/// [`StorageError::Inconsistent`] if it is not an address: the row was damaged.
pub(super) fn jid(row: &DbRow, column: &'static str, table: &'static str) -> Result<Jid> {
    let text: &str = row.try_get(column)?;
    Jid::parse(text).map_err(|e| StorageError::Inconsistent {
        table,
        key: text.to_owned(),
        problem: e.to_string(),
    })
}

/// A number of rows as the parameter of `LIMIT`.
pub(super) fn row_limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// The id of a message that the server wrote.
///
/// # Errors
/// [`StorageError::Inconsistent`] if it is not above 0.
pub(super) fn message_id(id: i64) -> Result<MessageId> {
    MessageId::new(id).ok_or_else(|| StorageError::Inconsistent {
        table: "message",
        key: id.to_string(),
        problem: "not an id of a message".into(),
    })
}
