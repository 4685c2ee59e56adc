use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64};

use async_trait::async_trait;
use futures_util::FutureExt;
use smallvec::smallvec;
use sqlx::Connection as _;

use super::super::write_tx::WriteTx;
use super::*;
use crate::jid::Jid;
use crate::storage::message_id::{IdClock, LEAST_LAG};
use crate::storage::{Holder, NodeNumber, SqliteStorage, Storage, StorageError, Way};

/// Makes an owner and then does what fails.
enum Bad {
    Panics,
    Statement,
}

#[async_trait]
impl Change for Bad {
    type Answer = ();

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<()> {
        on.owner(&user("bad@localhost")).await?;
        match self {
            Self::Panics => panic!("on purpose"),
            Self::Statement => {
                sqlx::query("INSERT INTO account (owner, created) VALUES (77, 1)")
                    .execute(on.tx.connection().await?)
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

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<i64> {
        Ok(on.owner(&user(self.0)).await?.number)
    }
}

fn user(text: &str) -> BareJid {
    Jid::parse(text).unwrap().to_bare()
}

/// A message that waits, and is in no archive.
fn message(jid: &str, bytes: usize) -> NewMessage {
    let holder = Holder {
        owner: user(jid),
        with: user(jid).into_jid(),
        way: Way::Received,
        archive: false,
        waiting: true,
        limit: Some(1_000),
    };
    NewMessage {
        at: Timestamp::from_micros(1),
        xml: vec![b'x'; bytes].into(),
        holders: smallvec![holder],

        handled: None,
    }
}

async fn keep(writer: &Writer, jid: &str, bytes: usize) -> Result<MessageId> {
    let kept = writer.keep(message(jid, bytes)).await?;
    kept.receipt.await.map(|()| kept.id)
}

/// A writer on a new database, with a bound on its pages.
async fn writer(dir: &Path, pages: &'static str) -> Writer {
    let path = dir.join("test.sqlite");
    SqliteStorage::open(&path, 1, &Tasks::new()).await.unwrap().close().await;
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .busy_timeout(Duration::from_millis(1))
        .pragma("max_page_count", pages);
    let connection = Connection::connect_with(&options).await.unwrap();
    let lag = Arc::new(AtomicI64::new(LEAST_LAG));
    let shared = Shared { lag, quota: Arc::new(AtomicU64::new(u64::MAX)) };
    let ids = Ids::after(0, IdClock::default(), NodeNumber::default());
    Writer::start(options, connection, ids, shared)
}

async fn owners(dir: &Path) -> Vec<String> {
    let options = SqliteConnectOptions::new().filename(dir.join("test.sqlite"));
    let mut connection = Connection::connect_with(&options).await.unwrap();
    let rows = sqlx::query_as::<_, (String,)>("SELECT jid FROM owner ORDER BY jid");
    rows.fetch_all(&mut connection).await.unwrap().into_iter().map(|(jid,)| jid).collect()
}

/// Undelivered messages.
async fn markers(dir: &Path) -> Vec<MessageId> {
    let options = SqliteConnectOptions::new().filename(dir.join("test.sqlite"));
    let mut connection = Connection::connect_with(&options).await.unwrap();
    let rows = sqlx::query_as::<_, (i64,)>("SELECT message FROM waiting ORDER BY message");
    let rows = rows.fetch_all(&mut connection).await.unwrap();
    // Or the file is locked for a moment when the last connection ends.
    connection.close().await.unwrap();
    rows.into_iter().map(|(id,)| MessageId::new(id).unwrap()).collect()
}

#[tokio::test]
async fn a_change_that_fails_does_not_fail_its_neighbours() {
    let dir = tempfile::tempdir().unwrap();
    let writer = writer(dir.path(), "100000").await;
    // All of them are asked for before the writer runs, so they are one batch.
    let (a, bad, kept, worse, b) = tokio::join!(
        writer.write(Good("a@localhost")),
        writer.write(Bad::Statement),
        keep(&writer, "c@localhost", 10),
        writer.write(Bad::Panics),
        writer.write(Good("b@localhost")),
    );
    assert!(matches!(bad, Err(StorageError::Database(_))), "{bad:?}");
    assert!(matches!(worse, Err(StorageError::Database(_))), "{worse:?}");
    assert_ne!(a.unwrap(), b.unwrap());
    assert_eq!(kept.unwrap().get(), 1 << 10);
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
    let writer = writer(dir.path(), "90").await;
    let mut kept = Vec::new();
    let error = loop {
        match keep(&writer, "romeo@localhost", 9_000).await {
            Ok(id) => kept.push(id),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("full"), "{error}");
    assert!(!kept.is_empty());
    // Those in one batch with it suffer only if they need room, too.
    let (large, cleared) = tokio::join!(
        keep(&writer, "juliet@localhost", 300_000),
        writer.clear_markers(user("romeo@localhost"), smallvec![kept[0]]),
    );
    assert!(large.is_err());
    cleared.unwrap();
    writer.flush().await.unwrap();
    assert_eq!(markers(dir.path()).await, kept[1..]);
    let next = keep(&writer, "romeo@localhost", 1_000).await.unwrap();
    assert!(next > *kept.last().unwrap());
    writer.close().await;
}

/// Somebody else has the file: every transaction fails until this one ends.
async fn locked(dir: &Path) -> Connection {
    let options = SqliteConnectOptions::new().filename(dir.join("test.sqlite"));
    let mut connection = Connection::connect_with(&options).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
    connection
}

/// After one long wait has failed, no other write waits so long until the database was free once.
#[tokio::test]
async fn a_database_that_stays_locked_is_waited_for_once() {
    let dir = tempfile::tempdir().unwrap();
    let writer = writer(dir.path(), "100000").await;
    for _ in 0..2 {
        let lock = locked(dir.path()).await;
        for waits in [true, false, false] {
            let begun = Instant::now();
            let outcome = keep(&writer, "romeo@localhost", 10).await;
            assert!(matches!(outcome, Err(StorageError::Busy(_))), "{outcome:?}");
            assert_eq!(begun.elapsed() >= Duration::from_millis(500), waits);
        }
        lock.close().await.unwrap();
        keep(&writer, "romeo@localhost", 10).await.unwrap();
    }
    writer.close().await;
}

/// A message goes to the disk at once, and takes only those markers along that need not be written then.
#[tokio::test]
async fn a_marker_that_falls_waits_for_others_though_messages_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let writer = writer(dir.path(), "100000").await;
    let first = keep(&writer, "romeo@localhost", 10).await.unwrap();
    writer.clear_markers(user("romeo@localhost"), smallvec![first]).await.unwrap();
    let second = keep(&writer, "juliet@localhost", 10).await.unwrap();
    assert_eq!(markers(dir.path()).await, [first, second]);
    let third = writer.keep(message("nurse@localhost", 10)).await.unwrap();
    writer.clear_markers(user("nurse@localhost"), smallvec![third.id]).await.unwrap();
    third.receipt.await.unwrap();
    assert_eq!(markers(dir.path()).await, [first, second]);
    // What an owner may store depends on what is undelivered.
    let fourth = keep(&writer, "romeo@localhost", 10).await.unwrap();
    assert_eq!(markers(dir.path()).await, [second, fourth]);
    writer.close().await;
}

#[tokio::test]
async fn a_marker_is_removed_as_soon_as_that_is_possible() {
    for is_the_end in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let writer = writer(dir.path(), "100000").await;
        let id = keep(&writer, "romeo@localhost", 10).await.unwrap();
        let lock = locked(dir.path()).await;
        writer.clear_markers(user("romeo@localhost"), smallvec![id]).await.unwrap();
        for _ in 0..20 {
            assert!(keep(&writer, "juliet@localhost", 10).await.is_err());
        }
        assert!(writer.is_busy());
        assert_eq!(markers(dir.path()).await, [id]);
        lock.close().await.unwrap();
        if !is_the_end {
            writer.flush().await.unwrap();
            assert_eq!(markers(dir.path()).await, []);
            assert!(!writer.is_busy());
        }
        writer.close().await;
        assert_eq!(markers(dir.path()).await, []);
    }
}

#[tokio::test]
async fn nothing_is_under_way_of_what_was_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let writer = writer(dir.path(), "100000").await;
    let login = || Job::Login(user("romeo@localhost"), Timestamp::from_micros(1), None);
    while writer.jobs.try_send(login()).is_ok() {}
    let id = MessageId::new(1).unwrap();
    assert!(writer.clear_markers(user("romeo@localhost"), smallvec![id]).now_or_never().is_none());
    assert!(keep(&writer, "romeo@localhost", 10).now_or_never().is_none());
    assert!(!writer.is_busy());
    writer.close().await;
}

#[tokio::test]
async fn nobody_waits_when_the_writer_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let writer = writer(dir.path(), "100000").await;
    writer.close().await;
    assert!(writer.write(Good("a@localhost")).await.is_err());
}
