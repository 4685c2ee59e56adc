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
        self.new_owner(jid).await?.ok_or_else(|| StorageError::Inconsistent {
            table: "owner",
            key: jid.to_string(),
            problem: "not there, and cannot be made".into(),
        })
    }

    /// Makes an owner; `None` if there is one.
    pub(super) async fn new_owner(&mut self, jid: &BareJid) -> Result<Option<Known>> {
        let row = sqlx::query_as::<_, (i64,)>(
            "INSERT INTO owner (jid, domain) VALUES ($1, $2) \
             ON CONFLICT (jid) DO NOTHING RETURNING number",
        )
        .bind(jid.as_str())
        .bind(jid.domain())
        .fetch_optional(&mut *self.connection)
        .await?;
        let known = row.map(|(number,)| Known { number, waiting: Some(0) });
        if let Some(known) = known {
            self.memory.remember(jid, known);
        }
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
        let count = jobs.len();
        let failure = match self.attempt(jobs).await {
            Ok(()) => return settle(jobs, None),
            Err(failure) => failure,
        };
        // One line for all of them: a full disk must not fill the log, too.
        tracing::error!(error = %failure.error(), count, "transaction failed");
        match failure {
            Failure::Change(_) if count > 1 => {
                for job in jobs.drain(..) {
                    let mut alone = vec![job];
                    let outcome = self.attempt(&mut alone).await;
                    settle(&mut alone, outcome.err().as_ref().map(Failure::error));
                }
            }
            Failure::Change(error) | Failure::Whole(error) => settle(jobs, Some(&error)),
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
            none => none.insert(Connection::connect_with(&self.options).await.map_err(whole)?),
        };
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await.map_err(whole)?;
        let mut on = Writing { connection: &mut *connection, memory: &mut self.memory };
        apply(&mut on, jobs).await.map_err(Failure::Change)?;
        sqlx::query("COMMIT").execute(&mut *connection).await.map_err(whole)?;
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
    /// One of its changes could not be applied; the others may do without it.
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
}

fn whole(error: sqlx::Error) -> Failure {
    Failure::Whole(error.into())
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::jid::Jid;
    use crate::storage::{SqliteStorage, Storage};

    /// Makes an owner and then does what fails.
    enum Bad {
        Panics,
        Statement,
    }

    #[async_trait]
    impl Change for Bad {
        type Answer = ();

        async fn apply(&self, on: &mut Writing<'_>) -> Result<()> {
            on.owner(&user("bad@localhost")).await?;
            match self {
                Self::Panics => panic!("on purpose"),
                Self::Statement => {
                    sqlx::query("INSERT INTO account (owner, created) VALUES (77, 1)")
                        .execute(&mut *on.connection)
                        .await?;
                }
            }
            Ok(())
        }
    }

    /// Makes an owner.
    struct Good(&'static str);

    #[async_trait]
    impl Change for Good {
        type Answer = i64;

        async fn apply(&self, on: &mut Writing<'_>) -> Result<i64> {
            Ok(on.owner(&user(self.0)).await?.number)
        }
    }

    fn user(text: &str) -> BareJid {
        Jid::parse(text).unwrap().to_bare()
    }

    fn keep(jid: &str, bytes: usize) -> Keep {
        Keep::new(&user(jid), Timestamp::from_micros(1), vec![b'x'; bytes].into(), 1_000)
    }

    /// A writer on a new database, with a bound on its pages.
    async fn writer(dir: &Path, pages: &'static str) -> Writer {
        let path = dir.join("test.sqlite");
        SqliteStorage::open(&path, 1, &Tasks::new()).await.unwrap().close().await;
        let options = SqliteConnectOptions::new().filename(&path).pragma("max_page_count", pages);
        let connection = Connection::connect_with(&options).await.unwrap();
        Writer::start(options, connection)
    }

    async fn owners(dir: &Path) -> Vec<String> {
        let options = SqliteConnectOptions::new().filename(dir.join("test.sqlite"));
        let mut connection = Connection::connect_with(&options).await.unwrap();
        let rows = sqlx::query_as::<_, (String,)>("SELECT jid FROM owner ORDER BY jid");
        rows.fetch_all(&mut connection).await.unwrap().into_iter().map(|(jid,)| jid).collect()
    }

    #[tokio::test]
    async fn a_change_that_fails_does_not_fail_its_neighbours() {
        let dir = tempfile::tempdir().unwrap();
        let writer = writer(dir.path(), "100000").await;
        // All of them are asked for before the writer runs, so they are one batch.
        let (a, bad, kept, worse, b) = tokio::join!(
            writer.write(Good("a@localhost")),
            writer.write(Bad::Statement),
            writer.keep(keep("c@localhost", 10)),
            writer.write(Bad::Panics),
            writer.write(Good("b@localhost")),
        );
        assert!(matches!(bad, Err(StorageError::Database(_))), "{bad:?}");
        assert!(matches!(worse, Err(StorageError::Database(_))), "{worse:?}");
        assert_ne!(a.unwrap(), b.unwrap());
        assert_eq!(kept.unwrap(), 1);
        assert_eq!(owners(dir.path()).await, ["a@localhost", "b@localhost", "c@localhost"]);
        // What was remembered of the failed transactions is forgotten.
        let number = writer.write(Good("bad@localhost")).await.unwrap();
        assert_eq!(writer.write(Good("bad@localhost")).await.unwrap(), number);
        assert_eq!(owners(dir.path()).await.len(), 4);
        writer.close().await;
    }

    #[tokio::test]
    async fn a_full_disk_is_an_error_and_not_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let writer = writer(dir.path(), "60").await;
        let mut kept = Vec::new();
        let error = loop {
            match writer.keep(keep("romeo@localhost", 9_000)).await {
                Ok(id) => kept.push(id),
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("full"), "{error}");
        assert!(!kept.is_empty());
        // Those in one batch with it suffer only if they need room, too.
        let forget = offline::Forget::new(&user("romeo@localhost"), kept[0]);
        let (large, forgotten) =
            tokio::join!(writer.keep(keep("juliet@localhost", 300_000)), writer.write(forget));
        assert!(large.is_err());
        assert_eq!(forgotten.unwrap(), 1);
        let next = writer.keep(keep("romeo@localhost", 1_000)).await.unwrap();
        assert!(next > *kept.last().unwrap());
        writer.close().await;
    }

    #[tokio::test]
    async fn nobody_waits_when_the_writer_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        let writer = writer(dir.path(), "100000").await;
        writer.close().await;
        assert!(writer.write(Good("a@localhost")).await.is_err());
    }

    #[test]
    fn the_memory_is_bounded_and_keeps_the_newest() {
        let mut memory = Memory::default();
        let jid = |n: usize| user(&format!("u{n}@localhost"));
        for n in 0..3 * REMEMBERED {
            memory.remember(&jid(n), Known { number: n as i64, waiting: None });
        }
        assert!(memory.young.len() + memory.old.len() <= 2 * REMEMBERED);
        assert!(memory.known(&jid(0)).is_none());
        assert_eq!(memory.known(&jid(3 * REMEMBERED - 1)).unwrap().number, 98_303);
    }
}
