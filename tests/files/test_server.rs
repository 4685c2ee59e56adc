//! A server with files, and requests to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::timeout;
use waxwing::clock::Clock;
use waxwing::config::Config;
use waxwing::host::uploads::{expires, later, signed_url, url};
use waxwing::jid::BareJid;
use waxwing::payload::datetime::Timestamp;
use waxwing::server::Server;
use waxwing::storage::{ContentHash, FileBounds, FileId, MemoryStorage, Purpose, StoredFile};
use waxwing::tasks::Tasks;
use waxwing::upload::Uploads;

pub(crate) struct TestServer {
    pub(crate) server: Server,
    pub(crate) clock: Clock,
    tasks: Tasks,
    data: TempDir,
}

/// Where a file is downloaded and uploaded.
pub(crate) struct Slot {
    pub(crate) id: FileId,
    pub(crate) path: String,
    pub(crate) put: String,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl TestServer {
    pub(crate) async fn new(options: &str) -> Self {
        Self::with(options, "", tempfile::tempdir().unwrap()).await
    }

    /// With these options at the top, and in `[listen]`, and what is in a data directory.
    pub(crate) async fn with(options: &str, listen: &str, data: TempDir) -> Self {
        let text = format!(
            "files.url = \"https://files.example.org\"\n{options}\n\
             [listen]\nc2s = []\nc2s_tls = []\nhttp = []\nhttps = []\nproxy65 = []\n{listen}\n\
             [[host]]\ndomain = \"localhost\"\n"
        );
        let mut config = Config::parse(&text, "the test").unwrap();
        data.path().clone_into(&mut config.data);
        let (clock, tasks) = (Clock::manual(Timestamp::from_micros(START)), Tasks::new());
        let server = Server::start(config, MemoryStorage::new(), clock.clone(), tasks.clone());
        Self { server: server.await.unwrap(), clock, tasks, data }
    }

    /// A slot for a file with this content.
    pub(crate) async fn slot(&self, name: &str, content: &[u8], kind: Option<&str>) -> Slot {
        self.slot_of(name, content.len() as u64, kind).await
    }

    /// A slot for a file of this size.
    pub(crate) async fn slot_of(&self, name: &str, size: u64, kind: Option<&str>) -> Slot {
        let state = self.server.state();
        let now = self.clock.now();
        let file = StoredFile {
            id: FileId::random(),
            owner: user(),
            name: name.to_owned(),
            size,
            media_type: kind.map(str::to_owned),
            purpose: Purpose::Message,
            created: now,
            slot_until: later(now, Duration::from_secs(300)),
            expires: expires(state, Purpose::Message, now, None),
            content: None,
        };
        state.storage.files().reserve(&file, ROOMY).await.unwrap();
        let key = self.uploads().key(&*state.storage).await.unwrap();
        let get = url(state, &file).unwrap_or_else(|| format!("{BASE}/files/{}/{name}", file.id));
        Slot { id: file.id, put: path_of(&signed_url(&get, key, &file)), path: path_of(&get) }
    }

    /// A file that was uploaded.
    pub(crate) async fn file(&self, name: &str, content: &[u8], kind: Option<&str>) -> Slot {
        let slot = self.slot(name, content, kind).await;
        assert_eq!(self.put(&slot, content, "").await.status, 201);
        slot
    }

    pub(crate) async fn put(&self, slot: &Slot, content: &[u8], more: &str) -> Answer {
        self.ask("PUT", &slot.put, more, content).await
    }

    pub(crate) async fn get(&self, slot: &Slot, more: &str) -> Answer {
        self.ask("GET", &slot.path, more, b"").await
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, more: &str, body: &[u8]) -> Answer {
        let length = match body.is_empty() {
            true => String::new(),
            false => format!("Content-Length: {}\r\n", body.len()),
        };
        self.send(&format!("{method} {path} HTTP/1.1\r\n{length}{more}"), body).await
    }

    /// Sends the lines of a head, and a body; reads until the end.
    pub(crate) async fn send(&self, head: &str, body: &[u8]) -> Answer {
        let mut io = self.connect();
        let head = format!("{head}Host: localhost\r\nConnection: close\r\n\r\n");
        io.write_all(head.as_bytes()).await.unwrap();
        // The server may have refused it already.
        drop(io.write_all(body).await);
        answer(&mut io).await
    }

    pub(crate) fn connect(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        self.server.connect(Box::new(theirs), "http");
        ours
    }

    pub(crate) fn uploads(&self) -> &Uploads {
        self.server.state().shared::<Uploads>()
    }

    /// The bytes that count for the day of the user.
    pub(crate) async fn day(&self) -> u64 {
        let files = self.server.state().storage.files();
        files.upload_day(&user(), self.clock.now()).await.unwrap().bytes()
    }

    pub(crate) async fn remove(&self, slot: &Slot) -> bool {
        self.server.state().storage.files().remove_file(&user(), slot.id).await.unwrap()
    }

    pub(crate) async fn sweep(&self) {
        let state = self.server.state();
        self.uploads().sweep(&*state.storage, self.clock.now()).await.unwrap();
    }

    /// The content of a file on the disk.
    pub(crate) fn content(&self, bytes: &[u8]) -> PathBuf {
        let hash = ContentHash::new(Sha256::digest(bytes).into()).to_string();
        self.data.path().join("files").join(&hash[..2]).join(&hash[2..])
    }

    /// How many contents are on the disk.
    pub(crate) fn contents(&self) -> usize {
        let all = files_in(&self.data.path().join("files"));
        all.iter().filter(|path| !path.contains("/partial/")).count()
    }

    /// How many uploads are on the disk that have not ended.
    pub(crate) fn partial(&self) -> usize {
        files_in(&self.data.path().join("files/partial")).len()
    }

    /// Their bytes.
    pub(crate) fn partial_bytes(&self) -> u64 {
        let all = files_in(&self.data.path().join("files/partial"));
        all.iter().filter_map(|path| fs::metadata(path).ok()).map(|found| found.len()).sum()
    }

    /// All files below the data directory, but for those that each server has.
    pub(crate) fn everything(&self) -> Vec<String> {
        let mut all = files_in(self.data.path());
        all.retain(|path| !path.ends_with("/token.key") && !path.contains("/certs/"));
        all
    }

    pub(crate) async fn close(self) {
        assert_eq!(self.server.state().metrics.panics.get(), 0);
        assert!(self.tasks.stop(Duration::from_secs(10)).await.is_empty());
    }
}

/// What follows our address.
pub(crate) fn path_of(url: &str) -> String {
    url.strip_prefix(BASE).unwrap().to_owned()
}

/// The address of a file.
pub(crate) fn url_of(slot: &Slot) -> String {
    format!("{BASE}{}", slot.path)
}

/// Reads an answer until the end of the connection.
pub(crate) async fn answer(io: &mut DuplexStream) -> Answer {
    let mut all = Vec::new();
    timeout(PATIENCE, io.read_to_end(&mut all)).await.unwrap().unwrap();
    let end = all.windows(4).position(|part| part == b"\r\n\r\n").unwrap_or(all.len());
    let head = String::from_utf8_lossy(&all[..end]).to_ascii_lowercase() + "\r\n";
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Answer { status, head, body: all.get(end + 4..).unwrap_or_default().to_vec() }
}

fn files_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    let files = paths.flat_map(|path| match path.is_dir() {
        true => files_in(&path),
        false => vec![path.to_string_lossy().into_owned()],
    });
    files.collect()
}

fn user() -> BareJid {
    BareJid::parse("romeo@localhost").unwrap()
}

pub(crate) const ROOMY: FileBounds =
    FileBounds { bytes: 1 << 40, files: 100_000, replace: false, per_day: None };
const BASE: &str = "https://files.example.org";
/// 2026-07-01T12:00:00Z
const START: i64 = 1_782_907_200_000_000;
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
