//! A server with two accounts, and requests to its HTTP API.

use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::timeout;
use waxwing::clock::Clock;
use waxwing::config::Config;
use waxwing::host::{NewApiToken, create_api_token};
use waxwing::jid::BareJid;
use waxwing::payload::datetime::Timestamp;
use waxwing::server::Server;
use waxwing::storage::{MemoryStorage, NewAccount};
use waxwing::tasks::Tasks;

pub(crate) struct TestServer {
    pub(crate) server: Server,
    pub(crate) clock: Clock,
    tasks: Tasks,
    _data: TempDir,
}

/// An answer, with its head in lower case.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) json: Value,
}

impl Answer {
    /// The type of a problem, without what all have.
    pub(crate) fn problem(&self) -> &str {
        assert!(self.head.contains("content-type: application/problem+json\r\n"), "{self:?}");
        assert_eq!(self.json["status"], self.status, "{self:?}");
        assert!(self.json["title"].is_string(), "{self:?}");
        self.json["type"].as_str().unwrap().strip_prefix("urn:waxwing:problem:").unwrap()
    }
}

pub(crate) fn user(name: &str) -> BareJid {
    BareJid::parse(&format!("{name}@localhost")).unwrap()
}

impl TestServer {
    pub(crate) async fn new(options: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let text = format!(
            "[listen]\nc2s = []\nc2s_tls = []\nhttp = []\nhttps = []\nproxy65 = []\n{options}\n\
             [[host]]\ndomain = \"localhost\"\n"
        );
        let mut config = Config::parse(&text, "the test").unwrap();
        data.path().clone_into(&mut config.data);
        let (clock, tasks) = (Clock::manual(Timestamp::from_micros(START)), Tasks::new());
        let storage = MemoryStorage::new();
        let server = Server::start(config, storage, clock.clone(), tasks.clone()).await.unwrap();
        let new = |name| NewAccount {
            user: user(name),
            keys: Vec::new(),
            created: clock.now(),
            admin: false,
        };
        let accounts = ["romeo", "juliet", "nurse"].map(new);
        server.state().storage.accounts().create(&accounts).await.unwrap();
        Self { server, clock, tasks, _data: data }
    }

    /// A new token of an account.
    pub(crate) async fn token(&self, name: &str, scopes: &str, days: Option<u64>) -> String {
        let new = NewApiToken { name: "test", scopes, days };
        let (storage, now) = (&*self.server.state().storage, self.clock.now());
        create_api_token(storage, &user(name), new, 99, now).await.unwrap().0
    }

    pub(crate) fn connect(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        self.server.connect(Box::new(theirs), "http");
        ours
    }

    /// `request`: the first line of a request, and the lines of its head.
    pub(crate) async fn ask(&self, token: &str, request: &str, body: &str) -> Answer {
        let authorization = match token {
            "" => String::new(),
            token => format!("Authorization: Bearer {token}\r\n"),
        };
        let (first, more) = request.split_once("\r\n").unwrap_or((request, ""));
        let length = match body {
            "" => String::new(),
            body => format!("Content-Length: {}\r\n", body.len()),
        };
        let head = format!(
            "{first} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{authorization}{length}{more}\r\n"
        );
        let mut io = self.connect();
        io.write_all(head.as_bytes()).await.unwrap();
        // The server may have refused it already.
        drop(io.write_all(body.as_bytes()).await);
        let mut all = Vec::new();
        timeout(PATIENCE, io.read_to_end(&mut all)).await.unwrap().unwrap();
        let all = String::from_utf8(all).unwrap();
        let (head, body) = all.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let json = serde_json::from_str(body).unwrap_or(Value::Null);
        Answer { status, head: head.to_ascii_lowercase() + "\r\n", json }
    }

    /// Sends a message.
    pub(crate) async fn send(&self, token: &str, body: &str) -> Answer {
        self.ask(token, &format!("POST /api/v1/messages\r\n{JSON}"), body).await
    }

    pub(crate) async fn get(&self, token: &str, path: &str) -> Answer {
        self.ask(token, &format!("GET /api/v1/{path}"), "").await
    }

    /// Follows an archive. The head was read.
    pub(crate) async fn follow(&self, token: &str, query: &str, more: &str) -> Events {
        let mut io = self.connect();
        let head = format!(
            "GET /api/v1/events{query} HTTP/1.1\r\nHost: localhost\r\n\
             Authorization: Bearer {token}\r\n{more}\r\n"
        );
        io.write_all(head.as_bytes()).await.unwrap();
        let mut events = Events { io, began: String::new(), text: String::new() };
        events.until("\r\n\r\n").await.unwrap();
        assert!(events.text.starts_with("HTTP/1.1 200 "), "{}", events.text);
        assert!(events.text.contains("content-type: text/event-stream\r\n"), "{}", events.text);
        events.text = events.text.split_once("\r\n\r\n").unwrap().1.to_owned();
        events.until(": welcome\n\n").await.unwrap();
        let (welcome, rest) = events.text.split_once(": welcome\n\n").unwrap();
        (events.began, events.text) = (welcome.to_owned(), rest.to_owned());
        events
    }

    pub(crate) async fn close(self) {
        assert_eq!(self.server.state().metrics.panics.get(), 0);
        assert!(self.tasks.stop(Duration::from_secs(10)).await.is_empty());
    }
}

/// A stream of events.
pub(crate) struct Events {
    io: DuplexStream,
    /// What came before the welcome.
    pub(crate) began: String,
    text: String,
}

impl Events {
    /// Reads until this has come. `None` at the end.
    async fn until(&mut self, wanted: &str) -> Option<()> {
        while !self.text.contains(wanted) {
            let mut piece = [0; 4096];
            let count = timeout(PATIENCE, self.io.read(&mut piece)).await.unwrap().unwrap();
            if count == 0 {
                return None;
            }
            self.text.push_str(&String::from_utf8_lossy(&piece[..count]));
        }
        Some(())
    }

    /// The next event: its id and its data. `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<(String, Value)> {
        self.until("data: ").await?;
        let begin = self.text.find("id: ").unwrap();
        self.text.drain(..begin);
        self.until("\n\n").await?;
        let (event, rest) = self.text.split_once("\n\n").unwrap();
        let line = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
        assert_eq!(line("event: "), Some("message"), "{event}");
        let id = line("id: ").unwrap().to_owned();
        let data = serde_json::from_str(line("data: ").unwrap()).unwrap();
        self.text = rest.to_owned();
        Some((id, data))
    }

    /// Waits for a comment.
    pub(crate) async fn heartbeat(&mut self) -> Option<()> {
        self.until(": still here\n\n").await?;
        self.text = self.text.replacen(": still here\n\n", "", 1);
        Some(())
    }
}

pub(crate) const JSON: &str = "Content-Type: application/json\r\n";
const PATIENCE: Duration = Duration::from_secs(100);
/// 1 December 2026.
const START: i64 = 1_796_083_200_000_000;
