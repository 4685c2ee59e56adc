//! Files that users have uploaded (XEP-0363): one row for each upload. The bytes are elsewhere, once for each
//! content: see `src/upload/`.

use std::fmt;

use async_trait::async_trait;

use super::{Purpose, Result, UploadDay};
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;

/// The id of a file: 128 random bits, which nobody guesses. Written as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FileId([u8; 16]);

/// The SHA-256 of a content. Written as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ContentHash([u8; 32]);

/// A file, or the slot of a file that is not there yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredFile {
    /// Its id.
    pub id: FileId,
    /// The account that has asked for the slot.
    pub owner: BareJid,
    /// Its name, as its address ends.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its type, if the client has told it.
    pub media_type: Option<String>,
    /// What it is for.
    pub purpose: Purpose,
    /// When the slot was asked for.
    pub created: Timestamp,
    /// Until when it may be uploaded.
    pub slot_until: Timestamp,
    /// When the file is removed. `None`: never.
    pub expires: Option<Timestamp>,
    /// Its content. `None`: it was not uploaded.
    pub content: Option<ContentHash>,
}

/// How many files of one kind an account may have. With `replace`, old files go when a new one is there, and not when
/// a slot is given: what is being uploaded counts beside what is there, and both have these bounds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FileBounds {
    /// Bytes of all its files that share a quota with the new one.
    pub bytes: u64,
    /// Files of the account.
    pub files: u64,
    /// Remove the oldest files of the same kind to make room.
    pub replace: bool,
    /// Bytes for which the account gets slots in a day. `None`: any number.
    pub per_day: Option<u64>,
}

/// The newest files of an account that were uploaded.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UploadedFiles {
    /// The newest first.
    pub newest: Vec<StoredFile>,
    /// How many there are in all.
    pub all: u64,
}

/// How much is stored in all.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FileTotals {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Contents: files with the same bytes have one.
    pub contents: u64,
    /// The bytes of the contents.
    pub content_bytes: u64,
}

/// Files of accounts.
#[async_trait]
pub trait FileStore: Send + Sync {
    /// Stores a slot: a file without content. Nothing is removed for it. Its bytes count for the day of the account.
    ///
    /// # Errors
    /// `StorageError::Limit` with [`UPLOAD_DAY`](super::UPLOAD_DAY) if the account has uploaded too much in a day, with
    /// [`FILE_QUOTA`] if it has no room for it, and could make none.
    async fn reserve(&self, file: &StoredFile, bounds: FileBounds) -> Result<()>;
    /// A file by its id.
    async fn find(&self, id: FileId) -> Result<Option<StoredFile>>;
    /// The files of an account with those that are not uploaded yet, newest first.
    async fn files_of(&self, owner: &BareJid, limit: usize) -> Result<Vec<StoredFile>>;
    /// The newest files of an account that were uploaded and have not expired, and how many there are.
    async fn uploaded(
        &self,
        owner: &BareJid,
        now: Timestamp,
        limit: usize,
    ) -> Result<UploadedFiles>;
    /// When the first of the files and slots of an account ends that share a quota with this purpose. `None`: none
    /// does.
    async fn next_end(&self, owner: &BareJid, purpose: Purpose) -> Result<Option<Timestamp>>;
    /// Bytes of the files of an account that share a quota with this purpose, and the number of all its files.
    async fn used_by(&self, owner: &BareJid, purpose: Purpose) -> Result<(u64, u64)>;
    /// Lets a slot be used until a later time: an upload was interrupted.
    async fn extend(&self, id: FileId, until: Timestamp) -> Result<()>;
    /// Notes the type of a file whose slot names none.
    async fn note_media_type(&self, id: FileId, media_type: &str) -> Result<()>;
    /// Notes that a content is about to be written to the disk. It counts as unused until a file has it.
    async fn announce_content(&self, hash: ContentHash, size: u64) -> Result<()>;
    /// The content of a file is on the disk. If these bounds say `replace`, the oldest files of the same kind go, as
    /// far as it needs room, and at most [`REPLACED_AT_ONCE`]. How many that were; `None` if there is no such file, or
    /// it has a content already.
    async fn complete(
        &self,
        id: FileId,
        hash: ContentHash,
        bounds: FileBounds,
    ) -> Result<Option<u64>>;
    /// Removes a file of an account. `false` if the account has no such file.
    async fn remove_file(&self, owner: &BareJid, id: FileId) -> Result<bool>;
    /// What an account was given slots for in the day before `now`.
    async fn upload_day(&self, owner: &BareJid, now: Timestamp) -> Result<UploadDay>;
    /// Slots that were not used in time, of all accounts, up to `limit` of them. They are still there.
    async fn expired_slots(&self, now: Timestamp, limit: usize) -> Result<Vec<StoredFile>>;
    /// Removes a slot. So many of its bytes, which were not sent, count for the day of its owner no more. `false` if there
    /// is no such slot; a file that was uploaded is none.
    async fn give_up(&self, id: FileId, unsent: u64) -> Result<bool>;
    /// Removes files that have expired, up to `limit` of them. Answers how many.
    async fn remove_expired(&self, now: Timestamp, limit: usize) -> Result<u64>;
    /// Contents that no file has, in the order of their hashes, behind this one. They are still on the disk.
    async fn unused_contents(
        &self,
        after: Option<ContentHash>,
        limit: usize,
    ) -> Result<Vec<ContentHash>>;
    /// Whether no file has this content.
    async fn is_unused(&self, hash: ContentHash) -> Result<bool>;
    /// Forgets a content that is no longer on the disk. `false` if a file has it.
    async fn forget_content(&self, hash: ContentHash) -> Result<bool>;
    /// How much is stored in all.
    async fn totals(&self) -> Result<FileTotals>;
}

/// The limit on the files of an account, as [`StorageError::Limit`](super::StorageError::Limit) names it.
pub const FILE_QUOTA: &str = "files";
/// At most this many old files are removed to make room for a new one.
pub const REPLACED_AT_ONCE: usize = 1000;

impl FileBounds {
    /// Whether this exceeds the limits.
    pub(super) fn are_exceeded(&self, bytes: u64, files: u64) -> bool {
        bytes > self.bytes || files > self.files
    }
}

impl StoredFile {
    /// Nobody may upload or download it any more.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        match self.content {
            Some(_) => self.expires.is_some_and(|expires| expires <= now),
            None => self.slot_until <= now,
        }
    }
}

impl FileId {
    /// A new one.
    ///
    /// # Panics
    /// If the operating system gives no random bytes.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
        Self(bytes)
    }

    /// Reads 32 hexadecimal digits in lower case. `None` if it is anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        parse_hex(text).map(Self)
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    pub(super) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl ContentHash {
    /// From the bytes of the hash.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(super) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != 2 * N || !text.bytes().all(is_hex) {
        return None;
    }
    let mut bytes = [0; N];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_32_digits_in_lower_case() {
        let id = FileId::random();
        assert_eq!(FileId::parse(&id.to_string()), Some(id));
        assert_ne!(FileId::random(), id);
        let digits = "00112233445566778899aabbccddeeff";
        assert_eq!(FileId::parse(digits).map(|id| id.to_string()).as_deref(), Some(digits));
        for wrong in
            ["", "0", &digits.to_uppercase(), &digits[1..], "+0112233445566778899aabbccddeeff", "é"]
        {
            assert_eq!(FileId::parse(wrong), None, "{wrong}");
        }
    }
}
