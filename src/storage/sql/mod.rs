//! Statements that SQLite and PostgreSQL both take.
//!
//! Only the aliases below name a database. What SQLite alone can do stands in [`super::sqlite`].

pub(super) mod account;
pub(super) mod document;
pub(super) mod multi_row;
pub(super) mod owner;
pub(super) mod resumption;
pub(super) mod roster;
pub(super) mod setting;
pub(super) mod undelivered;

use sqlx::Row;

use super::{MessageId, Result, StorageError};
use crate::jid::Jid;

/// The database for which the statements are built.
pub(super) type Db = sqlx::Sqlite;
/// One connection to it.
pub(super) type Connection = sqlx::SqliteConnection;
/// One row of an answer.
pub(super) type DbRow = sqlx::sqlite::SqliteRow;

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
