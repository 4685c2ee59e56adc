//! Where the bytes of files are: what a directory, or a store of objects elsewhere, must be able to do.

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::Turn;
use crate::storage::{ContentHash, FileId};

/// Keeps the bytes of files: first those that are being uploaded, by the id of the file, then whole contents, by
/// their hash.
#[async_trait]
pub trait ContentStore: Send + Sync {
    /// How many bytes of an upload are there. 0 if it has not begun.
    async fn uploaded(&self, id: FileId) -> io::Result<u64>;
    /// Continues an upload behind its first `at` bytes; what comes after them is cut off. The turn ends when the last
    /// byte is written, also if the caller is dropped before.
    ///
    /// # Errors
    /// `InvalidInput` if there are fewer bytes.
    async fn write(&self, id: FileId, at: u64, turn: Turn) -> io::Result<Box<dyn Writing>>;
    /// Forgets the bytes of an upload, if there are some.
    async fn discard(&self, id: FileId) -> io::Result<()>;
    /// The ids of all uploads that have not become contents.
    async fn uploads(&self) -> io::Result<Vec<FileId>>;
    /// Forgets all uploads that have not become contents. For the start of the server: after a crash it is unknown which of
    /// their bytes have reached the disk.
    async fn discard_all(&self) -> io::Result<()>;
    /// Makes an upload the content with this hash. It is there as a whole, or not at all.
    async fn keep(&self, id: FileId, hash: ContentHash) -> io::Result<()>;
    /// Opens a content. It can be read until the end also if it is removed meanwhile. `None` if it is not there.
    async fn open(&self, hash: ContentHash) -> io::Result<Option<Box<dyn Content>>>;
    /// Removes a content, if it is there.
    async fn remove(&self, hash: ContentHash) -> io::Result<()>;
    /// An address at which everybody can fetch a content for some minutes, and for `_left` at most, as this type and with
    /// this `Content-Disposition`. `None` if it is fetched here.
    fn address(
        &self,
        _: ContentHash,
        _left: Duration,
        _media_type: &str,
        _disposition: &str,
    ) -> Option<String> {
        None
    }
    /// Tries whether the store can be used. Nothing is changed.
    ///
    /// # Errors
    /// Why it cannot.
    async fn try_out(&self) -> io::Result<()> {
        Ok(())
    }
}

/// An upload that is being written.
#[async_trait]
pub trait Writing: Send {
    /// Writes the next bytes.
    async fn write(&mut self, piece: Bytes) -> io::Result<()>;
    /// Brings all bytes to the disk. Returns the hash of all of them, and the turn: no other task may write until they are
    /// kept.
    async fn finish(self: Box<Self>) -> io::Result<(ContentHash, Turn)>;
}

/// A content that is open for reading.
#[async_trait]
pub trait Content: Send + Sync {
    /// Up to `length` bytes at a position. Fewer only at the end.
    async fn read(&self, at: u64, length: usize) -> io::Result<Bytes>;
}
