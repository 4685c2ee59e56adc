//! Contents in a directory of the local disk.
//!
//! ```text
//! partial/0011…ff   what is being uploaded, by the id of the file
//! ab/cdef…          contents: two digits of the hash, and the others
//! ```
//!
//! No name of a file comes from a client.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::content::{Content, ContentStore, Writing};
use super::turns::Turn;
use crate::files::{make_directory, open_own};
use crate::storage::{ContentHash, FileId};

/// A directory with contents. It is made when the first upload begins.
#[derive(Clone, Debug)]
pub struct Directory(PathBuf);

impl Directory {
    /// The directory at this path.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    fn partial(&self) -> PathBuf {
        self.0.join("partial")
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
        self.0.join(folder).join(name)
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
        let open = blocking(move || {
            make_directory(&folder)?;
            let mut file = open_own(&path, MODE)?;
            let hash = hash_of_first(&mut file, at)?;
            file.set_len(at)?;
            Ok(Open { file, hash, turn })
        });
        Ok(Box::new(Upload(Some(open.await?))))
    }

    async fn discard(&self, id: FileId) -> io::Result<()> {
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
            // The same content may be there: it is replaced by itself.
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

/// `None` while a write is under way, and after one that has failed or was given up.
struct Upload(Option<Open>);

struct Open {
    file: File,
    hash: Sha256,
    turn: Turn,
}

#[async_trait]
impl Writing for Upload {
    async fn write(&mut self, piece: Bytes) -> io::Result<()> {
        let mut open = self.0.take().ok_or(ErrorKind::BrokenPipe)?;
        let written = blocking(move || {
            open.file.write_all(&piece)?;
            open.hash.update(&piece);
            Ok(open)
        });
        self.0 = Some(written.await?);
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> io::Result<(ContentHash, Turn)> {
        let open = self.0.take().ok_or(ErrorKind::BrokenPipe)?;
        blocking(move || {
            open.file.sync_all()?;
            Ok((ContentHash::new(open.hash.finalize().into()), open.turn))
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

/// The state of a hash over the first bytes of a file, which is read up to them.
fn hash_of_first(file: &mut File, bytes: u64) -> io::Result<Sha256> {
    if file.metadata()?.len() < bytes {
        return Err(ErrorKind::InvalidInput.into());
    }
    let mut hash = Sha256::new();
    let mut buffer = vec![0; PIECE];
    let mut left = bytes;
    file.seek(SeekFrom::Start(0))?;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        let read = file.read(buffer.get_mut(..most).unwrap_or_default())?;
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        hash.update(buffer.get(..read).unwrap_or_default());
        left -= read as u64;
    }
    Ok(hash)
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
const PIECE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
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
