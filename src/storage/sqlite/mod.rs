//! The SQLite backend: one file in the data directory.
//!
//! Reads go through a pool of connections that cannot write, each in one statement. Writes are
//! [`change::Change`]s and go to one task, which commits many of them together.

mod account;
mod admission;
mod archive;
mod archive_query;
mod archive_scan;
mod archive_segments;
mod batch;
mod begin_transaction;
mod block_counts;
mod change;
mod commit_task;
mod delete_messages;
mod document;
mod insert_messages;
mod integrity_check;
mod open;
mod open_error;
mod readers;
mod resumption;
mod roster;
mod schema;
mod usage;
mod wal;
mod write_tx;
mod writer;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use self::readers::{Reader, Readers};
use self::writer::Writer;
use super::message_id::IdClock;
use super::read_scheduler::ReadScheduler;
use super::{NodeNumber, Result};

pub use open::SqliteStorage;

/// An open database.
#[derive(Debug)]
pub(super) struct Database {
    reads: Readers,
    /// Limits how many archives are read at the same time to fewer than there are connections, so that
    /// logins and rosters do not wait for archives.
    pub(super) turns: ReadScheduler,
    /// The task that writes.
    pub(super) writer: Writer,
    /// The server's secret, once it is known.
    pub(super) secret: OnceLock<[u8; 32]>,
    /// The node that this server is.
    pub(super) node: NodeNumber,
    /// Ids up to this one are microseconds without a node: see [`IdClock`].
    pub(super) nodeless: i64,
    /// How far ids of messages may be ahead of the time in which messages were taken.
    pub(super) lag: Arc<AtomicI64>,
    /// The quota, in bytes, of accounts that have none of their own.
    pub(super) quota: Arc<AtomicU64>,
    /// The counter of the last session that can be resumed.
    pub(super) last_session: AtomicI64,
}

impl Database {
    /// A connection that cannot write.
    async fn reader(&self) -> Result<Reader<'_>> {
        self.reads.acquire().await
    }

    /// How ids and times belong together now.
    fn id_clock(&self) -> IdClock {
        IdClock { nodeless: self.nodeless, lag: self.lag.load(Ordering::Acquire) }
    }
}
