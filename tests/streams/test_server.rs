//! The server of these tests, and what a peer says to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::ServerName;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
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

/// A server on free ports of the loopback interface, with the accounts romeo and juliet.
pub(super) struct TestServer {
    pub(super) server: Server,
    pub(super) storage: Arc<dyn Storage>,
    pub(super) tasks: Tasks,
    _data: TempDir,
}

impl TestServer {
    pub(super) async fn new(limits: &str) -> Self {
        Self::on(MemoryStorage::new(), limits).await
    }

    pub(super) async fn on(storage: Arc<dyn Storage>, limits: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let text = format!(
            "[listen]\nc2s = [\"127.0.0.1:0\"]\nc2s_tls = []\nhttp = []\nhttps = []\nproxy65 = []\n[limits]\n{limits}\n\
             [[host]]\ndomain = \"localhost\"\n"
        );
        let mut config = Config::parse(&text, "the test").unwrap();
        data.path().clone_into(&mut config.data);
        let (clock, tasks) = (Clock::system(), Tasks::new());
        let server = Server::start(config, Arc::clone(&storage), clock, tasks.clone());
        let server = server.await.unwrap();
        let test_server = Self { server, storage, tasks, _data: data };
        test_server.add(&["romeo", "juliet"]).await;
        test_server
    }

    pub(super) async fn add(&self, names: &[&str]) {
        let keys = derive_keys("secret", ROUNDS).unwrap();
        let created = Clock::system().now();
        let account = |name: &&str| {
            let user = BareJid::parse(&format!("{name}@localhost")).unwrap();
            NewAccount { user, keys: keys.clone(), created, admin: false }
        };
        let accounts: Vec<_> = names.iter().map(account).collect();
        self.storage.accounts().create(&accounts).await.unwrap();
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.server.addresses()[0].1
    }

    /// TCP only.
    pub(super) async fn plain(&self) -> Peer {
        let socket = TcpStream::connect(self.address()).await.unwrap();
        socket.set_nodelay(true).unwrap();
        Peer::new(socket)
    }

    /// TCP with a small window: what is not read soon stops the writer.
    pub(super) async fn narrow(&self) -> Peer {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        Peer::new(socket.connect(self.address()).await.unwrap())
    }

    /// Over a pipe, whose end the server sees with the last byte.
    pub(super) fn pipe(&self) -> Peer {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        self.server.connect(Box::new(theirs), "starttls");
        Peer::new(ours)
    }

    /// With a session, without presence.
    pub(super) async fn login(&self, name: &str) -> Peer {
        self.plain().await.login(name).await
    }

    /// With a session and presence.
    pub(super) async fn online(&self, name: &str) -> Peer {
        let mut peer = self.login(name).await;
        peer.say("<presence/>").await;
        peer.hears(&format!("from='{name}@localhost/{name}' to=")).await;
        peer.hears(">").await;
        peer
    }

    /// No panic, and everything ends.
    pub(super) async fn close(self) {
        assert_eq!(self.server.state().metrics.panics.get(), 0);
        assert!(self.tasks.stop(Duration::from_secs(10)).await.is_empty());
    }
}
impl Peer {
    /// All up to the end of the connection.
    #[track_caller]
    pub(super) fn hears_the_end(mut self) -> impl Future<Output = String> {
        let caller = std::panic::Location::caller();
        async move {
            let read = timeout(PATIENCE, self.reader.read_to_end(&mut self.heard)).await;
            let heard = String::from_utf8(self.heard).unwrap();
            assert!(read.is_ok(), "{caller}: the connection does not end after {heard}");
            heard
        }
    }

    /// The server ends the stream with this error, told on an open stream.
    #[track_caller]
    pub(super) fn ends_refused(self, condition: &str) -> impl Future<Output = String> {
        let wanted = format!("<stream:error><{condition} xmlns=");
        let caller = std::panic::Location::caller();
        let heard = self.hears_the_end();
        async move {
            let heard = heard.await;
            assert!(heard.contains(&wanted), "{caller}: no {condition} in {heard}");
            assert!(heard.ends_with("</stream:stream>"), "{caller}: {heard}");
            heard
        }
    }

    pub(super) async fn open(&mut self) {
        self.say(HEADER).await;
        self.hears("</stream:features>").await;
    }

    pub(super) async fn secure(mut self) -> Self {
        self.say(STARTTLS).await;
        self.hears("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await;
        let mut config = trust::config(false);
        config.alpn_protocols.clear();
        let name = ServerName::try_from("localhost").unwrap();
        let io = self.reader.unsplit(self.writer);
        Self::new(TlsConnector::from(Arc::new(config)).connect(name, io).await.unwrap())
    }

    pub(super) async fn encrypted(mut self) -> Self {
        self.open().await;
        let mut peer = self.secure().await;
        peer.open().await;
        peer
    }

    pub(super) async fn authenticated(self, name: &str) -> Self {
        let mut peer = self.encrypted().await;
        peer.say(plain_auth(name)).await;
        peer.hears("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").await;
        peer.open().await;
        peer
    }

    /// A session that can be resumed; answers its id.
    pub(super) async fn enable(&mut self) -> String {
        self.say("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
        let enabled = self.hears("/>").await;
        let id = enabled.split(" id='").nth(1).unwrap();
        id.split('\'').next().unwrap().to_owned()
    }

    /// The resource is the name.
    pub(super) async fn login(self, name: &str) -> Self {
        let mut peer = self.authenticated(name).await;
        peer.say(bind(name)).await;
        peer.hears("</iq>").await;
        peer
    }
}

pub(super) fn resume(id: &str) -> String {
    format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='0'/>")
}

pub(super) fn plain_auth(name: &str) -> String {
    let message = STANDARD.encode(format!("\0{name}\0secret"));
    format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{message}</auth>")
}

pub(super) fn bind(resource: &str) -> String {
    format!(
        "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
         <resource>{resource}</resource></bind></iq>"
    )
}

pub(super) fn messages(to: &str, numbers: std::ops::Range<usize>, body: &str) -> String {
    let one = |n| format!("<message to='{to}' type='chat' id='m{n}'><body>{body}</body></message>");
    numbers.map(one).collect()
}

/// The numbers of the ids of what was heard, in order.
pub(super) fn numbers(heard: &str, before: &str) -> Vec<usize> {
    let rest = heard.split(before).skip(1);
    rest.map(|rest| rest.split('\'').next().unwrap().parse().unwrap()).collect()
}

pub(super) const HEADER: &str = "<stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='localhost'>";
pub(super) const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
/// Longer than anything takes that does not hang.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Of PBKDF2: far too few for a password, which is none here.
pub(super) const ROUNDS: u32 = 2;
