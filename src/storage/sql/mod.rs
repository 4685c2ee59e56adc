//! What is kept in a database: statements and the writer. Nothing here names a database but the
//! aliases below; what is special stands in the file of the backend.
//!
//! Reads go through a pool, each in one statement. Writes are [`writer::Change`]s and go to one
//! task, which commits many of them together.

pub(super) mod account;
mod admit;
mod archive;
mod batch;
pub(super) mod begin;
mod blocks;
mod document;
mod find;
pub(super) mod keep;
mod many;
mod release;
mod resumption;
mod roster;
mod segment;
mod usage;
mod walk;
pub(super) mod writer;
mod writing;

use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Arc, OnceLock};

use sqlx::Row;

use super::turns::Turns;
use super::{Result, StorageError};
use crate::jid::Jid;
use writer::Writer;

/// The database of this build of the statements.
pub(super) type Db = sqlx::Sqlite;
/// One connection.
pub(super) type Connection = sqlx::SqliteConnection;
type DbRow = sqlx::sqlite::SqliteRow;

/// An open database.
#[derive(Debug)]
pub(super) struct Database {
    /// Connections that cannot write.
    pub(super) reads: sqlx::Pool<Db>,
    /// Who may read archives at the same time: fewer than there are connections, so that a login or
    /// a roster need not wait for it.
    pub(super) turns: Turns,
    /// The task that writes.
    pub(super) writer: Writer,
    /// The server's secret, once it was read.
    pub(super) secret: OnceLock<[u8; 32]>,
    /// How far ids of messages may be above the microseconds of their messages.
    pub(super) lag: Arc<AtomicI64>,
    /// How many bytes an account may keep for which nothing else was said.
    pub(super) quota: Arc<AtomicU64>,
    /// The highest number of a session that can be resumed.
    pub(super) last_session: AtomicI64,
}

/// What everybody hears after the end.
fn closed() -> StorageError {
    StorageError::Database("it is closed".into())
}

/// Reads an address that we wrote.
fn jid(row: &DbRow, column: &'static str, table: &'static str) -> Result<Jid> {
    let text: &str = row.try_get(column)?;
    Jid::parse(text).map_err(|e| StorageError::Inconsistent {
        table,
        key: text.to_owned(),
        problem: e.to_string(),
    })
}

/// As the bound of a `LIMIT`.
fn bound(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
