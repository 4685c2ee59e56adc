//! The task behind the writer: it collects jobs into batches, commits them, and tries failed ones again.
//! `writer.rs` says what it promises.

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::batch::{self, Job};
use super::begin_transaction::{BEGIN, TransactionStart};
use super::under_way::UnderWay;
use super::write_tx::{Memory, Shared, WriteTx};
use crate::storage::StorageError;
use crate::storage::message_id::LEAST_LAG;
use crate::storage::sql::Connection;
use crate::storage::sql::transaction::Transaction;

pub(super) struct CommitTask {
    pub(super) options: SqliteConnectOptions,
    pub(super) connection: Option<Connection>,
    pub(super) beginning: TransactionStart,
    pub(super) memory: Memory,
    pub(super) shared: Shared,
    pub(super) under_way: Arc<UnderWay>,
    /// Jobs that failed and will be tried again, at most [`AGAIN`].
    pub(super) again: Vec<Job>,
    /// When they will be tried again, if there are any.
    pub(super) again_at: Option<Instant>,
}

/// Jobs that are taken from the queue at once, at most.
const BATCH: usize = 512;
/// Jobs that wait for others, at most.
const LAZY: usize = 1024;
/// Failed jobs that will be tried again, at most. Others are given up: their messages are delivered twice.
const AGAIN: usize = 16_384;
/// The time after which failed jobs are tried again, if no flush was requested.
const AGAIN_DELAY: Duration = Duration::from_secs(2);

impl CommitTask {
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut arrived = Vec::with_capacity(BATCH);
        // Jobs that wait for others, and until when.
        let (mut patient, mut due) = (Vec::new(), None);
        loop {
            let ended = match due {
                None => queue.recv_many(&mut arrived, BATCH).await == 0,
                Some(due) => {
                    let more = queue.recv_many(&mut arrived, BATCH);
                    tokio::time::timeout_at(due, more).await == Ok(0)
                }
            };
            let now = Instant::now();
            if arrived.iter().any(|job| matches!(job, Job::Close)) {
                queue.close();
                arrived.retain(|job| !matches!(job, Job::Close));
            }
            let lowest = arrived.iter().find_map(Job::message);
            let mut urgent = Vec::new();
            for job in arrived.drain(..) {
                if !job.may_wait(lowest) {
                    urgent.push(job);
                    continue;
                }
                let then = now + job.patience();
                due = Some(due.map_or(then, |due: Instant| due.min(then)));
                patient.push(job);
            }
            let is_due = due.is_some_and(|due| due <= now);
            // A change may depend on jobs that came before it.
            let needs_all = urgent.iter().any(|job| job.is_change() || job.is_flush());
            if ended || is_due || needs_all || patient.len() >= LAZY {
                let is_time = self.again_at.is_some_and(|at| at <= now);
                if is_time || urgent.iter().any(Job::is_flush) {
                    self.try_again().await;
                }
                patient.append(&mut urgent);
                self.commit(&mut patient).await;
                due = self.again_at;
            } else {
                batch::take_along(&mut patient, &mut urgent);
                self.commit(&mut urgent).await;
                due = due.into_iter().chain(self.again_at).min();
            }
            if ended {
                break;
            }
        }
        self.finish().await;
    }

    /// Tries failed jobs once more, apart from new ones, which must not fail with them.
    async fn try_again(&mut self) {
        self.again_at = None;
        let mut jobs = std::mem::take(&mut self.again);
        if jobs.is_empty() {
            return;
        }
        let failure = self.attempt(&mut jobs).await.err();
        if let Some(failure) = &failure {
            let count = jobs.len();
            tracing::debug!(error = %failure.error(), count, "transaction failed again");
        }
        self.settle(&mut jobs, failure.as_ref().map(Failure::error));
    }

    /// Commits a batch and answers its callers.
    async fn commit(&mut self, jobs: &mut Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        let count = jobs.len();
        let failure = match self.attempt(jobs).await {
            Ok(()) => return self.settle(jobs, None),
            Err(failure) => failure,
        };
        // One line for the whole batch: a full disk must not fill the log, too.
        tracing::error!(error = %failure.error(), count, "transaction failed");
        match failure {
            Failure::Change(_) if count > 1 => {
                for job in std::mem::take(jobs) {
                    let mut alone = vec![job];
                    let outcome = self.attempt(&mut alone).await;
                    self.settle(&mut alone, outcome.err().as_ref().map(Failure::error));
                }
            }
            Failure::Change(error) | Failure::Whole(error) => self.settle(jobs, Some(&error)),
        }
    }

    /// Answers the callers. Jobs without a caller are tried again if they failed.
    fn settle(&mut self, jobs: &mut Vec<Job>, failure: Option<&StorageError>) {
        for job in jobs.drain(..) {
            match job {
                // A flush does not report jobs that have failed: each of them has its own answer.
                Job::Flush(answer) => drop(answer.send(())),
                Job::Change(change) => change.settle(failure),
                Job::Keep(keep) => {
                    self.under_way.disturb(&keep.message);
                    // Before the answer, so that the caller can read it without a flush.
                    self.under_way.messages.fetch_sub(1, Ordering::AcqRel);
                    keep.settle(failure);
                }
                job @ (Job::ClearMarkers(..) | Job::End(..))
                    if failure.is_some() && self.again.len() < AGAIN =>
                {
                    self.again.push(job);
                    self.again_at.get_or_insert(Instant::now() + AGAIN_DELAY);
                }
                Job::ClearMarkers(..) => {
                    self.under_way.markers.fetch_sub(1, Ordering::AcqRel);
                }
                Job::Begin(_, answer) | Job::Handled(_, answer) => {
                    // Its session may have ended.
                    drop(answer.send(failure.cloned().map_or(Ok(()), Err)));
                }
                Job::Login(_, _, device) => {
                    if let Some(note) = device {
                        note.settle(failure);
                    }
                }
                Job::Close | Job::End(..) => {}
            }
        }
    }

    /// One transaction. Afterwards no transaction is open, or the connection is dropped.
    async fn attempt(&mut self, jobs: &mut [Job]) -> Tried {
        let began = Instant::now();
        // A panic must not end the only task that writes.
        let outcome = AssertUnwindSafe(self.transaction(jobs)).catch_unwind().await;
        // Also if it has failed: an error of COMMIT does not say what is on the disk.
        for owner in self.memory.take_shortened() {
            self.under_way.ends.forget(&owner);
        }
        let failure = match outcome {
            Ok(Ok(())) => {
                if let Some(metrics) = self.under_way.metrics.get() {
                    metrics.committed(jobs.len(), began.elapsed());
                }
                return Ok(());
            }
            Ok(Err(failure)) => failure,
            Err(_) => Failure::Change(StorageError::Database("the writer panicked".into())),
        };
        let failure = look_closer(failure, self.options.get_filename()).await;
        self.memory = Memory::new(LEAST_LAG);
        if let Some(mut connection) = self.connection.take() {
            let rolled_back = sqlx::query("ROLLBACK").execute(&mut connection).await.is_ok();
            if rolled_back && matches!(failure, Failure::Change(_)) || failure.is_busy() {
                self.connection = Some(connection);
            } else if let Err(error) = connection.close().await {
                tracing::debug!(%error, "cannot close a failed connection");
            }
        }
        Err(failure)
    }

    /// Applies the jobs in one transaction. BEGIN is sent together with the first statements. If it fails
    /// because another process has the database, BEGIN is tried alone until it succeeds, and the jobs are
    /// applied afterwards.
    async fn transaction(&mut self, jobs: &mut [Job]) -> Tried {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(Connection::connect_with(&self.options).await.map_err(whole)?),
        };
        let (memory, shared) = (&mut self.memory, &self.shared);
        if !self.beginning.is_in_vain() {
            let on = WriteTx::new(Transaction::new(connection, BEGIN), memory, shared);
            match apply_and_commit(on, jobs).await {
                Err(failure) if failure.is_busy() => *memory = Memory::new(LEAST_LAG),
                outcome => return outcome,
            }
        }
        self.beginning.begin(connection).await.map_err(Failure::Whole)?;
        apply_and_commit(WriteTx::new(Transaction::begun(connection), memory, shared), jobs).await
    }

    /// Moves the log into the database file and closes.
    async fn finish(mut self) {
        self.try_again().await;
        let Some(mut connection) = self.connection.take() else { return };
        let moved = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await;
        if let Err(error) = moved.map(|_| ()).and(connection.close().await) {
            tracing::warn!(%error, "cannot close the database");
        }
    }
}

async fn apply_and_commit(mut on: WriteTx<'_>, jobs: &mut [Job]) -> Tried {
    let outcome = match batch::apply(&mut on, jobs).await {
        Ok(()) => on.tx.commit().await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(committed) => committed.map_err(Failure::Whole),
        Err(error) if on.tx.has_begun() => Err(Failure::Change(error)),
        Err(error) => Err(Failure::Whole(error)),
    }
}

type Tried = Result<(), Failure>;

/// Where a transaction failed.
enum Failure {
    /// A change could not be applied. The others may be applied without it.
    Change(StorageError),
    /// It could not begin or be committed.
    Whole(StorageError),
}

impl Failure {
    fn error(&self) -> &StorageError {
        match self {
            Self::Change(error) | Self::Whole(error) => error,
        }
    }

    /// Whether the transaction could not begin because another process holds the database.
    fn is_busy(&self) -> bool {
        matches!(self, Self::Whole(StorageError::Busy(_)))
    }
}

/// Finds out why the disk failed. On a thread of its own, because a failing disk may be slow.
async fn look_closer(failure: Failure, database: &Path) -> Failure {
    if !matches!(failure.error(), StorageError::Disk(_)) {
        return failure;
    }
    let database = database.to_owned();
    let looking = tokio::task::spawn_blocking(move || match failure {
        Failure::Change(error) => Failure::Change(error.look_closer(&database)),
        Failure::Whole(error) => Failure::Whole(error.look_closer(&database)),
    });
    let stopped = |_| Failure::Whole(StorageError::Disk("it is unknown why".into()));
    looking.await.unwrap_or_else(stopped)
}

fn whole(error: sqlx::Error) -> Failure {
    Failure::Whole(error.into())
}
