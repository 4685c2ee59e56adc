//! Errors of storage. They are distinguished as far as that matters to the sender of a stanza, who may try again
//! later, and to the administrator, who has to do something.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The result of a call to storage.
pub type Result<T> = std::result::Result<T, StorageError>;

/// Why storage failed. This text goes to the log, never to a peer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StorageError {
    /// Another process holds the database, or all connections are in use, for longer than the server
    /// waits. The text is a sentence. The same request may succeed later.
    #[error("{0}")]
    Busy(&'static str),
    /// The row exists already.
    #[error("conflicts with a stored row")]
    Conflict,
    /// The database failed in another way: it is damaged, or there is a bug.
    #[error("database: {0}")]
    Database(String),
    /// A file of the database could not be opened, read or written, and the disk is not full.
    #[error("cannot read or write the database: {0}")]
    Disk(String),
    /// The disk is full. The text is a sentence. The same request may succeed later.
    #[error("{0}")]
    Full(&'static str),
    /// A stored row is invalid.
    #[error("{table} {key}: {problem}")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The key of the row, readable.
        key: String,
        /// What is wrong.
        problem: String,
    },
    /// A bound of the configuration is reached.
    #[error("limit reached: {0}")]
    Limit(&'static str),
    /// An account has used up its quota: see [`UsageStore`](super::UsageStore).
    #[error("the account has used up its quota")]
    Quota,
    /// The database was written by a newer version of the program, or cannot be opened.
    #[error("{0}")]
    Unusable(String),
}

/// The limit on the undelivered messages of an account, as [`StorageError::Limit`] names it.
pub const OFFLINE_MESSAGES: &str = "offline messages";

impl From<sqlx::Error> for StorageError {
    /// By the result code of SQLite (<https://www.sqlite.org/rescode.html>). Some of its input/output
    /// errors mean a full disk, too: see [`StorageError::look_closer`].
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
                return Self::closed();
            }
            sqlx::Error::PoolTimedOut => {
                return Self::Busy("all connections that read the database are in use");
            }
            _ => {}
        }
        let code = code_of(&error);
        match code.map(|code| code & 0xff) {
            Some(BUSY | LOCKED) => Self::Busy("another process holds the database"),
            Some(CORRUPT | NOT_A_DATABASE) => {
                Self::Database(format!("the file is damaged, restore a backup ({error})"))
            }
            Some(FULL) => Self::Full(NO_ROOM),
            Some(CANNOT_OPEN | IO_ERROR) => Self::Disk(error.to_string()),
            _ => Self::Database(error.to_string()),
        }
    }
}

impl StorageError {
    /// The error of each call after the storage was closed.
    pub fn closed() -> Self {
        Self::Database("it is closed".into())
    }

    /// Whether a limit or a quota was reached. Nothing has failed then.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Limit(_) | Self::Quota)
    }

    /// Tells a full disk from one that fails. SQLite says "full" for `ENOSPC` only. A disk quota that is
    /// used up and a file that may not grow are errors of writing (778), of the index of the log (4874)
    /// or of syncing (1034), the same as those of a broken disk. So this writes a little beside
    /// `database`, and looks at the error of the system. It blocks for as long as that takes.
    #[must_use]
    pub(super) fn look_closer(self, database: &Path) -> Self {
        match self {
            Self::Disk(text) => no_room(database).map_or(Self::Disk(text), Self::Full),
            other => other,
        }
    }
}

/// The extended result code, if SQLite answered.
pub(super) fn code_of(error: &sqlx::Error) -> Option<i64> {
    error.as_database_error().and_then(|error| error.code()?.parse().ok())
}

/// A sentence that says why nothing can be written beside `database`. `None` if something can.
pub(super) fn no_room(database: &Path) -> Option<&'static str> {
    match probe(database).err()?.kind() {
        ErrorKind::StorageFull => Some(NO_ROOM),
        ErrorKind::QuotaExceeded => Some("the disk quota is used up"),
        ErrorKind::FileTooLarge => {
            Some("a file may not grow: it has reached the limit of the process or the file system")
        }
        _ => None,
    }
}

/// Writes beyond the length of the longest of the database's files, but into a file of its own.
pub(super) fn probe(database: &Path) -> io::Result<()> {
    let beside = |end: &str| {
        let mut name = database.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let sizes = ["", "-wal", "-shm"].map(|end| {
        let size = std::fs::metadata(beside(end)).map(|file| file.len());
        size.unwrap_or(0)
    });
    let name = beside("-probe");
    let written = || {
        let file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&name)?;
        file.write_all_at(&[0; PROBE], sizes.into_iter().max().unwrap_or(0))?;
        file.sync_all()
    };
    let outcome = written();
    match std::fs::remove_file(&name) {
        Err(error) if error.kind() != ErrorKind::NotFound => outcome.and(Err(error)),
        _ => outcome,
    }
}

const NO_ROOM: &str = "the disk is full";
/// Bytes that are written: as many as a small transaction needs.
const PROBE: usize = 64 * 1024;

/// Primary result codes of SQLite.
pub(super) const BUSY: i64 = 5;
pub(super) const LOCKED: i64 = 6;
pub(super) const READ_ONLY: i64 = 8;
pub(super) const IO_ERROR: i64 = 10;
pub(super) const CORRUPT: i64 = 11;
pub(super) const FULL: i64 = 13;
pub(super) const CANNOT_OPEN: i64 = 14;
pub(super) const NOT_A_DATABASE: i64 = 26;
