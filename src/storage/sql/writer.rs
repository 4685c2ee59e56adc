//! The one task that writes: it takes what has come together meanwhile, applies it in one
//! transaction, and answers after COMMIT.
//!
//! A change that fails must not fail its neighbours. Savepoints would cost two statements for each
//! change, and a statement is dear (about 20 us, a hop to the connection's thread and back). So a
//! batch is applied without them; if something in it fails, the batch is rolled back and its changes
//! are tried again, each in a transaction of its own. What is foreseen (a limit) is answered before
//! anything is written and spoils nothing.
//!
//! An error after a failed COMMIT means *not promised*: after a crash of the machine the change may
//! turn out to be there.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use rustc_hash::FxHashMap;
use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::offline::{self, Keep};
use super::{Connection, closed};
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::{Result, StorageError};
use crate::tasks::Tasks;

/// Something to be written.
#[async_trait]
pub(in crate::storage) trait Change: Send + Sync + 'static {
    /// What the asker hears.
    type Answer: Send + 'static;

    /// Writes it. May be called again if the transaction was rolled back. `Limit` and `Conflict`
    /// may be answered only before anything is written; any other error undoes everything.
    async fn apply(&self, on: &mut Writing<'_>) -> Result<Self::Answer>;
}

/// What a change works with.
pub(in crate::storage) struct Writing<'a> {
    /// Within a transaction.
    pub(in crate::storage) connection: &'a mut Connection,
    /// What the writer remembers.
    pub(in crate::storage) memory: &'a mut Memory,
}

/// What the writer remembers, as nobody else writes. Forgotten when a transaction fails.
#[derive(Default)]
pub(in crate::storage) struct Memory {
    /// Two generations: when the young are too many, the old ones are dropped.
    young: FxHashMap<BareJid, Known>,
    old: FxHashMap<BareJid, Known>,
    /// The id of the newest message; `None` if not read yet.
    pub(in crate::storage) last_message: Option<i64>,
}

/// What is remembered of an owner.
#[derive(Clone, Copy, Debug)]
pub(in crate::storage) struct Known {
    /// The number.
    pub(in crate::storage) number: i64,
    /// How many messages wait, if they were counted.
    pub(in crate::storage) waiting: Option<u32>,
}

/// The way to the task that writes. It ends when this is dropped or closed.
#[derive(Debug)]
pub(in crate::storage) struct Writer {
    jobs: mpsc::Sender<Job>,
    /// The task itself. Not among the server's tasks: it must outlive all who write.
    task: Tasks,
}

enum Job {
    Change(Box<dyn Pending>),
    Close,
    /// The most frequent change, of which many are written with one statement.
    Keep(Asked<Keep>),
    Login(BareJid, Timestamp),
}

struct Asked<C: Change> {
    change: C,
    result: Option<Result<C::Answer>>,
    answer: oneshot::Sender<Result<C::Answer>>,
}

#[async_trait]
trait Pending: Send {
    async fn apply(&mut self, on: &mut Writing<'_>) -> Result<()>;
    fn settle(self: Box<Self>, failure: Option<&StorageError>);
}

struct Task {
    options: SqliteConnectOptions,
    connection: Option<Connection>,
    memory: Memory,
}

/// How many changes may wait before those who bring more have to.
const QUEUE: usize = 1024;
/// How many are committed together at most.
const BATCH: usize = 256;
/// How many owners are remembered, in each generation.
const REMEMBERED: usize = 32_768;
/// How long the note of a login may wait for company.
const LOGIN_DELAY: Duration = Duration::from_secs(2);
/// How many logins wait at most.
const LOGINS: usize = 1024;

impl Writer {
    /// Starts the task with its connection, and with the options to open another if that is lost.
    pub(in crate::storage) fn start(options: SqliteConnectOptions, connection: Connection) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let task = Tasks::new();
        let writing = Task { options, connection: Some(connection), memory: Memory::default() };
        task.spawn("storage-writer", writing.run(queue));
        Self { jobs, task }
    }

    /// Writes and waits until it is durable.
    pub(super) async fn write<C: Change>(&self, change: C) -> Result<C::Answer> {
        let (answer, settled) = oneshot::channel();
        self.send(Job::Change(Box::new(Asked { change, result: None, answer }))).await?;
        settled.await.map_err(|_| closed())?
    }

    /// As `write`, together with others.
    pub(super) async fn keep(&self, change: Keep) -> Result<i64> {
        let (answer, settled) = oneshot::channel();
        self.send(Job::Keep(Asked { change, result: None, answer })).await?;
        settled.await.map_err(|_| closed())?
    }

    /// Notes a login, to be written with the next change or a little later.
    pub(super) async fn login(&self, user: BareJid, at: Timestamp) -> Result<()> {
        self.send(Job::Login(user, at)).await
    }

    /// Writes what has come and ends. Everything afterwards is an error.
    pub(in crate::storage) async fn close(&self) {
        if self.send(Job::Close).await.is_ok() {
            self.jobs.closed().await;
        }
        self.task.stop(Duration::from_secs(60)).await;
    }

    async fn send(&self, job: Job) -> Result<()> {
        self.jobs.send(job).await.map_err(|_| closed())
    }
}

impl Memory {
    pub(in crate::storage) fn known(&self, jid: &BareJid) -> Option<Known> {
        self.young.get(jid).or_else(|| self.old.get(jid)).copied()
    }

    pub(in crate::storage) fn remember(&mut self, jid: &BareJid, known: Known) {
        if self.young.len() >= REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(jid.clone(), known);
    }

    pub(in crate::storage) fn forget(&mut self, jid: &BareJid) {
        self.young.remove(jid);
        self.old.remove(jid);
    }
}

impl Writing<'_> {
    /// The number of an owner, who is made if there is none.
    pub(super) async fn owner(&mut self, jid: &BareJid) -> Result<Known> {
        if let Some(known) = self.owner_if_any(jid).await? {
            return Ok(known);
        }
        let (number,) = sqlx::query_as::<_, (i64,)>(
            "INSERT INTO owner (jid, domain) VALUES ($1, $2) RETURNING number",
        )
        .bind(jid.as_str())
        .bind(jid.domain())
        .fetch_one(&mut *self.connection)
        .await?;
        let known = Known { number, waiting: Some(0) };
        self.memory.remember(jid, known);
        Ok(known)
    }

    /// The number of an owner, if there is one.
    pub(super) async fn owner_if_any(&mut self, jid: &BareJid) -> Result<Option<Known>> {
        if let Some(known) = self.memory.known(jid) {
            return Ok(Some(known));
        }
        let row = sqlx::query_as::<_, (i64,)>("SELECT number FROM owner WHERE jid = $1")
            .bind(jid.as_str())
            .fetch_optional(&mut *self.connection)
            .await?;
        let known = row.map(|(number,)| Known { number, waiting: None });
        if let Some(known) = known {
            self.memory.remember(jid, known);
        }
        Ok(known)
    }
}

impl Task {
    async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut jobs = Vec::with_capacity(BATCH);
        let mut logins_due = None;
        loop {
            let ended = match logins_due {
                None => queue.recv_many(&mut jobs, BATCH).await == 0,
                Some(due) => {
                    let more = queue.recv_many(&mut jobs, BATCH);
                    tokio::time::timeout_at(due, more).await == Ok(0)
                }
            };
            jobs.retain(|job| {
                let is_end = matches!(job, Job::Close);
                if is_end {
                    queue.close();
                }
                !is_end
            });
            // A login is not worth a transaction: it stays in front of what comes next.
            let is_idle = jobs.len() < LOGINS && jobs.iter().all(|j| matches!(j, Job::Login(..)));
            let due = *logins_due.get_or_insert_with(|| Instant::now() + LOGIN_DELAY);
            if ended || !is_idle || Instant::now() >= due {
                self.commit(&mut jobs).await;
            }
            if jobs.is_empty() {
                logins_due = None;
            }
            if ended {
                break;
            }
        }
        self.finish().await;
    }

    /// Commits a batch and answers those who wait for it; empties `jobs`.
    async fn commit(&mut self, jobs: &mut Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        match self.attempt(jobs).await {
            Ok(()) => settle(jobs, None),
            Err(Failure::Commit(error)) => settle(jobs, Some(&error)),
            Err(Failure::Change(error)) if jobs.len() <= 1 => settle(jobs, Some(&error)),
            Err(Failure::Change(_)) => {
                for job in jobs.drain(..) {
                    let mut alone = vec![job];
                    let outcome = self.attempt(&mut alone).await;
                    settle(&mut alone, outcome.err().as_ref().map(Failure::error));
                }
            }
        }
    }

    /// One transaction. Afterwards none is open, or the connection is given up.
    async fn attempt(&mut self, jobs: &mut [Job]) -> Tried {
        // A panic must not end the only task that writes.
        let outcome = AssertUnwindSafe(self.transaction(jobs)).catch_unwind().await;
        let failure = match outcome {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(failure)) => failure,
            Err(_) => Failure::Change(StorageError::Database("the writer panicked".into())),
        };
        tracing::error!(error = %failure.error(), count = jobs.len(), "transaction failed");
        self.memory = Memory::default();
        if let Some(mut connection) = self.connection.take() {
            let rolled_back = sqlx::query("ROLLBACK").execute(&mut connection).await;
            if rolled_back.is_ok() && matches!(failure, Failure::Change(_)) {
                self.connection = Some(connection);
            } else if let Err(error) = connection.close().await {
                tracing::debug!(%error, "closing a failed connection");
            }
        }
        Err(failure)
    }

    async fn transaction(&mut self, jobs: &mut [Job]) -> Tried {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(Connection::connect_with(&self.options).await.map_err(change)?),
        };
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await.map_err(change)?;
        let mut on = Writing { connection: &mut *connection, memory: &mut self.memory };
        apply(&mut on, jobs).await.map_err(Failure::Change)?;
        let committed = sqlx::query("COMMIT").execute(&mut *connection).await;
        committed.map_err(|e| Failure::Commit(e.into()))?;
        Ok(())
    }

    /// Moves the log into the database file and closes.
    async fn finish(mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        let moved = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await;
        if let Err(error) = moved.map(|_| ()).and(connection.close().await) {
            tracing::warn!(%error, "closing the database");
        }
    }
}

type Tried = std::result::Result<(), Failure>;

/// Where a transaction failed.
enum Failure {
    /// One of its changes could not be applied, or it could not begin.
    Change(StorageError),
    /// It could not be committed.
    Commit(StorageError),
}

impl Failure {
    fn error(&self) -> &StorageError {
        match self {
            Self::Change(error) | Self::Commit(error) => error,
        }
    }
}

fn change(error: sqlx::Error) -> Failure {
    Failure::Change(error.into())
}

async fn apply(on: &mut Writing<'_>, jobs: &mut [Job]) -> Result<()> {
    let alike = |a: &Job, b: &Job| matches!((a, b), (Job::Keep(_), Job::Keep(_)));
    for run in jobs.chunk_by_mut(alike) {
        match run {
            [Job::Change(change)] => {
                change.apply(on).await?;
                continue;
            }
            [Job::Login(user, at)] => {
                super::account::write_login(on, user, *at).await?;
                continue;
            }
            _ => {}
        }
        let mut kept: Vec<&mut Asked<Keep>> = run
            .iter_mut()
            .filter_map(|job| if let Job::Keep(kept) = job { Some(kept) } else { None })
            .collect();
        let changes: Vec<&Keep> = kept.iter().map(|k| &k.change).collect();
        let answers = offline::keep_all(on, &changes).await?;
        for (kept, answer) in kept.iter_mut().zip(answers) {
            kept.result = Some(answer);
        }
    }
    Ok(())
}

fn settle(jobs: &mut Vec<Job>, failure: Option<&StorageError>) {
    for job in jobs.drain(..) {
        match job {
            Job::Change(change) => change.settle(failure),
            Job::Keep(kept) => Box::new(kept).settle(failure),
            // Whoever notes a login does not wait.
            Job::Close | Job::Login(..) => {}
        }
    }
}

#[async_trait]
impl<C: Change> Pending for Asked<C> {
    async fn apply(&mut self, on: &mut Writing<'_>) -> Result<()> {
        match self.change.apply(on).await {
            Err(error @ (StorageError::Limit(_) | StorageError::Conflict)) => {
                self.result = Some(Err(error));
            }
            answer => self.result = Some(Ok(answer?)),
        }
        Ok(())
    }

    fn settle(self: Box<Self>, failure: Option<&StorageError>) {
        let answer = match (failure, self.result) {
            (Some(error), _) => Err(StorageError::Database(error.to_string())),
            (None, Some(answer)) => answer,
            (None, None) => Err(StorageError::Database("it was not tried".into())),
        };
        // Who asked may be gone; it is written all the same.
        drop(self.answer.send(answer));
    }
}
