//! An open database: the connections that read, and the task that writes.
//!
//! The stores are implemented for [`Database`], each in a file of its own. Reads take a connection from
//! [`Database::reader`]. Writes go through [`Database::writer`].

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::readers::{Reader, Readers};
use super::writer::Writer;
use crate::jid::BareJid;
use crate::storage::message_id::IdClock;
use crate::storage::read_scheduler::ReadScheduler;
use crate::storage::sql::owner;
use crate::storage::{NodeNumber, Result};

/// An open database.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) readers: Readers,
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
    /// How far ids of messages may be ahead of the time in which messages were taken, in microseconds.
    pub(super) lag: Arc<AtomicI64>,
    /// The quota, in bytes, of accounts that have none of their own.
    pub(super) quota: Arc<AtomicU64>,
    /// The counter of the last session that can be resumed.
    pub(super) last_session: AtomicI64,
}

impl Database {
    /// A connection that cannot write.
    pub(super) async fn reader(&self) -> Result<Reader<'_>> {
        self.readers.acquire().await
    }

    /// How ids and times belong together now.
    pub(super) fn id_clock(&self) -> IdClock {
        IdClock { nodeless: self.nodeless, lag: self.lag.load(Ordering::Acquire) }
    }

    /// The number of an owner, if something is stored for it.
    pub(super) async fn owner_number(&self, jid: &BareJid) -> Result<Option<i64>> {
        let row = owner::find(&mut *self.reader().await?, jid).await?;
        Ok(row.map(|(number, _)| number))
    }
}
