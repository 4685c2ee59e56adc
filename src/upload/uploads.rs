//! The order in which rows and bytes change, so that no row names bytes that are not there, and no bytes stay
//! that no row names:
//!
//! - The content is noted in the store, then on the disk, then the file has it.
//! - A file is removed from the store; then a content that no file has is removed from the disk, then from
//!   the store.
//!
//! Whatever is interrupted leaves a content in the store that no file has, and [`Uploads::sweep`] removes it.
//! A lock by content keeps both orders apart. It is of this process: a directory belongs to one server.

use std::io;

use tokio::sync::{Mutex, Notify, OnceCell};

use super::content::ContentStore;
use super::signature::SlotKey;
use super::turns::Turns;
use crate::payload::datetime::Timestamp;
use crate::storage::{self, ContentHash, FileId, Storage};

/// The files of all users.
pub struct Uploads {
    /// Where the bytes are.
    pub contents: Box<dyn ContentStore>,
    /// Who writes which file now.
    pub turns: Turns,
    /// Something was removed: a sweep is worth it.
    pub sweep_soon: Notify,
    key: OnceCell<SlotKey>,
    /// By the first digit of the hash.
    locks: [Mutex<()>; 16],
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Swept {
    /// Files that had expired, and slots.
    pub files: u64,
    /// Contents that no file had.
    pub contents: u64,
}

/// Why a file could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The disk failed.
    #[error("cannot keep a file: {0}")]
    Disk(#[from] io::Error),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] storage::StorageError),
}

impl Uploads {
    /// The files whose bytes are here.
    #[must_use]
    pub fn new(contents: Box<dyn ContentStore>) -> Self {
        let (turns, sweep_soon) = (Turns::default(), Notify::new());
        Self { contents, turns, sweep_soon, key: OnceCell::new(), locks: Default::default() }
    }

    /// The key with which slots are signed.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn key(&self, storage: &dyn Storage) -> storage::Result<&SlotKey> {
        let read = || async { Ok(SlotKey::of_secret(&storage.accounts().secret().await?)) };
        self.key.get_or_try_init(read).await
    }

    /// Makes what was uploaded the content of a file. `false` if the file was removed meanwhile: then nobody gets
    /// it.
    ///
    /// # Errors
    /// If the disk or the store fails: the file has no content then.
    pub async fn keep(
        &self,
        storage: &dyn Storage,
        id: FileId,
        hash: ContentHash,
        size: u64,
    ) -> Result<bool, KeepError> {
        let _lock = self.lock(hash).lock().await;
        storage.files().announce_content(hash, size).await?;
        self.contents.keep(id, hash).await?;
        Ok(storage.files().complete(id, hash).await?)
    }

    /// Removes files that have expired, and contents that no file has. Works until nothing is left, in small steps.
    ///
    /// # Errors
    /// If the disk or the store fails: it is tried again the next time.
    pub async fn sweep(&self, storage: &dyn Storage, now: Timestamp) -> Result<Swept, KeepError> {
        let mut swept = Swept::default();
        loop {
            match storage.files().remove_expired(now, AT_ONCE).await? {
                0 => break,
                some => swept.files += some,
            }
        }
        loop {
            let unused = storage.files().unused_contents(AT_ONCE).await?;
            let before = swept.contents;
            for hash in unused {
                swept.contents += u64::from(self.remove_unused(storage, hash).await?);
            }
            if swept.contents == before {
                return Ok(swept);
            }
        }
    }

    async fn remove_unused(
        &self,
        storage: &dyn Storage,
        hash: ContentHash,
    ) -> Result<bool, KeepError> {
        let _lock = self.lock(hash).lock().await;
        // Somebody may have uploaded it again.
        if !storage.files().is_unused(hash).await? {
            return Ok(false);
        }
        self.contents.remove(hash).await?;
        Ok(storage.files().forget_content(hash).await?)
    }

    fn lock(&self, hash: ContentHash) -> &Mutex<()> {
        let [first, ..] = hash.bytes();
        &self.locks[usize::from(first >> 4)]
    }
}

const AT_ONCE: usize = 200;
