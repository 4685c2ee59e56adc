//! Opens the file of the database, checks it and brings its schema up to date.
//!
//! If the file cannot be used, the error is a sentence for the administrator. Nothing is written to a file
//! of another program, or of a newer version.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection as _};

use super::begin_transaction::ATTEMPT;
use super::database::Database;
use super::integrity_check::{check_later, quick_check};
use super::open_error::{damaged, explain};
use super::readers::Readers;
use super::schema::{migrate, refuse_foreign};
use super::write_tx::Shared;
use super::writer::Writer;
use super::{SqliteStorage, wal};
use crate::files;
use crate::storage::data_lock::{make_directory, unusable};
use crate::storage::message_id::{IdClock, Ids, LEAST_LAG};
use crate::storage::node;
use crate::storage::read_scheduler::ReadScheduler;
use crate::storage::sql::Connection;
use crate::storage::{NodeNumber, Result, StorageError};
use crate::tasks::Tasks;

/// Files up to this size, in bytes, are checked before they are used. Larger ones are checked while they
/// are in use.
const CHECKED_AT_ONCE: u64 = 64 << 20;

impl SqliteStorage {
    /// Opens the file, or makes it (mode 0600, its directory 0700). Brings its schema up to date in one
    /// transaction. Uses `readers` connections to read, at least one.
    ///
    /// A file up to 64 MiB is checked for damage first (`PRAGMA quick_check`, 0.3 s at most). A larger
    /// file is checked by a task of `tasks`, which logs an error when it finds damage. The file must not
    /// be open elsewhere: see [`crate::storage::DataLock`]. The task that writes is not one of `tasks`; it
    /// ends by `close`.
    ///
    /// Tests with paused time cannot use it: while the database works, no other timer is due, so the clock
    /// jumps to the timeouts.
    ///
    /// # Errors
    /// [`StorageError::Unusable`] with a sentence for the administrator.
    pub async fn open(path: &Path, readers: u32, tasks: &Tasks) -> Result<Arc<Self>> {
        Self::open_as(NodeNumber::default(), path, readers, tasks).await
    }

    /// The same, as another node than number 0. A file has one node at a time.
    ///
    /// # Errors
    /// As [`SqliteStorage::open`].
    pub async fn open_as(
        node: NodeNumber,
        path: &Path,
        readers: u32,
        tasks: &Tasks,
    ) -> Result<Arc<Self>> {
        let size = prepare_file(path)?;
        let database = path.to_owned();
        // SQLite discards what it cannot use of the log, so the log is read before. If that panics, the
        // server starts nevertheless.
        drop(tokio::task::spawn_blocking(move || wal::report_damage(&database)).await);
        let options = options(path);
        // The last page of each archive is written again and again. It should be moved from the log into
        // the file rarely.
        let writing = options.clone().busy_timeout(ATTEMPT).pragma("wal_autocheckpoint", "16000");
        let mut connection =
            Connection::connect_with(&writing).await.map_err(|e| explain(path, &e))?;
        refuse_foreign(&mut connection, path).await?;
        if size > 0 && size <= CHECKED_AT_ONCE {
            let problem = quick_check(&mut connection, None).await;
            if let Some(problem) = problem.map_err(|e| explain(path, &e))? {
                return Err(damaged(path, &problem));
            }
        }
        warn_of_shared_cache(&mut connection).await.map_err(|e| explain(path, &e))?;
        migrate(&mut connection, path).await?;
        let numbers = numbers(&mut connection).await.map_err(|e| explain(path, &e))?;

        let read_only = options.read_only(true).create_if_missing(false);
        let pool = Readers::new(read_only.clone(), readers.max(1));
        if size > CHECKED_AT_ONCE {
            tasks.spawn("storage-check", check_later(path.into(), read_only, tasks.stopping()));
        }
        let lag = Arc::new(AtomicI64::new(numbers.lag));
        let quota = Arc::new(AtomicU64::new(u64::MAX));
        let shared = Shared { lag: Arc::clone(&lag), quota: Arc::clone(&quota) };
        let nodeless = numbers.nodeless;
        let clock = IdClock { nodeless, lag: numbers.lag };
        let ids = Ids::after(numbers.message, clock, node);
        let writer = Writer::start(writing, connection, ids, shared);
        let last_session = AtomicI64::new(node::counter(numbers.session));
        let secret = OnceLock::new();
        let turns = ReadScheduler::new(readers.saturating_sub(1) as usize);
        let database = Database {
            readers: pool,
            turns,
            writer,
            secret,
            node,
            nodeless,
            lag,
            quota,
            last_session,
        };
        Ok(Arc::new(Self { database }))
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(Duration::from_secs(5))
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        // 16 MiB. A larger cache makes commits slower: after one that divides pages, SQLite walks through the
        // whole table of its cache.
        .pragma("cache_size", "-16384")
        .pragma("temp_store", "MEMORY")
        .disable_statement_logging()
}

/// Makes the file if there is none, and checks that it looks like a database. Returns its size in bytes.
fn prepare_file(path: &Path) -> Result<u64> {
    let dir = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_directory(dir)?;
    if !path.exists() {
        create(dir, path)?;
    }
    // The file is closed before SQLite opens it: closing it later would end the locks of the process.
    let mut file: File = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(|e| unusable("open the database", path, &e))?;
    let mut header = Vec::new();
    file.by_ref()
        .take(16)
        .read_to_end(&mut header)
        .map_err(|e| unusable("read the database", path, &e))?;
    if !header.is_empty() && header != b"SQLite format 3\0" {
        return Err(StorageError::Unusable(format!(
            "{} is not a database, or its beginning is destroyed: move it away, or restore a backup",
            path.display()
        )));
    }
    let size = file.metadata().map_err(|e: io::Error| unusable("look at", path, &e))?.len();
    Ok(size)
}

/// Makes an empty file with its mode and owner. SQLite gives its other files the same. The directory is
/// synced: otherwise a power cut could remove the file with all that was committed.
fn create(dir: &Path, path: &Path) -> Result<()> {
    let make = || {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        files::hand_over(&file, path)?;
        file.sync_all()?;
        File::open(dir)?.sync_all()
    };
    make().map_err(|e| unusable("make the database", path, &e))
}

/// Logs a warning if SQLite was built without the flags of `.cargo/config.toml`. Then all connections
/// share one page cache, which drops pages once it is full (decision 0008).
async fn warn_of_shared_cache(connection: &mut Connection) -> std::result::Result<(), sqlx::Error> {
    let statement = "SELECT sqlite_compileoption_used('ENABLE_MEMORY_MANAGEMENT')";
    let (is_shared,): (bool,) = sqlx::query_as(statement).fetch_one(connection).await?;
    if is_shared {
        tracing::warn!(
            "SQLite was built without Waxwing's flags, so large archives are written slowly: \
             build in the source folder (`cargo install --path . --locked`)"
        );
    }
    Ok(())
}

/// The last ids and numbers that were used.
struct Numbers {
    lag: i64,
    /// See [`IdClock`].
    nodeless: i64,
    message: i64,
    session: i64,
}

async fn numbers(connection: &mut Connection) -> std::result::Result<Numbers, sqlx::Error> {
    // Not the highest id in the table: that message may have been deleted, and no id is used twice.
    type Row = (Option<i64>, Option<i64>, Option<Vec<u8>>, Option<Vec<u8>>);
    let (message, session, lag, nodeless): Row = sqlx::query_as(
        "SELECT (SELECT seq FROM sqlite_sequence WHERE name = 'message'), \
         (SELECT max(n) FROM (SELECT max(number) AS n FROM resumable \
         UNION ALL SELECT max(session) FROM handled)), \
         (SELECT value FROM setting WHERE name = 'id_lag'), \
         (SELECT value FROM setting WHERE name = 'nodeless_ids')",
    )
    .fetch_one(connection)
    .await?;
    let number = |bytes: Option<Vec<u8>>| Some(i64::from_be_bytes(bytes?.try_into().ok()?));
    Ok(Numbers {
        lag: number(lag).unwrap_or(LEAST_LAG),
        nodeless: number(nodeless).unwrap_or(0),
        message: message.unwrap_or(0),
        session: session.unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sqlite_is_built_with_a_page_cache_for_each_connection() {
        let mut connection = Connection::connect("sqlite::memory:").await.unwrap();
        let statement = "SELECT sqlite_compileoption_used('ENABLE_MEMORY_MANAGEMENT')";
        let (is_shared,): (bool,) =
            sqlx::query_as(statement).fetch_one(&mut connection).await.unwrap();
        assert!(!is_shared, "cargo did not read .cargo/config.toml");
    }
}
