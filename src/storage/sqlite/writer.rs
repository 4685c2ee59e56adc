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

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use smallvec::SmallVec;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::batch::Job;
use super::begin_transaction::TransactionStart;
use super::change::{Asked, Change};
use super::commit_task::CommitTask;
use super::device_note::DeviceNote;
use super::queued_message::QueuedMessage;
use super::under_way::UnderWay;
use super::write_tx::{Memory, Shared};
use crate::jid::BareJid;
use crate::metrics::Metrics;
use crate::payload::datetime::Timestamp;
use crate::storage::message_id::Ids;
use crate::storage::sql::Connection;
use crate::storage::sql::resumption::Begin;
use crate::storage::{
    End, Handled, Kept, MessageId, NewMessage, ReadCache, Receipt, Result, SessionNumber,
    StorageError,
};
use crate::tasks::Tasks;

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

/// Jobs in the queue, at most. Callers wait while it is full.
const QUEUE: usize = 1024;

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
        let writing = CommitTask {
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
        settled.await.map_err(|_| StorageError::closed())?
    }

    /// Waits until all jobs that were handed over before are durable, or have failed.
    pub(super) async fn flush(&self) -> Result<()> {
        let (answer, settled) = oneshot::channel();
        self.send(Job::Flush(answer)).await?;
        settled.await.map_err(|_| StorageError::closed())
    }

    /// Gives a message its id and puts it into the queue.
    pub(super) async fn keep(&self, mut message: NewMessage) -> Result<Kept> {
        message.merge_holders();
        let (answer, settled) = oneshot::channel();
        let place = self.jobs.reserve().await.map_err(|_| StorageError::closed())?;
        self.under_way.messages.fetch_add(1, Ordering::AcqRel);
        self.under_way.disturb(&message);
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
        let place = self.jobs.reserve().await.map_err(|_| StorageError::closed())?;
        self.under_way.markers.fetch_add(1, Ordering::AcqRel);
        place.send(Job::ClearMarkers(owner, ids));
        Ok(())
    }

    /// Counts commits from now on.
    pub(in crate::storage) fn measure(&self, metrics: &Metrics) {
        self.under_way.metrics.get_or_init(|| metrics.clone());
    }

    /// Owners for whom no message waits, as far as that is known.
    pub(super) fn quiet(&self) -> &ReadCache<BareJid, ()> {
        &self.under_way.quiet
    }

    /// The ends of archives, as far as they are known.
    pub(super) fn ends(&self) -> &ReadCache<BareJid, Option<(End, End)>> {
        &self.under_way.ends
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
    pub(super) async fn login(
        &self,
        user: BareJid,
        at: Timestamp,
        device: Option<Box<DeviceNote>>,
    ) -> Result<()> {
        self.send(Job::Login(user, at, device)).await
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
        self.jobs.send(job).await.map_err(|_| StorageError::closed())
    }
}

#[cfg(test)]
mod tests;
