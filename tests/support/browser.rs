//! A browser without a window: it sends forms, keeps cookies, and reads pages.

#![allow(dead_code, reason = "each test needs a part of it")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::timeout;
use waxwing::auth::derive_keys;
use waxwing::clock::Clock;
use waxwing::config::Config;
use waxwing::host::invitations::{self, Wish};
use waxwing::jid::BareJid;
use waxwing::server::Server;
use waxwing::storage::{InvitationKind, MemoryStorage, NewAccount, Storage};
use waxwing::tasks::Tasks;

/// A server.
pub(crate) struct TestServer {
    pub(crate) server: Server,
    tasks: Tasks,
    _data: TempDir,
}

impl TestServer {
    pub(crate) async fn new(options: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let text = format!(
            "listen = {{ c2s = [], c2s_tls = [], http = [], https = [], proxy65 = [], components = [] }}\n\
             invitations.url = \"https://chat.example\"\n{options}\n\
             [[host]]\ndomain = \"localhost\"\n[[host]]\ndomain = \"example.org\"\n"
        );
        let mut config = Config::parse(&text, "the test").unwrap();
        data.path().clone_into(&mut config.data);
        let tasks = Tasks::new();
        let started = Server::start(config, MemoryStorage::new(), Clock::system(), tasks.clone());
        Self { server: started.await.unwrap(), tasks, _data: data }
    }

    pub(crate) fn storage(&self) -> &dyn Storage {
        &*self.server.state().storage
    }

    pub(crate) async fn account(&self, name: &str, password: &str) -> BareJid {
        let user = BareJid::parse(name).unwrap();
        let keys = derive_keys(password, 4).unwrap();
        let created = self.server.state().clock.now();
        let account = NewAccount { user: user.clone(), keys, created, admin: false };
        self.storage().accounts().create(&[account]).await.unwrap();
        user
    }

    /// The token of a new invitation.
    pub(crate) async fn invite(&self, inviter: &str, kind: InvitationKind, also: bool) -> String {
        let wish = Wish { kind, also, name: None, uses: 1, lifetime: None };
        self.invite_as(inviter, wish).await
    }

    pub(crate) async fn invite_as(&self, inviter: &str, wish: Wish) -> String {
        let state = self.server.state();
        let inviter = BareJid::parse(inviter).unwrap();
        let (config, now) = (state.config.load_full(), state.clock.now());
        let made = invitations::create(self.storage(), &config, now, &inviter, true, wish);
        made.await.unwrap().token
    }

    pub(crate) fn browser(&self) -> Browser<'_> {
        Browser { server: self, cookies: BTreeMap::new(), from: "127.0.0.1:9".parse().unwrap() }
    }

    /// How many tasks of this kind run.
    pub(crate) fn running(&self, task: &str) -> usize {
        self.tasks.count(task)
    }

    /// A connection on which this was sent.
    pub(crate) async fn sent(&self, text: &str) -> DuplexStream {
        let (mut io, theirs) = tokio::io::duplex(1 << 16);
        self.server.connect_from(Box::new(theirs), "127.0.0.1:9".parse().unwrap(), "http");
        io.write_all(text.as_bytes()).await.unwrap();
        io
    }

    pub(crate) async fn close(self) {
        assert_eq!(self.server.state().metrics.panics.get(), 0);
        assert!(self.tasks.stop(Duration::from_secs(10)).await.is_empty());
    }
}

/// A browser.
pub(crate) struct Browser<'a> {
    server: &'a TestServer,
    pub(crate) cookies: BTreeMap<String, String>,
    /// Where it is.
    pub(crate) from: SocketAddr,
}

/// What is answered.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Page {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(": ")?;
            known.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The token of the form that is sent there.
    pub(crate) fn token(&self, action: &str) -> String {
        let form = self.body.split(&format!("action=\"{action}\"")).nth(1);
        let form = form.unwrap_or_else(|| panic!("no form for {action}: {}", self.body));
        let value = form.split("name=\"token\" value=\"").nth(1).unwrap();
        value.split('"').next().unwrap().to_owned()
    }

    /// The value of the field `id` in the first form that is sent there.
    pub(crate) fn id(&self, action: &str) -> String {
        let form = self.body.split(&format!("action=\"{action}\"")).nth(1).unwrap();
        let value = form.split("name=\"id\" value=\"").nth(1).unwrap();
        value.split('"').next().unwrap().to_owned()
    }
}

impl Browser<'_> {
    pub(crate) async fn get(&mut self, path: &str) -> Page {
        self.send(&format!("GET {path} HTTP/1.1\r\n"), "", "").await
    }

    /// Sends a form with these fields, encoded already.
    /// Asks as a reverse proxy does for a client at this address.
    pub(crate) async fn get_for(&mut self, client: &str, path: &str) -> Page {
        let more = format!("X-Forwarded-For: {client}\r\n");
        self.send(&format!("GET {path} HTTP/1.1\r\n"), &more, "").await
    }

    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let body: Vec<_> =
            fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        self.post_raw(path, "Content-Type: application/x-www-form-urlencoded\r\n", &body.join("&"))
            .await
    }

    pub(crate) async fn post_raw(&mut self, path: &str, more: &str, body: &str) -> Page {
        let more = format!("{more}Content-Length: {}\r\n", body.len());
        self.send(&format!("POST {path} HTTP/1.1\r\n"), &more, body).await
    }

    /// Asks for a page, and leaves the answer in the connection, which takes so many bytes at once.
    pub(crate) async fn open(&mut self, path: &str, bytes: usize) -> DuplexStream {
        self.request(&format!("GET {path} HTTP/1.1\r\n"), "", "", bytes).await
    }

    async fn request(&self, line: &str, more: &str, body: &str, bytes: usize) -> DuplexStream {
        let cookies: Vec<_> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = match cookies.is_empty() {
            true => String::new(),
            false => format!("Cookie: {}\r\n", cookies.join("; ")),
        };
        let host = "Host: localhost:7070\r\nConnection: close\r\n";
        let request = format!("{line}{host}{cookies}{more}\r\n{body}");
        let (mut io, theirs) = tokio::io::duplex(bytes);
        self.server.server.connect_from(Box::new(theirs), self.from, "http");
        io.write_all(request.as_bytes()).await.unwrap();
        io
    }

    async fn send(&mut self, line: &str, more: &str, body: &str) -> Page {
        let mut io = self.request(line, more, body, 1 << 16).await;
        let mut all = Vec::new();
        timeout(Duration::from_secs(60), io.read_to_end(&mut all)).await.unwrap().unwrap();
        let all = String::from_utf8(all).unwrap();
        let (head, body) = all.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{all}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        for line in head.lines() {
            let Some((name, value)) = line.split_once(": ") else { continue };
            if name.eq_ignore_ascii_case("set-cookie") {
                let (name, value) = value.split(';').next().unwrap().split_once('=').unwrap();
                match value {
                    "" => self.cookies.remove(name),
                    value => self.cookies.insert(name.to_owned(), value.to_owned()),
                };
            }
        }
        let is_in_pieces = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        let body = if is_in_pieces { joined(body) } else { body.to_owned() };
        Page { status, head: head.to_owned(), body }
    }
}

/// The pieces of a chunked body (RFC 9112 §7.1).
pub(crate) fn joined(mut rest: &str) -> String {
    let mut out = String::new();
    while let Some((size, more)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        out.push_str(&more[..size]);
        if size == 0 {
            return out;
        }
        rest = &more[size + 2..];
    }
    panic!("the body ends too early: {out}");
}

fn encoded(value: &str) -> String {
    value.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
