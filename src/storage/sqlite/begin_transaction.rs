//! Begins a transaction, and waits while another process holds the database.
//!
//! A backup, or an administrator with a shell of SQLite, holds it for seconds, and no message should fail
//! because of that. So the wait is long, but bounded, and short while the server stops. A full disk is not
//! waited for: it does not get empty by waiting.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::storage::sql::Connection;
use crate::storage::{Result, StorageError};

/// Begins transactions.
#[derive(Debug, Default)]
pub(super) struct TransactionStart {
    /// When the storage began to close.
    closing: Arc<OnceLock<Instant>>,
    /// The last wait failed, and the database has not been free since.
    is_in_vain: bool,
}

impl TransactionStart {
    /// `closing` is set when the storage is being closed.
    pub(super) fn new(closing: Arc<OnceLock<Instant>>) -> Self {
        Self { closing, is_in_vain: false }
    }

    /// Whether the last wait took as long as it may, and the database was not free since then.
    pub(super) fn is_in_vain(&self) -> bool {
        self.is_in_vain
    }

    /// Begins a transaction that can write.
    ///
    /// # Errors
    /// [`StorageError::Busy`] if another process holds the database for 30 seconds, or for 5 seconds after
    /// the storage began to close. After that, each transaction tries once, until the database was free
    /// again.
    pub(super) async fn begin(&mut self, connection: &mut Connection) -> Result<()> {
        let begun = Instant::now();
        let mut is_told = self.is_in_vain;
        loop {
            let outcome = sqlx::query(BEGIN).execute(&mut *connection).await;
            let error = match outcome.map_err(StorageError::from) {
                Ok(_) => break,
                Err(error @ StorageError::Busy(_)) => error,
                Err(other) => return Err(other),
            };
            if Instant::now() >= self.deadline(begun) {
                self.is_in_vain = true;
                return Err(error);
            }
            if !is_told {
                tracing::warn!(%error, "waiting for the database");
                is_told = true;
            }
            sleep(PAUSE).await;
        }
        if is_told {
            let elapsed_ms = begun.elapsed().as_millis();
            tracing::info!(elapsed_ms, "the database is free again");
        }
        self.is_in_vain = false;
        Ok(())
    }

    fn deadline(&self, begun: Instant) -> Instant {
        let deadline = if self.is_in_vain { begun } else { begun + BUSY };
        match self.closing.get() {
            Some(closing) => deadline.min(*closing + CLOSING),
            None => deadline,
        }
    }
}

/// The transaction can write, so none of its statements waits for another process.
pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";
/// How long another process may hold the database before writes fail.
const BUSY: Duration =
    if cfg!(test) { Duration::from_millis(500) } else { Duration::from_secs(30) };
/// The same, while the storage closes.
const CLOSING: Duration =
    if cfg!(test) { Duration::from_millis(100) } else { Duration::from_secs(5) };
/// The pause between two attempts. In each attempt SQLite waits, too: see [`ATTEMPT`].
const PAUSE: Duration = Duration::from_millis(20);
/// How long SQLite waits in one attempt (`busy_timeout`). Nothing can stop it during that time.
pub(in crate::storage) const ATTEMPT: Duration = Duration::from_secs(1);
