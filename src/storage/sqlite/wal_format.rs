//! The format of SQLite's write-ahead log, as far as damage can be seen in it.
//!
//! The log: <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>. Its index (`-shm`):
//! <https://www.sqlite.org/walformat.html>.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustc_hash::FxHashSet;

/// The file of the log.
pub(super) fn log_of(database: &Path) -> PathBuf {
    beside(database, "-wal")
}

/// The file of the index of the log.
pub(super) fn index_of(database: &Path) -> PathBuf {
    beside(database, "-shm")
}

fn beside(database: &Path, end: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// `None` if there is no such file.
pub(super) fn if_any<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        outcome => outcome.map(Some),
    }
}

/// What the file of the database says of itself.
#[derive(Debug, Default)]
pub(super) struct MainFile {
    /// Bytes of a page. `None` if the file has no header yet.
    pub(super) page_size: Option<u32>,
    pages: u64,
}

impl MainFile {
    pub(super) fn read(database: &Path) -> io::Result<Self> {
        let file = File::open(database)?;
        let mut header = [0; 100];
        let size = file.metadata()?.len();
        if size < header.len() as u64 {
            return Ok(Self::default());
        }
        file.read_exact_at(&mut header, 0)?;
        let page_size = match u32::from(u16::from_be_bytes([header[16], header[17]])) {
            1 => 65_536,
            size => size.max(512),
        };
        let pages = size / u64::from(page_size);
        Ok(Self { page_size: Some(page_size), pages })
    }
}

/// What the index of the log says. It is written after the log, so it never claims more than the log has.
#[derive(Debug)]
pub(super) struct Index {
    /// Pages that are committed.
    pub(super) pages: u32,
    /// Pages that are in the file of the database already.
    pub(super) copied: u32,
    /// The same as those of the log to which it belongs.
    pub(super) salts: [u8; 8],
}

impl Index {
    /// `None` if there is no index, or only half of it was written.
    pub(super) fn read(path: &Path) -> io::Result<Option<Self>> {
        let Some(file) = if_any(File::open(path))? else { return Ok(None) };
        let mut bytes = [0; 100];
        match file.read_exact_at(&mut bytes, 0) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            outcome => outcome?,
        }
        let number = |at: usize| {
            u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        // It is stored twice, so that a half-written copy is recognised.
        let is_whole = bytes[..48] == bytes[48..96] && bytes[12] == 1;
        let mut salts = [0; 8];
        salts.copy_from_slice(&bytes[32..40]);
        Ok(is_whole.then(|| Self { pages: number(16), copied: number(96), salts }))
    }
}

/// Reads pages of one log.
#[derive(Debug)]
pub(super) struct LogReader {
    pub(super) page_size: u32,
    pub(super) salts: [u8; 8],
    is_big_endian: bool,
    sum: (u32, u32),
}

/// What was found in a log.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Pages up to the last whole commit.
    pub(super) committed: u32,
    /// Pages that belong to this log.
    pub(super) seen: u32,
    /// Commits after the first invalid page.
    pub(super) commits_behind: u32,
    /// After the first invalid page there is a commit, and more pages after it. They were not written
    /// before that commit was durable.
    pub(super) goes_on_behind_commit: bool,
    /// How many pages the database has after the last whole commit, and which are in the log.
    size: u32,
    numbers: FxHashSet<u32>,
}

impl LogReader {
    /// `None` if the header is invalid.
    pub(super) fn new(header: &[u8; HEADER]) -> Option<Self> {
        let magic = be(header, 0);
        if magic & !1 != MAGIC || be(header, 4) != VERSION {
            return None;
        }
        let mut salts = [0; 8];
        salts.copy_from_slice(&header[16..24]);
        let is_big_endian = magic & 1 == 1;
        let sum = checksum(is_big_endian, (0, 0), &header[..24]);
        let page_size = be(header, 8);
        let is_right = sum == (be(header, 24), be(header, 28))
            && page_size.is_power_of_two()
            && (512..=65_536).contains(&page_size);
        is_right.then_some(Self { page_size, salts, is_big_endian, sum })
    }

    /// Reads all pages, from the first one after the header.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(super) fn read_pages(&self, log: &mut impl Read) -> io::Result<Found> {
        let mut found = Found::default();
        let mut page = vec![0; FRAME + self.page_size as usize];
        let (mut sum, mut is_right) = (self.sum, true);
        // Of the transaction that is being read.
        let mut numbers = Vec::new();
        for at in 1.. {
            match log.read_exact(&mut page) {
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
                outcome => outcome?,
            }
            let (number, size) = (be(&page, 0), be(&page, 4));
            let is_of_this = page[8..16] == self.salts;
            if is_right {
                let next = checksum(self.is_big_endian, sum, &page[..8]);
                sum = checksum(self.is_big_endian, next, &page[FRAME..]);
                is_right = is_of_this && number > 0 && sum == (be(&page, 16), be(&page, 20));
            }
            if is_of_this {
                found.seen = at;
            }
            if is_right {
                numbers.push(number);
                if size > 0 {
                    (found.committed, found.size) = (at, size);
                    found.numbers.extend(numbers.drain(..));
                }
            } else if is_of_this {
                found.goes_on_behind_commit |= found.commits_behind > 0;
                found.commits_behind += u32::from(size > 0);
            }
        }
        Ok(found)
    }
}

impl Found {
    /// Why the log and the file do not belong together.
    pub(super) fn foreign_to(&self, main: &MainFile) -> Option<&'static str> {
        // The page with the byte that is locked is never written.
        let locked = main.page_size.map(|size| (1 << 30) / u64::from(size) + 1);
        let missing = (main.pages + 1..=u64::from(self.size)).any(|page| {
            Some(page) != locked && u32::try_from(page).is_ok_and(|p| !self.numbers.contains(&p))
        });
        missing.then_some("pages of which it speaks are in neither")
    }
}

fn be(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn checksum(is_big_endian: bool, sum: (u32, u32), bytes: &[u8]) -> (u32, u32) {
    let word = |four: &[u8]| {
        let word = u32::from_be_bytes([four[0], four[1], four[2], four[3]]);
        if is_big_endian { word } else { word.swap_bytes() }
    };
    bytes.chunks_exact(8).fold(sum, |(one, two), eight| {
        let one = one.wrapping_add(word(&eight[..4])).wrapping_add(two);
        (one, two.wrapping_add(word(&eight[4..])).wrapping_add(one))
    })
}

const MAGIC: u32 = 0x377f_0682;
const VERSION: u32 = 3_007_000;
/// Bytes of the header of the log, and of that of a page in it.
pub(super) const HEADER: usize = 32;
pub(super) const FRAME: usize = 24;
