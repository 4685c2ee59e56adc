//! How far uploads have come, and the hash of what is there. A continued upload goes on from this hash: earlier bytes are
//! not read again, however often a client continues.

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use sha2::{Digest as _, Sha256};

use crate::storage::{ContentHash, FileId};

/// The hash of the first bytes of an upload, and what it was at each [`STEP`] before.
#[derive(Clone, Default)]
pub(super) struct Progress {
    steps: Vec<Sha256>,
    hash: Sha256,
    at: u64,
}

/// The uploads that are not complete.
#[derive(Clone, Debug, Default)]
pub(super) struct AllProgress(Arc<Mutex<FxHashMap<FileId, Progress>>>);

impl Progress {
    /// Adds the next bytes.
    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = usize::try_from(STEP - self.at % STEP).unwrap_or(usize::MAX);
            let (now, rest) = bytes.split_at(room.min(bytes.len()));
            self.hash.update(now);
            self.at += now.len() as u64;
            if self.at.is_multiple_of(STEP) {
                self.steps.push(self.hash.clone());
            }
            bytes = rest;
        }
    }

    /// Goes to the first `at` bytes of a file. What is not known of them is read: less than [`STEP`], unless the server has
    /// forgotten the upload.
    ///
    /// # Errors
    /// `InvalidInput` if the file is shorter.
    pub(super) fn go_to(&mut self, at: u64, file: &mut File) -> io::Result<()> {
        if file.metadata()?.len() < at {
            return Err(ErrorKind::InvalidInput.into());
        }
        if at < self.at {
            self.steps.truncate(usize::try_from(at / STEP).unwrap_or(usize::MAX));
            self.hash = self.steps.last().cloned().unwrap_or_default();
            self.at = self.steps.len() as u64 * STEP;
        }
        file.seek(SeekFrom::Start(self.at))?;
        let mut buffer = vec![0; PIECE];
        while self.at < at {
            let most = usize::try_from(at - self.at).unwrap_or(PIECE).min(PIECE);
            let read = file.read(buffer.get_mut(..most).unwrap_or_default())?;
            if read == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.update(buffer.get(..read).unwrap_or_default());
        }
        Ok(())
    }

    /// The hash of all bytes.
    pub(super) fn finish(self) -> ContentHash {
        ContentHash::new(self.hash.finalize().into())
    }
}

impl AllProgress {
    /// Takes what is known of an upload; the beginning, if nothing is.
    pub(super) fn take(&self, id: FileId) -> Progress {
        self.0.lock().remove(&id).unwrap_or_default()
    }

    /// Remembers it. When there are too many, any other one is forgotten, and read again if it is continued.
    pub(super) fn put(&self, id: FileId, progress: Progress) {
        let mut all = self.0.lock();
        if all.len() >= MOST {
            let other = all.keys().next().copied();
            other.and_then(|other| all.remove(&other));
        }
        all.insert(id, progress);
    }

    pub(super) fn forget(&self, id: FileId) {
        self.0.lock().remove(&id);
    }

    pub(super) fn forget_all(&self) {
        self.0.lock().clear();
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("at", &self.at).finish_non_exhaustive()
    }
}

/// Bytes from one known hash to the next. Each takes some hundred bytes of memory.
const STEP: u64 = 8 * 1024 * 1024;
/// Uploads that are remembered.
const MOST: usize = 1000;
const PIECE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn the_hash_goes_back_and_forth() {
        let bytes: Vec<u8> = (0..STEP * 2 + 1000).map(|n| (n / 7) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let all = AllProgress::default();
        let id = FileId::random();
        let mut progress = all.take(id);
        progress.update(&bytes);
        for at in [bytes.len() as u64, 5, STEP, STEP - 1, STEP * 2 + 3, STEP * 2, 0] {
            progress.go_to(at, &mut file).unwrap();
            all.put(id, progress);
            progress = all.take(id);
            assert_eq!(progress.at, at);
            let hash = Sha256::digest(&bytes[..at as usize]);
            assert_eq!(progress.clone().finish().bytes()[..], hash[..], "{at}");
        }
        let error = progress.go_to(bytes.len() as u64 + 1, &mut file).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn only_so_many_are_remembered() {
        let all = AllProgress::default();
        for _ in 0..MOST + 9 {
            all.put(FileId::random(), Progress::default());
        }
        assert_eq!(all.0.lock().len(), MOST);
        all.forget_all();
        assert!(all.0.lock().is_empty());
    }
}
