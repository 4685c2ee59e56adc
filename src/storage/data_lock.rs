//! The lock on the data directory: one program at a time.
//!
//! The lock belongs to the open file, not to its name. It ends with the process, however that ends, and a
//! `lock` file without a process means nothing. The file names the process that has the lock.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Result, StorageError};
use crate::files;

/// Holds the data directory for this program until it is dropped.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
    mended: Vec<String>,
}

impl DataLock {
    /// Locks `<dir>/lock` for the command of this name. Makes the directory (mode 0700) if it does not
    /// exist. Waits at most `patience` for other programs, and calls `told` once for each of them, with a
    /// description of it.
    ///
    /// Then the directory is put in order: it is closed to other users, and files of root in it are given
    /// to the owner of the directory.
    ///
    /// # Errors
    /// [`StorageError::Unusable`] with a sentence for the administrator: another program uses the
    /// directory, or it cannot be made, written, or closed to other users.
    pub async fn acquire(
        dir: &Path,
        command: &str,
        patience: Duration,
        mut told: impl FnMut(&str) + Send,
    ) -> Result<Self> {
        let deadline = Instant::now() + patience;
        let mut holder = String::new();
        loop {
            let other = match Self::try_acquire(dir, command)? {
                Ok(lock) => return Ok(lock),
                Err(other) => other,
            };
            if Instant::now() >= deadline {
                return Err(StorageError::Unusable(in_use(dir, &other)));
            }
            if other != holder {
                told(&other);
                holder = other;
            }
            sleep(PAUSE).await;
        }
    }

    /// The same without waiting. The inner error describes the program that has the lock.
    ///
    /// # Errors
    /// As [`DataLock::acquire`].
    pub fn try_acquire(dir: &Path, command: &str) -> Result<std::result::Result<Self, String>> {
        make_directory(dir)?;
        refuse_shared(dir)?;
        let path = dir.join("lock");
        let mut file = files::open_own(&path, 0o600).map_err(|e| unusable("open", &path, &e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Err(holder(&mut file))),
            Err(TryLockError::Error(e)) => return Err(unusable("lock", &path, &e)),
        }
        let mended = mend(dir)?;
        // The lock holds even if its file cannot be written.
        drop(sign(&mut file, command));
        Ok(Ok(Self { _file: file, mended }))
    }

    /// What was put in order, as sentences for the administrator.
    #[must_use]
    pub fn mended(&self) -> &[String] {
        &self.mended
    }
}

fn in_use(dir: &Path, holder: &str) -> String {
    format!("the data directory {} is in use by {holder}", dir.display())
}

fn sign(file: &mut File, command: &str) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{} {command}", std::process::id())
}

/// The program that has the lock. The file is empty for a moment.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(LONGEST_SIGN).read_to_string(&mut text);
    match text.trim_end().split_once(' ').filter(|_| read.is_ok()) {
        Some((process, command)) => format!("`waxwing {command}` (process {process})"),
        None => "another waxwing".to_owned(),
    }
}

/// A directory with other files in it, such as `/tmp`, is not closed: other users may need it.
fn refuse_shared(dir: &Path) -> Result<()> {
    let failed = |e: io::Error| unusable("look at", dir, &e);
    if !files::is_open(dir).map_err(failed)? {
        return Ok(());
    }
    for entry in std::fs::read_dir(dir).map_err(failed)?.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_ours =
            OURS.contains(&&*name) || name.starts_with("waxwing") || name.ends_with(".new");
        if !is_ours {
            let dir = dir.display();
            return Err(StorageError::Unusable(format!(
                "others may enter the directory {dir}, and it holds more than our data ({name}): \
                 give waxwing a directory of its own, or close this one (`chmod 700 {dir}`)"
            )));
        }
    }
    Ok(())
}

fn mend(dir: &Path) -> Result<Vec<String>> {
    let mut mended = Vec::new();
    if files::is_open(dir).map_err(|e| unusable("look at", dir, &e))? {
        let closed = files::close_directory(dir);
        let dir = dir.display();
        closed.map_err(|error| {
            StorageError::Unusable(format!(
                "others may enter the data directory {dir}, and that cannot be changed ({error}): \
                 its owner can, by `chmod 700 {dir}`"
            ))
        })?;
        mended.push(format!("others could enter the data directory {dir}; its mode is 0700 now"));
    }
    let certificates = dir.join("certs");
    let is_link = certificates.is_symlink();
    let inside = (!is_link).then(|| std::fs::read_dir(&certificates)).into_iter().flatten();
    let inside = inside.flatten().flatten();
    let all = FILES.iter().map(|name| dir.join(name)).chain([certificates]);
    for path in all.chain(inside.map(|entry| entry.path())) {
        if files::mend_owner(&path).map_err(|e| unusable("give away", &path, &e))? {
            let path = path.display();
            mended.push(format!(
                "{path} belonged to root; it belongs to the owner of its directory now"
            ));
        }
    }
    Ok(mended)
}

/// Makes a directory that only its owner may enter, and those above it, if it does not exist.
pub(super) fn make_directory(dir: &Path) -> Result<()> {
    files::make_directory(dir).map_err(|e| unusable("make the directory", dir, &e))
}

/// A sentence about a file: what could not be done, with which, and why.
pub(super) fn unusable(what: &str, path: &Path, error: &io::Error) -> StorageError {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => match files::foreign(path) {
            Some(whose) => format!(" ({whose})"),
            None => " (may this user write there?)".to_owned(),
        },
        io::ErrorKind::ReadOnlyFilesystem => " (the file system is mounted read-only)".to_owned(),
        _ => String::new(),
    };
    StorageError::Unusable(format!("cannot {what} {}: {error}{hint}", path.display()))
}

/// What is in a data directory, besides files whose names begin with `waxwing`.
const OURS: &[&str] = &["admin.sock", "certs", "domain", "lock", "lost+found", "token.key"];
/// What root may have left, besides certificates.
const FILES: &[&str] =
    &["domain", "lock", "token.key", "waxwing.sqlite", "waxwing.sqlite-shm", "waxwing.sqlite-wal"];
/// The pause between two attempts. Commands hold the lock for some tenths of a second.
const PAUSE: Duration = Duration::from_millis(25);
/// Bytes of the file that are read: a process and a command.
const LONGEST_SIGN: u64 = 200;
