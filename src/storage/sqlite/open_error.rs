//! Why a file cannot be used, as a sentence for the administrator.

use std::path::Path;

use crate::storage::StorageError;
use crate::storage::error::{self, code_of};

/// The file is damaged.
pub(super) fn damaged(path: &Path, problem: &str) -> StorageError {
    StorageError::Unusable(format!(
        "the database {} is damaged ({}): restore a backup, and remove the files beside it that end \
         in -wal and -shm when you do",
        path.display(),
        problem.trim()
    ))
}

/// A sentence for the administrator (<https://www.sqlite.org/rescode.html>).
pub(super) fn explain(path: &Path, error: &sqlx::Error) -> StorageError {
    let primary = code_of(error).map(|code| code & 0xff);
    let room = || match primary {
        // A file that cannot be made, or that cannot be extended, may mean that the disk is full.
        Some(error::CANNOT_OPEN | error::IO_ERROR) => error::no_room(path),
        _ => None,
    };
    let hint = match primary {
        Some(error::CORRUPT) => return damaged(path, &error.to_string()),
        Some(error::BUSY | error::LOCKED) => "another process holds it",
        Some(error::READ_ONLY) => {
            "it cannot be written: does it belong to the user that runs waxwing?"
        }
        Some(error::FULL) => "the disk is full",
        Some(error::NOT_A_DATABASE) => "it is not a database",
        code => match (room(), code) {
            (Some(sentence), _) => sentence,
            (None, Some(error::CANNOT_OPEN)) => "it, or a file beside it, cannot be opened",
            (None, Some(error::IO_ERROR)) => "the disk failed",
            _ => "the database failed",
        },
    };
    StorageError::Unusable(format!("cannot use {}: {hint} ({error})", path.display()))
}
