//! What a page of an archive costs (XEP-0313), from the question to its last byte: clients over TLS
//! on pipes, the server and its database in this process.
//!
//! `cargo bench --bench pages -- [messages] [clients] [page]` (default 10,000 for each client, 4 and
//! 50). Both sides of the connections are in the time that is printed.

#![expect(clippy::print_stdout, reason = "a program that measures")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]
#![expect(clippy::unwrap_used, reason = "a failure is the end of the measurement")]

use std::sync::Arc;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;
use rustls::pki_types::ServerName;
use smallvec::smallvec;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use waxwing::auth::derive_keys;
use waxwing::clock::Clock;
use waxwing::config::Config;
use waxwing::jid::{BareJid, Jid};
use waxwing::server::Server;
use waxwing::storage::{Holder, NewAccount, NewMessage, SqliteStorage, Storage, Way};
use waxwing::tasks::Tasks;

#[path = "../tests/support/trust.rs"]
mod trust;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|a| !a.starts_with("--"));
    let mut number = |or: usize| arguments.next().and_then(|a| a.parse().ok()).unwrap_or(or);
    let (messages, clients, page) = (number(10_000), number(4), number(50));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(run(messages, clients, page));
}

async fn run(messages: usize, clients: usize, page: usize) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (clock, tasks) = (Clock::system(), Tasks::new());
    let path = dir.path().join("waxwing.sqlite");
    let storage: Arc<dyn Storage> = SqliteStorage::open(&path, 2, &tasks).await.unwrap();
    let text = "[listen]\nc2s = []\nc2s_tls = []\nhttp = []\nhttps = []\nproxy65 = []\n[[host]]\ndomain = \"localhost\"\n";
    let mut config = Config::parse(text, "the measurement").unwrap();
    dir.path().clone_into(&mut config.data);
    let server = Server::start(config, Arc::clone(&storage), clock.clone(), tasks.clone());
    let server = server.await.unwrap();
    for n in 0..clients {
        fill(&storage, &clock, n, messages).await;
    }
    let begun = Instant::now();
    let cpu = cpu_seconds();
    let readers = (0..clients).map(|n| tokio::spawn(read(server.clone(), n, page)));
    let pages: usize =
        futures_util::future::join_all(readers).await.into_iter().map(Result::unwrap).sum();
    let (seconds, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    println!(
        "{pages} pages of {page}: {:.0} pages/s, {:.0} us of CPU each",
        pages as f64 / seconds,
        cpu * 1e6 / pages as f64
    );
    tasks.stop(std::time::Duration::from_secs(5)).await;
    storage.close().await;
}

async fn fill(storage: &Arc<dyn Storage>, clock: &Clock, n: usize, messages: usize) {
    let user = BareJid::parse(&format!("user{n}@localhost")).unwrap();
    let keys = derive_keys("secret", 2).unwrap();
    let account = NewAccount { user: user.clone(), keys, created: clock.now(), admin: false };
    storage.accounts().create(&[account]).await.unwrap();
    let with = Jid::parse("juliet@capulet.lit/phone.0123456").unwrap();
    let mut last = None;
    for m in 0..messages {
        let xml = format!(
            "<message from='{with}' to='{user}' id='c{m:016x}' type='chat'><body>This is message \
             {m}: it has some words more, as people write to each other all day long about the \
             weather, the bread and the children</body><request xmlns='urn:xmpp:receipts'/>\
             <origin-id xmlns='urn:xmpp:sid:0' id='c{m:016x}'/></message>"
        );
        let message = NewMessage {
            at: clock.now(),
            xml: xml.into(),
            holders: smallvec![Holder {
                owner: user.clone(),
                with: with.clone(),
                way: Way::Received,
                archive: true,
                waiting: false,
                limit: None,
            }],

            handled: None,
        };
        last = Some(storage.archive().keep(message).await.unwrap().receipt);
    }
    last.unwrap().await.unwrap();
}

/// Reads the whole archive, page by page, ten times; answers how many pages.
async fn read(server: Server, n: usize, page: usize) -> usize {
    let (ours, theirs) = tokio::io::duplex(1 << 18);
    server.connect(Box::new(theirs), "direct_tls");
    let host = ServerName::try_from("localhost").unwrap();
    let tls = TlsConnector::from(Arc::new(trust::config(false))).connect(host, ours).await.unwrap();
    let mut peer = Peer { io: tls, heard: Vec::new() };
    let plain = STANDARD.encode(format!("\0user{n}\0secret"));
    peer.asks(HEADER, "</stream:features>").await;
    let auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>";
    peer.asks(&format!("{auth}{plain}</auth>"), "<success ").await;
    peer.asks(HEADER, "</stream:features>").await;
    let bind = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>";
    peer.asks(&format!("<iq type='set' id='b'>{bind}</iq>"), "</iq>").await;
    let mut pages = 0;
    for _ in 0..10 {
        let mut after = String::new();
        loop {
            let heard = peer
                .asks(
                    &format!(
                        "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2' queryid='q{pages}'>\
                         <set xmlns='http://jabber.org/protocol/rsm'><max>{page}</max>{after}</set>\
                         </query></iq>"
                    ),
                    "</iq>",
                )
                .await;
            pages += 1;
            let text = &heard[memmem::rfind(&heard, b"<fin ").unwrap()..];
            if memmem::find(text, b"complete='true'").is_some() {
                break;
            }
            let last = &text[memmem::find(text, b"<last>").unwrap() + 6..][..16];
            after = format!("<after>{}</after>", std::str::from_utf8(last).unwrap());
        }
    }
    pages
}

struct Peer {
    io: TlsStream<DuplexStream>,
    heard: Vec<u8>,
}

impl Peer {
    async fn asks(&mut self, text: &str, wanted: &str) -> Vec<u8> {
        self.io.write_all(text.as_bytes()).await.unwrap();
        self.io.flush().await.unwrap();
        let mut searched = 0;
        loop {
            if memmem::find(&self.heard[searched..], wanted.as_bytes()).is_some() {
                return std::mem::take(&mut self.heard);
            }
            searched = self.heard.len().saturating_sub(wanted.len());
            assert!(self.io.read_buf(&mut self.heard).await.unwrap() > 0, "it ended");
        }
    }
}

fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = text.rsplit(')').next().unwrap_or_default();
    let ticks = |n: usize| after.split_whitespace().nth(n).and_then(|t| t.parse::<f64>().ok());
    (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / 100.0
}

const HEADER: &str = "<stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='localhost'>";
