//! A server in this process, and what its clients say.

use std::net::SocketAddr;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::ServerName;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use waxwing::auth::derive_keys;
use waxwing::clock::Clock;
use waxwing::config::Config;
use waxwing::jid::BareJid;
use waxwing::server::Server;
use waxwing::storage::{MemoryStorage, NewAccount, Storage};
use waxwing::tasks::Tasks;

use super::peer::Peer;
use super::trust;

/// A server with the accounts romeo, juliet and tybalt, at pipes in memory.
pub(super) struct TestServer {
    pub(super) server: Server,
    tasks: Tasks,
    data: TempDir,
}

impl TestServer {
    pub(super) async fn new(options: &str) -> Self {
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

    pub(super) fn reload(&self, options: &str) {
        self.server.reload(config(options, &self.data)).unwrap();
    }

    /// A client at this address, with TLS and an open stream.
    pub(super) async fn connect(&self, address: &str) -> Peer {
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
    pub(super) async fn login(&self, name: &str, resource: &str, address: &str) -> Peer {
        enter(self.connect(address).await, name, resource).await
    }

    pub(super) async fn online(&self, name: &str, resource: &str) -> Peer {
        let mut peer = self.login(name, resource, HOME).await;
        peer.say("<presence/>").await;
        peer.hears(&format!("from='{name}@localhost/{resource}' to=")).await;
        peer
    }

    /// The number behind a metric.
    pub(super) fn metric(&self, name: &str) -> u64 {
        let text = self.server.state().metrics.render();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
    }

    pub(super) fn actions(&self, budget: &str, scope: &str, action: &str) -> u64 {
        self.metric(&format!(
            "waxwing_budget_actions_total{{budget=\"{budget}\",scope=\"{scope}\",action=\"{action}\"}}"
        ))
    }

    /// What was done by all budgets together.
    pub(super) fn all_actions(&self) -> u64 {
        let text = self.server.state().metrics.render();
        let lines = text.lines().filter(|l| l.starts_with("waxwing_budget_actions_total"));
        lines.map(|l| l.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// No panic, and everything ends.
    pub(super) async fn close(self) {
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
    pub(super) async fn open(&mut self) {
        self.say(HEADER).await;
        self.hears("</stream:features>").await;
    }

    /// How long the server takes to answer a ping.
    pub(super) async fn pings(&mut self) -> Duration {
        let began = Instant::now();
        self.say("<iq type='get' id='ping' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>")
            .await;
        self.hears("id='ping'").await;
        began.elapsed()
    }

    /// Tries a password; how the answer begins. `None`: the connection has ended.
    pub(super) async fn tries(&mut self, name: &str, password: &str) -> Option<&'static str> {
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
    pub(super) fn drain(mut self) -> tokio::task::JoinHandle<Vec<u8>> {
        tokio::spawn(async move {
            drop(self.reader.read_to_end(&mut self.heard).await);
            drop(self.writer);
            self.heard
        })
    }
}

/// Logs in on an open stream.
pub(super) async fn enter(mut peer: Peer, name: &str, resource: &str) -> Peer {
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

pub(super) fn auth(name: &str, password: &str) -> String {
    let message = STANDARD.encode(format!("\0{name}\0{password}"));
    format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{message}</auth>")
}

pub(super) fn message(to: &str, kind: &str, number: usize, size: usize) -> String {
    let body = "x".repeat(size);
    format!("<message to='{to}' type='{kind}' id='m{number}'><body>{body}</body></message>")
}

/// The numbers of messages in what was heard.
pub(super) fn numbers(heard: &[u8]) -> Vec<usize> {
    let heard = String::from_utf8_lossy(heard);
    let rest = heard.split(" id='m").skip(1);
    rest.filter_map(|rest| rest.split('\'').next()?.parse().ok()).collect()
}

const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='localhost'>";
pub(super) const ATTACKER: &str = "192.0.2.66";
pub(super) const HOME: &str = "198.51.100.1";
pub(super) const NEW: &str = "203.0.113.9";
/// Longer than anything takes that does not hang.
pub(super) const PATIENCE: Duration = Duration::from_secs(180);
/// Of PBKDF2: far too few for a password, which is none here.
const ROUNDS: u32 = 2;
