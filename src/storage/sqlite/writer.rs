//! The one task that writes. It takes all jobs that have come since the last commit, applies them in one
//! transaction (group commit), and answers after COMMIT.
//!
//! A change that fails must not fail the others of its batch. Savepoints would cost two statements for
//! each change. So a batch is applied without savepoints. If a change fails, the batch is rolled back, and
//! its changes are tried again, each in a transaction of its own. A limit that is reached is found before
//! anything is written, and does not fail the batch.
//!
//! What is in a batch, and in which order it is written, is in [`super::batch`]. A job that nobody waits
//! for (a removed marker, the end of a session) is tried again if it fails, apart from new jobs: every two
//! seconds, before a flush is answered, and at the end.
//!
//! An error of COMMIT means that the change is not promised: after a crash of the machine it may be there
//! or not.

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use parking_lot::Mutex;
use smallvec::SmallVec;
use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::batch::{self, Job};
use super::begin_transaction::{BEGIN, TransactionStart};
use super::closed;
use super::insert_messages::{LEAST_LAG, QueuedMessage};
use super::write_tx::Memory;
pub(in crate::storage) use super::write_tx::{Known, WriteTx};
use crate::jid::BareJid;
use crate::metrics::Metrics;
use crate::payload::datetime::Timestamp;
use crate::storage::message_id::Ids;
use crate::storage::sql::Connection;
use crate::storage::sql::resumption::Begin;
use crate::storage::sql::transaction::Transaction;
use crate::storage::{
    Handled, Kept, MessageId, NewMessage, Receipt, Result, SessionNumber, StorageError,
};
use crate::tasks::Tasks;

/// A change of the database.
#[async_trait]
pub(in crate::storage) trait Change: Send + Sync + 'static {
    /// The answer to the caller.
    type Answer: Send + 'static;

    /// Writes the change. It is called again if the transaction was rolled back. A refusal or `Conflict`
    /// may only be returned before anything is written. Any other error rolls back the transaction.
    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<Self::Answer>;
}

/// Hands jobs to the task that writes. The task ends when this is dropped or closed.
#[derive(Debug)]
pub(in crate::storage) struct Writer {
    jobs: mpsc::Sender<Job>,
    /// Locked from when an id is made until its message is in the queue.
    ids: Mutex<Ids>,
    under_way: Arc<UnderWay>,
    /// When the storage began to close.
    closing: Arc<OnceLock<Instant>>,
    /// The task. It is not one of the server's tasks, because it must outlive all tasks that write.
    task: Tasks,
}

/// What the writer shares with those who read.
#[derive(Debug)]
pub(in crate::storage) struct Shared {
    /// How far ids are ahead of time at most, as it is stored.
    pub(in crate::storage) lag: Arc<AtomicI64>,
    /// The quota, in bytes, of accounts that have none of their own.
    pub(in crate::storage) quota: Arc<AtomicU64>,
}

/// How many jobs are not durable yet.
#[derive(Debug, Default)]
struct UnderWay {
    messages: AtomicUsize,
    markers: AtomicUsize,
    /// The metrics in which commits are counted.
    metrics: OnceLock<Metrics>,
}

struct Asked<C: Change> {
    change: C,
    result: Option<Result<C::Answer>>,
    answer: oneshot::Sender<Result<C::Answer>>,
}

/// A change, and the caller that waits for its answer.
#[async_trait]
pub(super) trait Pending: Send {
    async fn apply(&mut self, on: &mut WriteTx<'_>) -> Result<()>;
    fn settle(self: Box<Self>, failure: Option<&StorageError>);
}

struct Task {
    options: SqliteConnectOptions,
    connection: Option<Connection>,
    beginning: TransactionStart,
    memory: Memory,
    shared: Shared,
    under_way: Arc<UnderWay>,
    /// Jobs that failed and will be tried again, at most [`AGAIN`].
    again: Vec<Job>,
    /// When they will be tried again, if there are any.
    again_at: Option<Instant>,
}

/// Jobs in the queue, at most. Callers wait while it is full.
const QUEUE: usize = 1024;
/// Jobs that are taken from the queue at once, at most.
const BATCH: usize = 512;
/// Jobs that wait for others, at most.
const LAZY: usize = 1024;
/// Failed jobs that will be tried again, at most. Others are given up: their messages are delivered twice.
const AGAIN: usize = 16_384;
/// After which time failed jobs are tried again, if nobody asks for a flush.
const AGAIN_DELAY: Duration = Duration::from_secs(2);

impl Writer {
    /// Starts the task with its connection, and with the options to open another one if that fails.
    /// Messages get their ids from `ids`.
    pub(in crate::storage) fn start(
        options: SqliteConnectOptions,
        connection: Connection,
        ids: Ids,
        shared: Shared,
    ) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let task = Tasks::new();
        let under_way = Arc::<UnderWay>::default();
        let closing = Arc::<OnceLock<Instant>>::default();
        let writing = Task {
            options,
            connection: Some(connection),
            beginning: TransactionStart::new(Arc::clone(&closing)),
            memory: Memory::new(shared.lag.load(Ordering::Acquire)),
            shared,
            under_way: Arc::clone(&under_way),
            again: Vec::new(),
            again_at: None,
        };
        task.spawn("storage-writer", writing.run(queue));
        Self { jobs, ids: Mutex::new(ids), under_way, closing, task }
    }

    /// Writes a change and waits until it is durable.
    pub(super) async fn write<C: Change>(&self, change: C) -> Result<C::Answer> {
        let (answer, settled) = oneshot::channel();
        self.send(Job::Change(Box::new(Asked { change, result: None, answer }))).await?;
        settled.await.map_err(|_| closed())?
    }

    /// Waits until all jobs that were handed over before are durable, or have failed.
    pub(super) async fn flush(&self) -> Result<()> {
        let (answer, settled) = oneshot::channel();
        self.send(Job::Flush(answer)).await?;
        settled.await.map_err(|_| closed())
    }

    /// Gives a message its id and puts it into the queue.
    pub(super) async fn keep(&self, mut message: NewMessage) -> Result<Kept> {
        message.merge_holders();
        let (answer, settled) = oneshot::channel();
        let place = self.jobs.reserve().await.map_err(|_| closed())?;
        self.under_way.messages.fetch_add(1, Ordering::AcqRel);
        // The order of the queue is the order of the ids: a reader that sees a message sees all messages
        // of this node with lower ids.
        let mut ids = self.ids.lock();
        let id = ids.next(message.at);
        place.send(Job::Keep(Box::new(QueuedMessage { id, message, refused: None, answer })));
        drop(ids);
        Ok(Kept { id, receipt: Receipt::waiting(settled) })
    }

    /// The id of the newest message that was handed over.
    pub(super) fn newest(&self) -> Option<MessageId> {
        self.ids.lock().newest()
    }

    /// Removes markers, a little later.
    pub(super) async fn clear_markers(
        &self,
        owner: BareJid,
        ids: SmallVec<[MessageId; 4]>,
    ) -> Result<()> {
        // Counted when it is certain to be sent: a caller that waits for a place may be dropped.
        let place = self.jobs.reserve().await.map_err(|_| closed())?;
        self.under_way.markers.fetch_add(1, Ordering::AcqRel);
        place.send(Job::ClearMarkers(owner, ids));
        Ok(())
    }

    /// Counts commits from now on.
    pub(in crate::storage) fn measure(&self, metrics: &Metrics) {
        self.under_way.metrics.get_or_init(|| metrics.clone());
    }

    /// Messages are in the queue.
    pub(super) fn is_keeping(&self) -> bool {
        self.under_way.messages.load(Ordering::Acquire) > 0
    }

    /// Messages or removals of markers are in the queue.
    pub(super) fn is_busy(&self) -> bool {
        self.is_keeping() || self.under_way.markers.load(Ordering::Acquire) > 0
    }

    /// Stores how many stanzas a session has handled.
    pub(super) async fn handled(&self, handled: Handled) -> Result<Receipt> {
        let (answer, settled) = oneshot::channel();
        self.send(Job::Handled(handled, answer)).await?;
        Ok(Receipt::waiting(settled))
    }

    /// Stores that a session has begun.
    pub(super) async fn begin(&self, session: Begin) -> Result<Receipt> {
        let (answer, settled) = oneshot::channel();
        self.send(Job::Begin(Box::new(session), answer)).await?;
        Ok(Receipt::waiting(settled))
    }

    /// Stores that a session has ended, a little later.
    pub(super) async fn end(&self, session: SessionNumber, at: Timestamp) -> Result<()> {
        self.send(Job::End(session, at)).await
    }

    /// Stores a login, with the next change or a little later.
    pub(super) async fn login(&self, user: BareJid, at: Timestamp) -> Result<()> {
        self.send(Job::Login(user, at)).await
    }

    /// Writes all jobs and ends. Every call after it is an error. It waits a few seconds at most for
    /// another process that holds the database.
    pub(in crate::storage) async fn close(&self) {
        self.closing.get_or_init(Instant::now);
        if self.send(Job::Close).await.is_ok() {
            self.jobs.closed().await;
        }
        self.task.stop(Duration::from_secs(60)).await;
    }

    async fn send(&self, job: Job) -> Result<()> {
        self.jobs.send(job).await.map_err(|_| closed())
    }
}

impl Task {
    async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
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
                // A job that has failed is not there for who asks for a flush.
                Job::Flush(answer) => drop(answer.send(())),
                Job::Change(change) => change.settle(failure),
                Job::Keep(keep) => {
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
                    // Its session may be gone.
                    drop(answer.send(failure.cloned().map_or(Ok(()), Err)));
                }
                Job::Close | Job::End(..) | Job::Login(..) => {}
            }
        }
    }

    /// One transaction. Afterwards no transaction is open, or the connection is dropped.
    async fn attempt(&mut self, jobs: &mut [Job]) -> Tried {
        let began = Instant::now();
        // A panic must not end the only task that writes.
        let outcome = AssertUnwindSafe(self.transaction(jobs)).catch_unwind().await;
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

type Tried = std::result::Result<(), Failure>;

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

    /// Another process holds the database, so the transaction has not begun.
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

#[async_trait]
impl<C: Change> Pending for Asked<C> {
    async fn apply(&mut self, on: &mut WriteTx<'_>) -> Result<()> {
        match self.change.apply(on).await {
            Err(error) if error.is_refusal() || matches!(error, StorageError::Conflict) => {
                self.result = Some(Err(error));
            }
            answer => self.result = Some(Ok(answer?)),
        }
        Ok(())
    }

    fn settle(self: Box<Self>, failure: Option<&StorageError>) {
        let answer = match (failure, self.result) {
            (Some(error), _) => Err(error.clone()),
            (None, Some(answer)) => answer,
            (None, None) => Err(StorageError::Database("it was not tried".into())),
        };
        // The caller may be gone. The change is written in any case.
        drop(self.answer.send(answer));
    }
}

#[cfg(test)]
mod tests;
