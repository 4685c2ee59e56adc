//! Finds damage in the write-ahead log before SQLite opens it.
//!
//! SQLite uses a log up to the first page that is invalid, and does not report the rest. After a crash, the
//! rest is the transaction that was being written. But if the log was damaged, the rest had been committed
//! and acknowledged. So the log is read first, to tell the two apart.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use super::wal_format::{HEADER, Index, LogReader, MainFile, if_any, index_of, log_of};

/// What is wrong with a log.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Fault {
    /// Commits that were durable are lost.
    Damaged(Used),
    /// The log belongs to another database. The text says why. If the two fit by chance, this is not found
    /// here; the check of the database may find it.
    Foreign(&'static str),
    /// The last commit cannot be read. It was being written when the machine stopped, or it is damaged.
    Unclear(Used),
}

/// How much of a log SQLite will use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Used {
    /// Pages up to the last whole commit.
    pub(super) pages: u32,
    /// Pages that are in the log, or have been.
    pub(super) of: u32,
    /// Commits found after the first invalid page. There may have been more.
    pub(super) lost: u32,
}

/// Looks for damage, and reports it to the log of the server with what it means. If commits are lost, the
/// log of the database is copied first, because SQLite overwrites it.
pub(super) fn report_damage(database: &Path) {
    let name = log_of(database);
    let fault = match inspect(database) {
        Ok(None) => return,
        Ok(Some(fault)) => fault,
        Err(error) => {
            let path = name.display();
            tracing::warn!(%error, "cannot read {path}, the write-ahead log of the database");
            return;
        }
    };
    let sentence = fault.describe(&name);
    if let Fault::Damaged(_) = fault {
        let kept = keep_copy(&name);
        tracing::error!(error = %format!("{sentence}{kept}"), "the database is damaged");
    } else {
        tracing::warn!(error = %sentence, "the write-ahead log is damaged or not complete");
    }
}

/// A sentence about the copy that was made. Empty if it could not be made.
fn keep_copy(log: &Path) -> String {
    let mut copy = log.as_os_str().to_owned();
    copy.push(".damaged");
    let copy = PathBuf::from(copy);
    match std::fs::copy(log, &copy) {
        Ok(_) => format!(". A copy of the log is kept in {}", copy.display()),
        Err(_) => String::new(),
    }
}

impl Fault {
    /// What it means, and what to do.
    fn describe(&self, log: &Path) -> String {
        let log = log.display();
        match self {
            Self::Damaged(Used { pages, of, lost }) => format!(
                "the write-ahead log {log} is damaged: only the first {pages} of its {of} pages can be \
                 used. The commits behind them are lost ({lost} of them can be seen), and messages that \
                 were acknowledged may be missing. The server goes on with what is left; check the disk, \
                 and restore a backup if you have one that is newer"
            ),
            Self::Unclear(Used { pages, of, .. }) => format!(
                "the last commit in the write-ahead log {log} cannot be read: the first {pages} of its \
                 {of} pages are used. If the machine stopped while it was being written, nothing is \
                 lost. If not, the disk has damaged it, and the messages that were acknowledged last may \
                 be missing: then check the disk"
            ),
            Self::Foreign(why) => format!(
                "the write-ahead log {log} does not seem to belong to this database: {why}. If you have \
                 restored a backup, stop the server, restore it again, and remove the files that end in \
                 -wal and -shm"
            ),
        }
    }
}

/// Looks for faults in the log of a database. The database must not be open in this process: closing the
/// file here would end the locks on it. `None` if there is no fault, or no log.
///
/// # Errors
/// If a file cannot be read.
pub(super) fn inspect(database: &Path) -> io::Result<Option<Fault>> {
    let index = Index::read(&index_of(database))?;
    let Some(file) = if_any(File::open(log_of(database)))? else {
        return Ok(index.and_then(|index| fault_without_log(&index)));
    };
    let main = MainFile::read(database)?;
    let size = file.metadata()?.len();
    let mut log = BufReader::with_capacity(1 << 18, file);
    let mut header = [0; HEADER];
    if size < HEADER as u64 {
        return Ok(index.and_then(|index| fault_without_log(&index)));
    }
    log.read_exact(&mut header)?;
    let Some(reader) = LogReader::new(&header) else {
        // Nothing says what belongs to it.
        let of = u32::try_from((size - HEADER as u64) / 4096).unwrap_or(u32::MAX);
        return Ok((of > 0).then_some(Fault::Damaged(Used { pages: 0, of, lost: 0 })));
    };
    if main.page_size.is_some_and(|size| size != reader.page_size) {
        return Ok(Some(Fault::Foreign("its pages are of another size")));
    }
    let found = reader.read_pages(&mut log)?;
    let index = index.filter(|index| index.salts == reader.salts);
    let promised = index.as_ref().map_or(0, |index| index.pages);
    let used =
        Used { pages: found.committed, of: found.seen.max(promised), lost: found.commits_behind };
    if promised > found.committed || found.goes_on_behind_commit {
        return Ok(Some(Fault::Damaged(used)));
    }
    if found.commits_behind > 0 {
        return Ok(Some(Fault::Unclear(used)));
    }
    Ok(found.foreign_to(&main).map(Fault::Foreign))
}

/// There is no log, or nothing in it. All that the index promises must be in the file of the database.
fn fault_without_log(index: &Index) -> Option<Fault> {
    let used = Used { pages: 0, of: index.pages, lost: 0 };
    (index.pages > index.copied).then_some(Fault::Damaged(used))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::FileExt;

    use sqlx::Connection as _;
    use sqlx::sqlite::SqliteConnectOptions;
    use tempfile::TempDir;

    use super::super::wal_format::FRAME;
    use super::*;
    use crate::storage::sql::Connection;

    /// A database and its log as a process leaves them that is killed after `commits` commits, the
    /// first `copied` of which are in the file already.
    async fn killed(commits: usize, copied: usize) -> TempDir {
        let (living, dead) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let options = SqliteConnectOptions::new()
            .filename(living.path().join("db"))
            .create_if_missing(true)
            .pragma("journal_mode", "WAL")
            .pragma("wal_autocheckpoint", "0");
        let mut connection = Connection::connect_with(&options).await.unwrap();
        for commit in 0..commits {
            let statement = match commit {
                0 => "CREATE TABLE t (x)",
                _ => "INSERT INTO t VALUES (randomblob(9000))",
            };
            sqlx::query(statement).execute(&mut connection).await.unwrap();
            if commit + 1 == copied {
                let statement = "PRAGMA wal_checkpoint(PASSIVE)";
                sqlx::query(statement).execute(&mut connection).await.unwrap();
            }
        }
        for name in ["db", "db-wal", "db-shm"] {
            fs::copy(living.path().join(name), dead.path().join(name)).unwrap();
        }
        connection.close().await.unwrap();
        dead
    }

    fn look(dir: &TempDir) -> Option<Fault> {
        inspect(&dir.path().join("db")).unwrap()
    }

    /// How many pages are in the log.
    fn pages(dir: &TempDir) -> u64 {
        (fs::metadata(dir.path().join("db-wal")).unwrap().len() - HEADER as u64) / PAGE
    }

    /// Changes a byte of a page in the log, counted from 0, or from the end if negative.
    fn hurt(dir: &TempDir, page: i64) {
        let page = if page < 0 { pages(dir) as i64 + page } else { page } as u64;
        let at = HEADER as u64 + page * PAGE + FRAME as u64 + 100;
        let file = fs::OpenOptions::new().read(true).write(true).open(dir.path().join("db-wal"));
        let file = file.unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[!byte[0]], at).unwrap();
    }

    fn without_index(dir: &TempDir) {
        fs::remove_file(dir.path().join("db-shm")).unwrap();
    }

    fn cut(dir: &TempDir, bytes: u64) {
        let file = fs::OpenOptions::new().write(true).open(dir.path().join("db-wal")).unwrap();
        file.set_len(bytes).unwrap();
    }

    const PAGE: u64 = FRAME as u64 + 4096;

    #[tokio::test]
    async fn a_sound_log_has_no_fault() {
        for (commits, copied) in [(1, 0), (20, 0), (20, 10), (20, 20)] {
            let dir = killed(commits, copied).await;
            assert_eq!(look(&dir), None, "{commits} {copied}");
            without_index(&dir);
            assert_eq!(look(&dir), None, "{commits} {copied}");
            fs::remove_file(dir.path().join("db-wal")).unwrap();
            assert_eq!(look(&dir), None, "no log");
        }
    }

    /// What is reported is what SQLite does.
    #[tokio::test]
    async fn damage_in_the_middle_is_told_with_what_is_left() {
        for with_index in [true, false] {
            let dir = killed(20, 0).await;
            let of = u32::try_from(pages(&dir)).unwrap();
            hurt(&dir, 12);
            if !with_index {
                without_index(&dir);
            }
            let Some(Fault::Damaged(used)) = look(&dir) else { panic!("{:?}", look(&dir)) };
            assert_eq!(used.of, of);
            assert!((3..=12).contains(&used.pages), "{used:?}");
            assert!((10..20).contains(&used.lost), "{used:?}");
            let options = SqliteConnectOptions::new().filename(dir.path().join("db"));
            let mut connection = Connection::connect_with(&options).await.unwrap();
            let count = sqlx::query_as::<_, (i64,)>("SELECT count(*) FROM t");
            let (count,) = count.fetch_one(&mut connection).await.unwrap();
            assert_eq!(count + i64::from(used.lost), 19);
        }
    }

    #[tokio::test]
    async fn a_cut_log_is_damage_only_if_more_was_promised() {
        let dir = killed(20, 0).await;
        let of = u32::try_from(pages(&dir)).unwrap();
        cut(&dir, HEADER as u64 + 9 * PAGE + 500);
        let Some(Fault::Damaged(used)) = look(&dir) else { panic!("{:?}", look(&dir)) };
        assert!(used.pages <= 9 && used.of == of, "{used:?}");
        without_index(&dir);
        assert_eq!(look(&dir), None, "a transaction that was being written looks the same");
        for bytes in [0, 10] {
            let dir = killed(20, 0).await;
            cut(&dir, bytes);
            let lost = Used { pages: 0, of, lost: 0 };
            assert_eq!(look(&dir), Some(Fault::Damaged(lost)));
            without_index(&dir);
            assert_eq!(look(&dir), None);
        }
        let dir = killed(20, 20).await;
        fs::remove_file(dir.path().join("db-wal")).unwrap();
        assert_eq!(look(&dir), None, "all of it is in the file");
    }

    #[tokio::test]
    async fn a_last_commit_that_cannot_be_read_is_unclear_without_an_index() {
        let dir = killed(20, 0).await;
        hurt(&dir, -1);
        assert!(matches!(look(&dir), Some(Fault::Damaged(_))), "{:?}", look(&dir));
        without_index(&dir);
        assert!(matches!(look(&dir), Some(Fault::Unclear(_))), "{:?}", look(&dir));
    }

    #[tokio::test]
    async fn a_log_without_its_beginning_is_damaged() {
        let dir = killed(20, 0).await;
        let file = fs::OpenOptions::new().write(true).open(dir.path().join("db-wal")).unwrap();
        file.write_all_at(&[7; 8], 20).unwrap();
        assert!(matches!(look(&dir), Some(Fault::Damaged(Used { pages: 0, .. }))));
    }

    #[tokio::test]
    async fn the_log_of_another_database_is_told() {
        let (small, large) = (killed(3, 3).await, killed(60, 59).await);
        // Only what was written last is in this log.
        let options = SqliteConnectOptions::new()
            .filename(large.path().join("db"))
            .pragma("wal_autocheckpoint", "0");
        let mut connection = Connection::connect_with(&options).await.unwrap();
        for statement in ["PRAGMA wal_checkpoint(RESTART)", "INSERT INTO t VALUES (1)"] {
            sqlx::query(statement).execute(&mut connection).await.unwrap();
        }
        fs::copy(large.path().join("db-wal"), small.path().join("db-wal")).unwrap();
        without_index(&small);
        assert!(matches!(look(&small), Some(Fault::Foreign(_))), "{:?}", look(&small));
        connection.close().await.unwrap();
    }
}
