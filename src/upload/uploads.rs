//! The order in which rows and bytes change, so that no row names bytes that are not there, and no bytes stay
//! that no row names:
//!
//! - The content is noted in the store, then on the disk, then the file has it.
//! - A file is removed from the store; then a content that no file has is removed from the disk, then from
//!   the store. So is what was uploaded of a file that was removed before it was there.
//!
//! An interruption leaves a content in the store that no file has, or an upload without a row. [`Uploads::sweep`] removes
//! both. A lock by content keeps the two orders apart. It exists in this process only: a directory belongs to one server.

use std::io;

use tokio::sync::{Notify, OnceCell};

use super::content::ContentStore;
use super::locks::Locks;
use super::signature::SlotKey;
use super::store_error::StoreError;
use super::turns::Turns;
use crate::payload::datetime::Timestamp;
use crate::storage::{self, ContentHash, FileBounds, FileId, Storage};

/// The files of all users.
pub struct Uploads {
    /// Where the bytes are.
    pub contents: Box<dyn ContentStore>,
    /// Who writes which file now.
    pub turns: Turns,
    /// Something was removed: a sweep is worth it.
    pub sweep_soon: Notify,
    key: OnceCell<SlotKey>,
    locks: Locks,
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Swept {
    /// Files that had expired, and slots.
    pub files: u64,
    /// Contents that no file had.
    pub contents: u64,
    /// Uploads that had begun, and whose slots had gone.
    pub uploads: u64,
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
        Self { contents, turns, sweep_soon, key: OnceCell::new(), locks: Locks::default() }
    }

    /// The key with which slots are signed.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn key(&self, storage: &dyn Storage) -> storage::Result<&SlotKey> {
        let read = || async { Ok(SlotKey::of_secret(&storage.accounts().secret().await?)) };
        self.key.get_or_try_init(read).await
    }

    /// Makes what was uploaded the content of a file. Old files of the account may make room for it. `false` if the
    /// file was removed meanwhile: then nobody gets it.
    ///
    /// # Errors
    /// If the disk or the store fails: the file has no content then.
    pub async fn keep(
        &self,
        storage: &dyn Storage,
        id: FileId,
        hash: ContentHash,
        size: u64,
        bounds: FileBounds,
    ) -> Result<bool, KeepError> {
        let _lock = self.locks.lock(hash).await;
        storage.files().announce_content(hash, size).await?;
        self.contents.keep(id, hash).await?;
        let completed = storage.files().complete(id, hash, bounds).await?;
        if completed != Some(0) {
            self.sweep_soon.notify_one();
        }
        Ok(completed.is_some())
    }

    /// Removes files that have expired, uploads whose slots have gone, and contents that no file has. Works until
    /// nothing is left, in small steps. What cannot be removed is logged, and does not stop the others.
    ///
    /// # Errors
    /// If the store fails, or the uploads cannot be listed: it is tried again the next time.
    pub async fn sweep(&self, storage: &dyn Storage, now: Timestamp) -> Result<Swept, KeepError> {
        let mut swept = Swept::default();
        loop {
            match storage.files().remove_expired(now, AT_ONCE).await? {
                0 => break,
                some => swept.files += some,
            }
        }
        swept.files += self.give_up_slots(storage, now).await?;
        swept.uploads = self.discard_lost(storage).await?;
        let mut last = None;
        loop {
            let unused = storage.files().unused_contents(last, AT_ONCE).await?;
            last = unused.last().copied();
            if last.is_none() {
                return Ok(swept);
            }
            for hash in unused {
                match self.remove_unused(storage, hash).await {
                    Ok(is_removed) => swept.contents += u64::from(is_removed),
                    Err(KeepError::Disk(error)) => {
                        tracing::error!(%hash, %error, "cannot remove a content that no file has");
                        if StoreError::is_lasting(&error) {
                            return Ok(swept);
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// Removes slots that were not used in time. What was not sent counts for the day of nobody any more. Answers how
    /// many.
    async fn give_up_slots(&self, storage: &dyn Storage, now: Timestamp) -> Result<u64, KeepError> {
        let mut removed = 0;
        loop {
            let slots = storage.files().expired_slots(now, AT_ONCE).await?;
            if slots.is_empty() {
                return Ok(removed);
            }
            for slot in slots {
                let sent = self.contents.uploaded(slot.id).await.unwrap_or_else(|error| {
                    tracing::error!(id = %slot.id, %error, "cannot see what was uploaded");
                    slot.size
                });
                let unsent = slot.size.saturating_sub(sent);
                removed += u64::from(storage.files().give_up(slot.id, unsent).await?);
            }
        }
    }

    /// Discards uploads that have no row any more. Answers how many.
    async fn discard_lost(&self, storage: &dyn Storage) -> Result<u64, KeepError> {
        let mut discarded = 0;
        for id in self.contents.uploads().await? {
            if storage.files().find(id).await?.is_some() {
                continue;
            }
            // Stops the task that still writes it. If that does not stop in time, the next sweep tries again.
            let Some(_turn) = self.turns.take(id).await else { continue };
            match self.contents.discard(id).await {
                Ok(()) => discarded += 1,
                Err(error) => tracing::error!(%id, %error, "cannot discard an upload"),
            }
        }
        Ok(discarded)
    }

    async fn remove_unused(
        &self,
        storage: &dyn Storage,
        hash: ContentHash,
    ) -> Result<bool, KeepError> {
        // Another task has the lock: it is about to make this the content of a file.
        let Some(_lock) = self.locks.try_lock(hash) else { return Ok(false) };
        // Somebody may have uploaded it again.
        if !storage.files().is_unused(hash).await? {
            return Ok(false);
        }
        self.contents.remove(hash).await?;
        Ok(storage.files().forget_content(hash).await?)
    }
}

const AT_ONCE: usize = 200;
