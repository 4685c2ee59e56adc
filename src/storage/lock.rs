//! The lock on the data directory: one program at a time.
//!
//! The lock belongs to the open file, not to its name: it ends with the process, however that ends,
//! and a `lock` file left behind means nothing.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::{Result, StorageError};

/// Holds the data directory for this program until it is dropped.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
}

impl DataLock {
    /// Locks `<dir>/lock`. Makes the directory (mode 0700) if it is not there. Does not wait.
    ///
    /// # Errors
    /// [`StorageError::Unusable`] with a sentence for the administrator: another program has the
    /// directory, or it cannot be made or written.
    pub fn acquire(dir: &Path) -> Result<Self> {
        make_directory(dir)?;
        let path = dir.join("lock");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|e| unusable("open", &path, &e))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StorageError::Unusable(format!(
                "the data directory {} is in use by another running waxwing",
                dir.display()
            ))),
            Err(TryLockError::Error(e)) => Err(unusable("lock", &path, &e)),
        }
    }
}

/// Makes a directory that only its owner may enter, with those above it, if it is not there.
pub(super) fn make_directory(dir: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|e| unusable("make the directory", dir, &e))
}

/// A sentence about a file: what could not be done, with which, and why.
pub(super) fn unusable(what: &str, path: &Path, error: &io::Error) -> StorageError {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => " (does it belong to the user that runs waxwing?)",
        io::ErrorKind::ReadOnlyFilesystem => " (the file system is mounted read-only)",
        _ => "",
    };
    StorageError::Unusable(format!("cannot {what} {}: {error}{hint}", path.display()))
}
