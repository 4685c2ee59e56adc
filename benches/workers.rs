//! How many messages a second one worker thread handles, and how many two do.
//!
//! `cargo bench --bench workers -- [messages] [rounds] [pairs]` (default 400,000, 3 and 100). Accounts in
//! pairs are logged in over TLS on pipes in memory, in this process. What the senders say is encrypted before
//! the clock starts, and what comes to the recipients is thrown away unread. So the time is that of the
//! server: reading, TLS, routing, storing in memory, writing. No disk, no kernel and no load generator take
//! part.
//!
//! Two cores of a virtual machine may be two threads of one real core. So it first measures how many times as
//! much two threads do as one if they share nothing: each parses a stanza of its own, again and again. No
//! server does better.

#![expect(clippy::print_stdout, reason = "a program that measures")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]
#![expect(clippy::unwrap_used, reason = "a failure is the end of the measurement")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use waxwing::auth::derive_keys;
use waxwing::clock::Clock;
use waxwing::config::Config;
use waxwing::jid::BareJid;
use waxwing::server::Server;
use waxwing::storage::{MemoryStorage, NewAccount, Storage};
use waxwing::tasks::Tasks;
use waxwing::xml::Frame;

#[path = "../tests/support/trust.rs"]
mod trust;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|a| !a.starts_with("--"));
    let mut number = |or: usize| arguments.next().and_then(|a| a.parse().ok()).unwrap_or(or);
    let (messages, rounds, pairs) = (number(400_000), number(3), number(100));
    let limits: Vec<_> = (0..rounds).map(|_| limit()).collect();
    println!("two threads that share nothing do {limits:.2?} times as much as one");
    for archive in [false, true] {
        let mut best = [0.0_f64; 2];
        for _ in 0..rounds {
            for (workers, best) in [1, 2].into_iter().zip(&mut best) {
                let mut runtime = Builder::new_multi_thread();
                let runtime = runtime.worker_threads(workers).enable_all().build().unwrap();
                let rate = measure(&runtime, archive, messages / pairs, pairs);
                println!("archive {archive}, {workers} worker(s): {rate:.0} messages/s");
                *best = best.max(rate);
            }
        }
        let [one, two] = best;
        println!("archive {archive}: at best {one:.0} and {two:.0}, {:.2} times", two / one);
    }
}

/// How many times as much two threads do as one, if they share nothing.
fn limit() -> f64 {
    let work = || {
        let (begun, mut done) = (Instant::now(), 0_u32);
        while begun.elapsed() < Duration::from_millis(500) {
            for _ in 0..100 {
                std::hint::black_box(Frame::from_bytes(STANZA).unwrap());
            }
            done += 1;
        }
        f64::from(done)
    };
    let one = std::thread::spawn(work).join().unwrap();
    let two = [std::thread::spawn(work), std::thread::spawn(work)];
    two.into_iter().map(|thread| thread.join().unwrap()).sum::<f64>() / one
}

/// Messages a second, if each of so many pairs sends so many.
fn measure(runtime: &Runtime, archive: bool, each: usize, pairs: usize) -> f64 {
    let (clock, tasks) = (Clock::system(), Tasks::new());
    let dir = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = MemoryStorage::new();
    let (server, senders, recipients) = runtime.block_on(async {
        let mut config = Config::parse(&configuration(archive), "the measurement").unwrap();
        dir.path().clone_into(&mut config.data);
        let server = Server::start(config, Arc::clone(&storage), clock.clone(), tasks.clone());
        let server = server.await.unwrap();
        let (mut senders, mut recipients) = (Vec::new(), Vec::new());
        for pair in 0..pairs {
            let (from, to) = (format!("romeo{pair}"), format!("juliet{pair}"));
            add_account(&storage, &clock, &from).await;
            add_account(&storage, &clock, &to).await;
            recipients.push(log_in(&server, &to).await.into_inner().0);
            let sender = log_in(&server, &from).await;
            senders.push(encrypted(sender, &format!("{to}@localhost/r"), each));
        }
        (server, senders, recipients)
    });
    let sent = || server.state().metrics.stanzas_out.of("message").get();
    let (goal, begun) = (sent() + (each * pairs) as u64, Instant::now());
    for mut recipient in recipients {
        runtime.spawn(async move {
            let mut unread = vec![0; 1 << 16];
            while recipient.read(&mut unread).await.is_ok_and(|count| count > 0) {}
        });
    }
    for (mut pipe, bytes) in senders {
        runtime.spawn(async move {
            pipe.write_all(&bytes).await.unwrap();
            std::future::pending::<()>().await; // the connection stays open
        });
    }
    // This thread is none of the workers, and sleeps.
    while sent() < goal {
        assert!(begun.elapsed() < Duration::from_secs(120), "messages are missing");
        std::thread::sleep(Duration::from_millis(1));
    }
    let rate = (each * pairs) as f64 / begun.elapsed().as_secs_f64();
    runtime.block_on(tasks.stop(Duration::from_secs(5)));
    rate
}

fn configuration(archive: bool) -> String {
    format!(
        "[listen]\nc2s = []\nc2s_tls = []\nhttp = []\nhttps = []\nproxy65 = []\n[[host]]\ndomain = \"localhost\"\n\
         [archive]\nenabled = {archive}\n[limits]\nconnections_per_address = 10000\n\
         [budgets]\ntraffic_per_account = 0\ntraffic_per_address = 0\nwork_per_account = 0\n\
         work_per_address = 0\nmemory = 0\nmemory_per_account = 0\n"
    )
}

async fn add_account(storage: &Arc<dyn Storage>, clock: &Clock, name: &str) {
    let user = BareJid::parse(&format!("{name}@localhost")).unwrap();
    let keys = derive_keys("secret", 2).unwrap();
    let account = NewAccount { user, keys, created: clock.now(), admin: false };
    storage.accounts().create(&[account]).await.unwrap();
}

/// What a client writes for so many messages to `to`, encrypted, and its pipe.
fn encrypted(
    client: TlsStream<DuplexStream>,
    to: &str,
    messages: usize,
) -> (DuplexStream, Vec<u8>) {
    let (pipe, mut tls) = client.into_inner();
    let text = "x".repeat(100);
    let mut bytes = Vec::new();
    for n in 0..messages {
        let message =
            format!("<message type='chat' id='m{n}' to='{to}'><body>{text}</body></message>");
        std::io::Write::write_all(&mut tls.writer(), message.as_bytes()).unwrap();
        while tls.wants_write() {
            tls.write_tls(&mut bytes).unwrap();
        }
    }
    (pipe, bytes)
}

/// A client that is online.
async fn log_in(server: &Server, name: &str) -> TlsStream<DuplexStream> {
    let (ours, theirs) = tokio::io::duplex(PIPE);
    server.connect(Box::new(theirs), "direct_tls");
    let host = ServerName::try_from("localhost").unwrap();
    let mut tls =
        TlsConnector::from(Arc::new(trust::config(false))).connect(host, ours).await.unwrap();
    let plain = STANDARD.encode(format!("\0{name}\0secret"));
    ask(&mut tls, HEADER, "</stream:features>").await;
    let auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>";
    ask(&mut tls, &format!("{auth}{plain}</auth>"), "<success ").await;
    ask(&mut tls, HEADER, "</stream:features>").await;
    let bind = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind>";
    ask(&mut tls, &format!("<iq type='set' id='b'>{bind}</iq>"), "</iq>").await;
    let ping = "<iq type='get' id='online' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>";
    ask(&mut tls, &format!("<presence/>{ping}"), "online").await;
    tls
}

async fn ask(tls: &mut TlsStream<DuplexStream>, text: &str, wanted: &str) {
    tls.write_all(text.as_bytes()).await.unwrap();
    tls.flush().await.unwrap();
    let mut heard = Vec::new();
    while memmem::find(&heard, wanted.as_bytes()).is_none() {
        assert!(tls.read_buf(&mut heard).await.unwrap() > 0, "it ended");
    }
}

const STANZA: &str = "<message type='chat' id='m1' from='romeo@localhost/r' to='juliet@localhost/r'>\
    <body>But soft, what light through yonder window breaks?</body>\
    <active xmlns='http://jabber.org/protocol/chatstates'/></message>";
/// Bytes in a pipe: less than a mailbox has room for.
const PIPE: usize = 1 << 14;
const HEADER: &str = "<stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='localhost'>";
