//! Contents in a directory of the local disk.
//!
//! ```text
//! partial/0011…ff   what is being uploaded, by the id of the file
//! ab/cdef…          contents: two digits of the hash, and the others
//! ```
//!
//! No name of a file comes from a client.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::task::JoinHandle;

use super::content::{Content, ContentStore, Writing};
use super::progress::{AllProgress, Progress};
use super::turns::Turn;
use crate::files::{make_directory, open_own};
use crate::storage::{ContentHash, FileId};

/// A directory with contents. It is made when the first upload begins.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
    progress: AllProgress,
}

impl Directory {
    /// The directory at this path.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, progress: AllProgress::default() }
    }

    fn partial(&self) -> PathBuf {
        self.path.join("partial")
    }

    fn upload(&self, id: FileId) -> PathBuf {
        self.partial().join(id.to_string())
    }

    /// Opens what was uploaded of a file, for reading. With its size.
    pub(super) async fn open_upload(&self, id: FileId) -> io::Result<(Box<dyn Content>, u64)> {
        let path = self.upload(id);
        blocking(move || {
            let file = File::open(path)?;
            let size = file.metadata()?.len();
            Ok((Box::new(OpenContent(Arc::new(file))) as Box<dyn Content>, size))
        })
        .await
    }

    fn content(&self, hash: ContentHash) -> PathBuf {
        let digits = hash.to_string();
        let (folder, name) = digits.split_at(2);
        self.path.join(folder).join(name)
    }
}

#[async_trait]
impl ContentStore for Directory {
    async fn uploaded(&self, id: FileId) -> io::Result<u64> {
        let path = self.upload(id);
        blocking(move || match fs::symlink_metadata(path) {
            Ok(found) => Ok(found.len()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        })
        .await
    }

    async fn write(&self, id: FileId, at: u64, turn: Turn) -> io::Result<Box<dyn Writing>> {
        let (folder, path) = (self.partial(), self.upload(id));
        let all = self.progress.clone();
        let open = blocking(move || {
            make_directory(&folder)?;
            let mut file = open_own(&path, MODE)?;
            let mut progress = all.take(id);
            progress.go_to(at, &mut file)?;
            file.set_len(at)?;
            let (file, turn) = (Arc::new(file), Some(turn));
            Ok(Open { file, id, progress, all, turn, unwritten: 0, flushing: None })
        });
        Ok(Box::new(Upload(Some(open.await?))))
    }

    async fn discard(&self, id: FileId) -> io::Result<()> {
        self.progress.forget(id);
        let path = self.upload(id);
        blocking(move || remove(&path)).await
    }

    async fn uploads(&self) -> io::Result<Vec<FileId>> {
        let folder = self.partial();
        blocking(move || {
            let entries = match fs::read_dir(folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(error),
            };
            let mut ids = Vec::new();
            for entry in entries {
                ids.extend(entry?.file_name().to_str().and_then(FileId::parse));
            }
            Ok(ids)
        })
        .await
    }

    async fn discard_all(&self) -> io::Result<()> {
        self.progress.forget_all();
        let folder = self.partial();
        blocking(move || match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
        .await
    }

    async fn keep(&self, id: FileId, hash: ContentHash) -> io::Result<()> {
        let (from, to) = (self.upload(id), self.content(hash));
        blocking(move || {
            let folder = to.parent().ok_or(ErrorKind::InvalidInput)?;
            let is_new = !folder.exists();
            make_directory(folder)?;
            // The same content may be there already. Then the file is replaced by an equal one.
            fs::rename(from, &to)?;
            sync(folder)?;
            if is_new && let Some(above) = folder.parent() {
                sync(above)?;
            }
            Ok(())
        })
        .await
    }

    async fn open(&self, hash: ContentHash) -> io::Result<Option<Box<dyn Content>>> {
        let path = self.content(hash);
        blocking(move || match File::open(path) {
            Ok(file) => Ok(Some(Box::new(OpenContent(Arc::new(file))) as Box<dyn Content>)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }

    async fn remove(&self, hash: ContentHash) -> io::Result<()> {
        let path = self.content(hash);
        blocking(move || remove(&path)).await
    }
}

/// `None` while a write runs, and after one that has failed or was given up.
struct Upload(Option<Open>);

struct Open {
    file: Arc<File>,
    id: FileId,
    progress: Progress,
    all: AllProgress,
    /// The turn, until the end: no other task may continue the upload.
    turn: Option<Turn>,
    /// Bytes that were written since the last time the disk was told to take them.
    unwritten: usize,
    /// The disk takes them.
    flushing: Option<JoinHandle<io::Result<()>>>,
}

impl Open {
    /// Lets the disk begin early. Otherwise it would begin when all bytes are there, and the end would wait for all of it.
    async fn flush_early(&mut self) -> io::Result<()> {
        if self.unwritten < EARLY || self.flushing.as_ref().is_some_and(|task| !task.is_finished())
        {
            return Ok(());
        }
        self.flushed().await?;
        self.unwritten = 0;
        let file = Arc::clone(&self.file);
        self.flushing = Some(tokio::task::spawn_blocking(move || file.sync_data()));
        Ok(())
    }

    /// Waits for the disk. An error is told once, so it must not be lost.
    async fn flushed(&mut self) -> io::Result<()> {
        match self.flushing.take() {
            Some(task) => task.await.map_err(io::Error::other)?,
            None => Ok(()),
        }
    }
}

impl Drop for Open {
    /// Keeps an interrupted upload, which may be continued. The turn ends after this.
    fn drop(&mut self) {
        if self.turn.is_some() {
            self.all.put(self.id, std::mem::take(&mut self.progress));
        }
    }
}

#[async_trait]
impl Writing for Upload {
    async fn write(&mut self, piece: Bytes) -> io::Result<()> {
        let mut open = self.0.take().ok_or(ErrorKind::BrokenPipe)?;
        let written = blocking(move || {
            (&*open.file).write_all(&piece)?;
            open.progress.update(&piece);
            open.unwritten += piece.len();
            Ok(open)
        });
        let mut open = written.await?;
        open.flush_early().await?;
        self.0 = Some(open);
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> io::Result<(ContentHash, Turn)> {
        let mut open = self.0.take().ok_or(ErrorKind::BrokenPipe)?;
        open.flushed().await?;
        blocking(move || {
            open.file.sync_all()?;
            let turn = open.turn.take().ok_or(ErrorKind::BrokenPipe)?;
            Ok((std::mem::take(&mut open.progress).finish(), turn))
        })
        .await
    }
}

struct OpenContent(Arc<File>);

#[async_trait]
impl Content for OpenContent {
    async fn read(&self, at: u64, length: usize) -> io::Result<Bytes> {
        let file = Arc::clone(&self.0);
        blocking(move || {
            let mut buffer = vec![0; length];
            let mut filled = 0;
            while filled < length {
                let rest = buffer.get_mut(filled..).unwrap_or_default();
                match file.read_at(rest, at.saturating_add(filled as u64)) {
                    Ok(0) => break,
                    Ok(more) => filled += more,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            buffer.truncate(filled);
            Ok(buffer.into())
        })
        .await
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Brings the names in a directory to the disk.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Runs what waits for the disk where it stops no other task.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

const MODE: u32 = 0o600;
/// Bytes after which the disk begins to take them.
const EARLY: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::upload::Turns;

    async fn write(
        store: &Directory,
        turns: &Turns,
        id: FileId,
        at: u64,
        text: &str,
    ) -> ContentHash {
        let turn = turns.take(id).await.unwrap();
        let mut upload = store.write(id, at, turn).await.unwrap();
        for piece in text.as_bytes().chunks(3) {
            upload.write(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        upload.finish().await.unwrap().0
    }

    #[tokio::test]
    async fn an_upload_is_continued_where_it_was_interrupted() {
        let place = tempfile::tempdir().unwrap();
        let (store, turns) = (Directory::new(place.path().join("files")), Turns::default());
        let id = FileId::random();
        assert_eq!(store.uploaded(id).await.unwrap(), 0);
        write(&store, &turns, id, 0, "hello, w").await;
        assert_eq!(store.uploaded(id).await.unwrap(), 8);
        assert_eq!(store.uploads().await.unwrap(), [id]);
        let hash = write(&store, &turns, id, 5, " world").await;
        assert_eq!(hash.bytes()[..], Sha256::digest("hello world")[..]);
        assert!(store.open(hash).await.unwrap().is_none());
        store.keep(id, hash).await.unwrap();
        assert_eq!(store.uploaded(id).await.unwrap(), 0);
        let content = store.open(hash).await.unwrap().unwrap();
        for (at, length, expected) in
            [(0, 99, "hello world"), (6, 3, "wor"), (11, 5, ""), (u64::MAX, 5, "")]
        {
            let read = content.read(at, length).await.unwrap_or_default();
            assert_eq!(read, expected, "{at} {length}");
        }
        store.remove(hash).await.unwrap();
        store.remove(hash).await.unwrap();
        assert!(store.open(hash).await.unwrap().is_none());
        assert_eq!(content.read(0, 5).await.unwrap(), "hello");
    }

    /// However often an upload is continued, what has come before is not read again.
    #[tokio::test]
    async fn what_has_come_is_not_read_again() {
        let place = tempfile::tempdir().unwrap();
        let (store, turns) = (Directory::new(place.path().join("files")), Turns::default());
        let id = FileId::random();
        let begun = store.write(id, 0, turns.take(id).await.unwrap()).await;
        let mut begun = begun.unwrap();
        begun.write(Bytes::from_static(b"hello, ")).await.unwrap();
        drop(begun);
        fs::write(store.upload(id), "HELLO, ").unwrap();
        let hash = write(&store, &turns, id, 7, "world").await;
        assert_eq!(hash.bytes()[..], Sha256::digest("hello, world")[..]);
    }

    #[tokio::test]
    async fn a_long_upload_goes_to_the_disk_early() {
        let place = tempfile::tempdir().unwrap();
        let (store, turns) = (Directory::new(place.path().join("files")), Turns::default());
        let id = FileId::random();
        let mut writing = store.write(id, 0, turns.take(id).await.unwrap()).await.unwrap();
        let piece = Bytes::from(vec![7; EARLY / 2 + 1]);
        let mut all = Sha256::new();
        for _ in 0..5 {
            writing.write(piece.clone()).await.unwrap();
            all.update(&piece);
        }
        assert_eq!(writing.finish().await.unwrap().0.bytes()[..], all.finalize()[..]);
    }

    #[tokio::test]
    async fn what_is_not_there_cannot_be_continued() {
        let place = tempfile::tempdir().unwrap();
        let (store, turns) = (Directory::new(place.path().join("files")), Turns::default());
        store.discard_all().await.unwrap();
        assert_eq!(store.uploads().await.unwrap(), []);
        let id = FileId::random();
        let turn = turns.take(id).await.unwrap();
        let error = store.write(id, 1, turn).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        write(&store, &turns, id, 0, "hello").await;
        store.discard(id).await.unwrap();
        store.discard(id).await.unwrap();
        assert_eq!(store.uploaded(id).await.unwrap(), 0);
        write(&store, &turns, id, 0, "hello").await;
        store.discard_all().await.unwrap();
        assert_eq!(store.uploaded(id).await.unwrap(), 0);
    }
}
