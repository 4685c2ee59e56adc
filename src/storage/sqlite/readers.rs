//! The connections that read.
//!
//! This is a pool of our own. The pool of sqlx starts a task for each connection that is given back. The
//! task sends a question to the connection's thread and waits for the answer, which costs more than most
//! of our reads. SQLite needs none of that: a read that is dropped leaves nothing behind in its
//! connection, and a local file does not go away.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use parking_lot::Mutex;
use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::storage::sql::Connection;
use crate::storage::{Result, StorageError};

/// Connections that cannot write. They are opened when they are needed.
#[derive(Debug)]
pub(super) struct Readers {
    options: SqliteConnectOptions,
    count: u32,
    permits: Semaphore,
    /// The connection that was used last is used next, because its page cache is the freshest.
    idle: Mutex<Vec<Connection>>,
}

/// A connection for one read. It is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    /// `None` while it is dropped only.
    connection: Option<Connection>,
    readers: &'a Readers,
    /// Given back after the connection.
    _permit: SemaphorePermit<'a>,
}

impl Readers {
    /// At most `count` connections.
    pub(super) fn new(options: SqliteConnectOptions, count: u32) -> Self {
        let permits = Semaphore::new(count as usize);
        Self { options, count, permits, idle: Mutex::default() }
    }

    /// Waits for a connection.
    ///
    /// # Errors
    /// If none is free for 10 seconds, if it cannot be opened, and after [`Readers::close`].
    pub(super) async fn acquire(&self) -> Result<Reader<'_>> {
        let waited = timeout(WAIT, self.permits.acquire()).await;
        let late = |_| StorageError::Database("no connection is free for reading".into());
        let permit = waited.map_err(late)?.map_err(|_| StorageError::closed())?;
        let idle = self.idle.lock().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => Connection::connect_with(&self.options).await?,
        };
        Ok(Reader { connection: Some(connection), readers: self, _permit: permit })
    }

    /// Waits until all reads are over, 10 seconds at most, and closes the connections. Later reads fail.
    pub(super) async fn close(&self) {
        let all = timeout(WAIT, self.permits.acquire_many(self.count)).await;
        self.permits.close();
        drop(all);
        let idle = std::mem::take(&mut *self.idle.lock());
        for connection in idle {
            if let Err(error) = connection.close().await {
                tracing::debug!(%error, "cannot close a connection");
            }
        }
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        if !self.readers.permits.is_closed() {
            self.readers.idle.lock().extend(self.connection.take());
        }
    }
}

impl Deref for Reader<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("a reader has its connection until it is dropped")
    }
}

impl DerefMut for Reader<'_> {
    fn deref_mut(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("a reader has its connection until it is dropped")
    }
}

/// How long to wait for a connection, and for reads at the end.
const WAIT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, TryStreamExt as _};

    use super::*;

    const MANY: &str =
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT n FROM n";

    async fn one(on: &mut Connection) -> i64 {
        sqlx::query_as::<_, (i64,)>("SELECT 1").fetch_one(on).await.unwrap().0
    }

    #[tokio::test]
    async fn connections_are_used_again_and_bounded() {
        let readers = Readers::new(SqliteConnectOptions::new().in_memory(true), 2);
        let (a, b) = (readers.acquire().await.unwrap(), readers.acquire().await.unwrap());
        assert!(readers.acquire().now_or_never().is_none());
        drop((a, b));
        assert_eq!(readers.idle.lock().len(), 2);
        assert_eq!(one(&mut readers.acquire().await.unwrap()).await, 1);
        assert_eq!(readers.idle.lock().len(), 2);
        readers.close().await;
        assert!(readers.acquire().await.is_err());
    }

    #[tokio::test]
    async fn a_read_that_is_dropped_leaves_nothing_behind() {
        let readers = Readers::new(SqliteConnectOptions::new().in_memory(true), 1);
        for _ in 0..3 {
            let mut reader = readers.acquire().await.unwrap();
            let mut rows = sqlx::query_as::<_, (i64,)>(MANY).fetch(&mut *reader);
            assert_eq!(rows.try_next().await.unwrap(), Some((1,)));
            drop(rows);
            let mut transaction = reader.begin().await.unwrap();
            assert_eq!(one(&mut transaction).await, 1);
            drop(transaction);
            drop(reader);
            assert_eq!(one(&mut readers.acquire().await.unwrap()).await, 1);
        }
        readers.close().await;
    }
}
