//! One account, or one address, tries to take all of what many share: clients of raw bytes against a
//! whole server in this process (docs/budgets.md). Time stands still while somebody works, so what is
//! measured is what the server lets a client wait.

#![expect(clippy::unwrap_used, reason = "the helpers of a test stand outside of its functions")]
#![expect(clippy::disallowed_methods, reason = "clients are no tasks of the server")]

#[path = "budgets/nodes.rs"]
mod nodes;
#[path = "support/peer.rs"]
mod peer;
#[path = "support/trust.rs"]
mod trust;
#[path = "budgets/web.rs"]
mod web;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use peer::Peer;
use rustls::pki_types::ServerName;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use waxwing::auth::derive_keys;
use waxwing::clock::Clock;
use waxwing::config::Config;
use waxwing::host::command::ServerControl;
use waxwing::jid::BareJid;
use waxwing::server::Server;
use waxwing::storage::{MemoryStorage, NewAccount, Storage};
use waxwing::tasks::Tasks;

/// A server with the accounts romeo, juliet and tybalt, at pipes in memory.
struct TestServer {
    server: Server,
    tasks: Tasks,
    data: TempDir,
}

impl TestServer {
    async fn new(options: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let config = config(options, &data);
        let (storage, tasks) = (MemoryStorage::new(), Tasks::new());
        let keys = derive_keys("secret", ROUNDS).unwrap();
        let account = |name: &str| {
            let user = BareJid::parse(&format!("{name}@localhost")).unwrap();
            NewAccount { user, keys: keys.clone(), created: Clock::system().now(), admin: false }
        };
        let accounts = ["romeo", "juliet", "tybalt"].map(account);
        storage.accounts().create(&accounts).await.unwrap();
        let server = Server::start(config, storage, Clock::system(), tasks.clone());
        Self { server: server.await.unwrap(), tasks, data }
    }

    fn reload(&self, options: &str) {
        self.server.reload(config(options, &self.data)).unwrap();
    }

    /// A client at this address, with TLS and an open stream.
    async fn connect(&self, address: &str) -> Peer {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let peer = SocketAddr::new(address.parse().unwrap(), 5222);
        self.server.connect_from(Box::new(theirs), peer, "direct_tls");
        let mut config = trust::config(false);
        config.alpn_protocols.clear();
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let io = connector.connect(name, ours).await.unwrap();
        let mut peer = Peer { patience: PATIENCE, ..Peer::new(io) };
        peer.open().await;
        peer
    }

    /// With a session, without presence.
    async fn login(&self, name: &str, resource: &str, address: &str) -> Peer {
        enter(self.connect(address).await, name, resource).await
    }

    async fn online(&self, name: &str, resource: &str) -> Peer {
        let mut peer = self.login(name, resource, HOME).await;
        peer.say("<presence/>").await;
        peer.hears(&format!("from='{name}@localhost/{resource}' to=")).await;
        peer
    }

    /// The number behind a metric.
    fn metric(&self, name: &str) -> u64 {
        let text = self.server.state().metrics.render();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
    }

    fn actions(&self, budget: &str, scope: &str, action: &str) -> u64 {
        self.metric(&format!(
            "waxwing_budget_actions_total{{budget=\"{budget}\",scope=\"{scope}\",action=\"{action}\"}}"
        ))
    }

    /// What was done by all budgets together.
    fn all_actions(&self) -> u64 {
        let text = self.server.state().metrics.render();
        let lines = text.lines().filter(|l| l.starts_with("waxwing_budget_actions_total"));
        lines.map(|l| l.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// No panic, and everything ends.
    async fn close(self) {
        assert_eq!(self.server.state().metrics.panics.get(), 0);
        assert!(self.tasks.stop(Duration::from_secs(10)).await.is_empty());
    }
}

fn config(options: &str, data: &TempDir) -> Config {
    let text = format!(
        "[listen]\nc2s = []\nc2s_tls = []\nhttp = []\nhttps = []\nproxy65 = []\n[[host]]\ndomain = 'localhost'\n\
         {options}"
    );
    let mut config = Config::parse(&text, "the test").unwrap();
    data.path().clone_into(&mut config.data);
    config
}

impl Peer {
    async fn open(&mut self) {
        self.say(HEADER).await;
        self.hears("</stream:features>").await;
    }

    /// How long the server takes to answer a ping.
    async fn pings(&mut self) -> Duration {
        let began = Instant::now();
        self.say("<iq type='get' id='ping' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>")
            .await;
        self.hears("id='ping'").await;
        began.elapsed()
    }

    /// Tries a password; how the answer begins. `None`: the connection has ended.
    async fn tries(&mut self, name: &str, password: &str) -> Option<&'static str> {
        let said = self.writer.write_all(auth(name, password).as_bytes()).await;
        said.and(self.writer.flush().await).ok()?;
        let heard = self.read_to(">", Location::caller()).await?;
        if heard.contains("<success") {
            return Some("success");
        }
        let heard = self.read_to("</failure>", Location::caller()).await?;
        ["not-authorized", "temporary-auth-failure"].into_iter().find(|word| heard.contains(word))
    }

    /// Reads and throws away, until the connection ends.
    fn drain(mut self) -> tokio::task::JoinHandle<Vec<u8>> {
        tokio::spawn(async move {
            drop(self.reader.read_to_end(&mut self.heard).await);
            drop(self.writer);
            self.heard
        })
    }
}

/// Logs in on an open stream.
async fn enter(mut peer: Peer, name: &str, resource: &str) -> Peer {
    peer.say(auth(name, "secret")).await;
    peer.hears("<success ").await;
    peer.open().await;
    let bind = format!(
        "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
         <resource>{resource}</resource></bind></iq>"
    );
    peer.say(bind).await;
    peer.hears("</iq>").await;
    peer
}

fn auth(name: &str, password: &str) -> String {
    let message = STANDARD.encode(format!("\0{name}\0{password}"));
    format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{message}</auth>")
}

fn message(to: &str, kind: &str, number: usize, size: usize) -> String {
    let body = "x".repeat(size);
    format!("<message to='{to}' type='{kind}' id='m{number}'><body>{body}</body></message>")
}

/// The numbers of messages in what was heard.
fn numbers(heard: &[u8]) -> Vec<usize> {
    let heard = String::from_utf8_lossy(heard);
    let rest = heard.split(" id='m").skip(1);
    rest.filter_map(|rest| rest.split('\'').next()?.parse().ok()).collect()
}

// ── guesses ──

/// Guesses from one address, on so many connections at the same time, for a minute. Answers how many
/// passwords were told to be wrong, and how many tries were refused.
async fn attack(server: &Arc<TestServer>, name: &'static str, address: String) -> (usize, usize) {
    let (told, refused) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let end = Instant::now() + Duration::from_secs(60);
    let one = |_| {
        let (server, address) = (Arc::clone(server), address.clone());
        let (told, refused) = (Arc::clone(&told), Arc::clone(&refused));
        tokio::spawn(async move {
            while Instant::now() < end {
                let mut peer = server.connect(&address).await;
                while let Some(answer) = peer.tries(name, "guess").await {
                    match answer {
                        "not-authorized" => told.fetch_add(1, Ordering::Relaxed),
                        _ => refused.fetch_add(1, Ordering::Relaxed),
                    };
                    sleep(Duration::from_secs(2)).await;
                    if Instant::now() >= end {
                        break;
                    }
                }
            }
        })
    };
    let all: Vec<_> = (0..60).map(one).collect();
    for one in all {
        one.await.unwrap();
    }
    (told.load(Ordering::Relaxed), refused.load(Ordering::Relaxed))
}

#[tokio::test(start_paused = true)]
async fn many_connections_make_no_more_guesses_than_one_and_the_owner_gets_in() {
    let server = Arc::new(TestServer::new("").await);
    drop(server.login("juliet", "balcony", HOME).await);
    let attacker = Arc::clone(&server);
    let attack =
        tokio::spawn(async move { attack(&attacker, "juliet", ATTACKER.to_owned()).await });
    sleep(Duration::from_secs(30)).await;
    for (address, longest) in [(HOME, 0), (NEW, 20)] {
        let began = Instant::now();
        let mut owner = server.connect(address).await;
        assert_eq!(owner.tries("juliet", "secret").await, Some("success"), "{address}");
        let waited = began.elapsed();
        assert!(waited <= Duration::from_secs(longest), "{address}: {waited:?}");
    }
    let (told, refused) = attack.await.unwrap();
    // Five at once, five in the minute, and those that waited at its end.
    assert!((5..=13).contains(&told), "{told} guesses in a minute");
    assert!(refused > 100, "{refused}");
    assert!(server.actions("guesses", "address", "error") >= refused as u64);
    assert!(server.actions("guesses", "address", "delay") > 0);
    Arc::into_inner(server).unwrap().close().await;
}

#[tokio::test(start_paused = true)]
async fn guesses_at_an_account_that_does_not_exist_are_counted_alike() {
    let server = Arc::new(TestServer::new("").await);
    let there = attack(&server, "juliet", ATTACKER.to_owned()).await;
    let nowhere = attack(&server, "nobody", NEW.to_owned()).await;
    assert_eq!(there.0, nowhere.0);
    Arc::into_inner(server).unwrap().close().await;
}

// ── traffic and work ──

#[tokio::test(start_paused = true)]
async fn who_sends_too_much_is_read_from_later_and_everything_else_goes_on() {
    let options = "[budgets]\ntraffic_per_account = '64 KiB'\nburst = '10 s'\n";
    let server = TestServer::new(options).await;
    let mut tybalt = server.login("tybalt", "street", HOME).await;
    tybalt.say("<enable xmlns='urn:xmpp:sm:3'/>").await;
    tybalt.hears("<enabled ").await;
    let (began, before) = (Instant::now(), server.metric("waxwing_received_bytes_total"));
    let Peer { reader, mut writer, .. } = tybalt;
    let flood = tokio::spawn(async move {
        for number in 0.. {
            let bytes = message("juliet@localhost/nowhere", "headline", number, 20_000);
            if writer.write_all(bytes.as_bytes()).await.is_err() {
                return;
            }
        }
    });
    let listening = tokio::spawn(async move {
        let (mut reader, mut heard) = (reader, Vec::new());
        drop(reader.read_to_end(&mut heard).await);
        heard
    });
    sleep(Duration::from_secs(100)).await;
    // One session has half of what its account has: ten seconds at once, and a hundred more.
    let bytes = server.metric("waxwing_received_bytes_total") - before;
    assert!((100 << 15..112 << 15).contains(&bytes), "{bytes} bytes");
    assert!(server.actions("traffic", "session", "delay") > 0);
    // Others are not slowed, and neither is an order to close.
    let mut romeo = server.online("romeo", "orchard").await;
    assert_eq!(romeo.pings().await, Duration::ZERO);
    let now = Instant::now();
    let jid = BareJid::parse("tybalt@localhost").unwrap();
    assert_eq!(ServerControl::close(&server.server, &jid, None).await, 1);
    let heard = String::from_utf8(listening.await.unwrap()).unwrap();
    assert!(heard.contains("<policy-violation "), "{heard}");
    assert!(now.elapsed() < Duration::from_secs(5), "{:?}", now.elapsed());
    assert!(heard.contains("<a xmlns='urn:xmpp:sm:3' h='"), "it is told what was handled");
    assert!(began.elapsed() < Duration::from_secs(120));
    flood.abort();
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn who_sets_too_much_going_waits_unless_exempt_and_bounds_change_at_a_reload() {
    let options = "[budgets]\nwork_per_account = 100\nburst = '10 s'\n";
    let server = TestServer::new(options).await;
    let _juliet = server.online("juliet", "balcony").await.drain();
    let flood = |count| -> String {
        (0..count).map(|n| message("juliet@localhost", "chat", n, 5)).collect()
    };
    let mut tybalt = server.login("tybalt", "street", HOME).await;
    let began = Instant::now();
    tybalt.say(flood(200)).await;
    tybalt.pings().await;
    // A message, one delivery, two archives: ten steps. Fifty a second are for one session.
    let steps = 200 * 10;
    let waited = began.elapsed().as_secs_f64();
    assert!((waited - (f64::from(steps) / 50.0 - 10.0)).abs() < 2.0, "{waited} s");
    assert!(server.actions("work", "session", "delay") > 0);
    server.reload("[budgets]\nwork_per_account = 0\n");
    sleep(Duration::from_secs(1)).await; // it waits already
    let began = Instant::now();
    tybalt.say(flood(500)).await;
    tybalt.pings().await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    server.reload(
        "[budgets]\nwork_per_account = 100\nburst = '10 s'\nexempt = ['romeo@localhost']\n",
    );
    let mut romeo = server.login("romeo", "orchard", HOME).await;
    let began = Instant::now();
    romeo.say(flood(500)).await;
    romeo.pings().await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_would_wait_for_too_long_is_closed() {
    let server = TestServer::new("").await;
    for number in 0..15 {
        server.online("juliet", &format!("r{number}")).await.drain();
    }
    let mut tybalts = Vec::new();
    for number in 0..5 {
        tybalts.push(server.login("tybalt", &format!("r{number}"), HOME).await);
    }
    server.reload("[budgets]\nwork_per_account = 1\nburst = '1 s'\n");
    let mut ends = Vec::new();
    for mut tybalt in tybalts {
        tybalt.say(message("juliet@localhost", "chat", 1, 5)).await;
        ends.push(tybalt.drain());
    }
    // A message brings about fifteen deliveries: five of them are more than a minute's work.
    let mut closed = 0;
    for end in ends {
        match timeout(Duration::from_secs(10), end).await {
            Ok(heard) => {
                let heard = String::from_utf8(heard.unwrap()).unwrap();
                assert!(heard.contains("<policy-violation "), "{heard}");
                closed += 1;
            }
            Err(_) => assert_eq!(closed, 0, "the others wait"),
        }
    }
    assert!((1..5).contains(&closed), "{closed}");
    assert_eq!(server.actions("work", "account", "close"), closed);
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn ordinary_users_meet_no_budget() {
    let server = TestServer::new("").await;
    let _juliet = server.online("juliet", "balcony").await.drain();
    let mut romeo = server.login("romeo", "orchard", HOME).await;
    let began = Instant::now();
    // A roster of a thousand, made by an import, and a login with it.
    for number in 0..1000 {
        let item = format!(
            "<iq type='set' id='r{number}'><query xmlns='jabber:iq:roster'>\
             <item jid='contact{number}@localhost'/></query></iq>\
             <presence to='contact{number}@localhost' type='subscribe'/>"
        );
        romeo.say(item).await;
        romeo.hears(&format!("id='r{number}'")).await;
    }
    for _ in 0..20 {
        romeo.say("<presence/>").await;
        romeo.pings().await;
    }
    // A file of a thousand lines, pasted line by line.
    for number in 0..1000 {
        romeo.say(message("juliet@localhost", "chat", number, 80)).await;
    }
    // Ten pictures in vCards.
    for _ in 0..10 {
        let photo = "A".repeat(100 * 1024);
        romeo
            .say(format!(
                "<iq type='set' id='v'><vCard xmlns='vcard-temp'><PHOTO><BINVAL>{photo}</BINVAL>\
                 </PHOTO></vCard></iq>"
            ))
            .await;
        romeo.hears("id='v'").await;
    }
    romeo.pings().await;
    assert_eq!((server.all_actions(), began.elapsed()), (0, Duration::ZERO));
    // A bot that writes two messages a second.
    for number in 0..300 {
        romeo.say(message("juliet@localhost", "chat", number, 200)).await;
        sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(server.all_actions(), 0);
    server.close().await;
}

// ── memory ──

#[tokio::test(start_paused = true)]
async fn an_account_whose_sessions_acknowledge_nothing_holds_no_more_than_it_may() {
    let server = TestServer::new("[budgets]\nmemory_per_account = '2 MiB'\n").await;
    let mut juliets = Vec::new();
    for number in 0..20 {
        let mut juliet = server.online("juliet", &format!("r{number}")).await;
        juliet.say("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
        juliet.hears("<enabled ").await;
        juliets.push(juliet.drain());
    }
    let mut romeo = server.login("romeo", "orchard", HOME).await;
    let mut most = 0;
    for number in 0..200 {
        romeo.say(message("juliet@localhost", "chat", number, 25_000)).await;
        romeo.pings().await;
        most = most.max(server.metric("waxwing_budget_held{budget=\"memory\"}"));
    }
    // What is kept stays in the store, so nobody is closed for it.
    assert!((2 << 20..3 << 20).contains(&most), "{most} bytes");
    assert!(server.actions("memory", "account", "delay") > 0);
    assert_eq!(server.actions("memory", "account", "close"), 0);
    // What is kept nowhere has no other place: the sessions that hold most are closed.
    for number in 0..60 {
        romeo.say(message("juliet@localhost", "headline", 1000 + number, 25_000)).await;
        romeo.pings().await;
        sleep(Duration::from_millis(50)).await; // else no time passes
        most = most.max(server.metric("waxwing_budget_held{budget=\"memory\"}"));
    }
    // Those that are ending hold theirs for a moment.
    assert!(most < 10 << 20, "{most} bytes");
    let closed = server.actions("memory", "account", "close");
    assert!(closed > 0 && server.metric("waxwing_overruns_total") > 0, "{closed}");
    // Nothing that was acknowledged is lost: the next session gets all of it, in order.
    let jid = BareJid::parse("juliet@localhost").unwrap();
    ServerControl::close(&server.server, &jid, None).await;
    let given = BTreeSet::from_iter(0..200);
    for juliet in juliets {
        let heard = numbers(&juliet.await.unwrap());
        assert!(heard.iter().all(|n| *n >= 1000 || given.contains(n)));
    }
    let mut juliet = server.online("juliet", "new").await;
    let mut heard = Vec::new();
    while heard.len() < 200 {
        heard.extend(numbers(juliet.hears("</message>").await.as_bytes()));
    }
    assert_eq!(heard, Vec::from_iter(0..200));
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn nodes_that_a_service_refuses_are_counted_for_the_service_or_for_one_account() {
    let options = "[limits]\nservice_nodes = 2\nservice_nodes_per_account = 1\n";
    let server = TestServer::new(options).await;
    for (name, nodes) in [("romeo", ["a", "b"]), ("juliet", ["c", "d"]), ("tybalt", ["e", "f"])] {
        let mut client = server.login(name, "home", HOME).await;
        for node in nodes {
            let create = format!("<create node='{node}'/>");
            client.say(format!("<iq type='set' id='{node}' to='pubsub.localhost'><pubsub xmlns='http://jabber.org/protocol/pubsub'>{create}</pubsub></iq>")).await;
            client.hears(&format!("id='{node}'")).await;
        }
    }
    // The second one of Romeo is beyond the share of one account. With the first one of Juliet the service is full.
    let refused = ["account", "all"].map(|scope| server.actions("service", scope, "error"));
    assert_eq!(refused, [1, 3]);
    server.close().await;
}

const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='localhost'>";
const ATTACKER: &str = "192.0.2.66";
const HOME: &str = "198.51.100.1";
const NEW: &str = "203.0.113.9";
/// Longer than anything takes that does not hang.
const PATIENCE: Duration = Duration::from_secs(180);
/// Of PBKDF2: far too few for a password, which is none here.
const ROUNDS: u32 = 2;
