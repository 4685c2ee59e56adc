//! A server with one component, and two users.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::ServerName;
use sha1::{Digest, Sha1};
use tempfile::TempDir;
use tokio_rustls::TlsConnector;
use waxwing::auth::derive_keys;
use waxwing::clock::Clock;
use waxwing::config::Config;
use waxwing::jid::BareJid;
use waxwing::server::Server;
use waxwing::storage::{MemoryStorage, NewAccount, Storage};
use waxwing::tasks::Tasks;

use crate::peer::Peer;
use crate::trust;

pub(crate) struct TestServer {
    pub(crate) server: Server,
    tasks: Tasks,
    _data: TempDir,
}

impl TestServer {
    pub(crate) async fn new(options: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut config = Config::parse(&text(options), "the test").unwrap();
        data.path().clone_into(&mut config.data);
        let (storage, tasks) = (MemoryStorage::new(), Tasks::new());
        let (keys, created) = (derive_keys("secret", 4096).unwrap(), Clock::system().now());
        let accounts = ["romeo@localhost", "juliet@localhost"].map(|user| NewAccount {
            user: BareJid::parse(user).unwrap(),
            keys: keys.clone(),
            created,
            admin: false,
        });
        storage.accounts().create(&accounts).await.unwrap();
        let server = Server::start(config, storage, Clock::system(), tasks.clone()).await.unwrap();
        Self { server, tasks, _data: data }
    }

    /// Applies another configuration.
    pub(crate) fn reload(&self, options: &str) {
        let mut config = Config::parse(&text(options), "the test").unwrap();
        self.server.state().config.load().data.clone_into(&mut config.data);
        self.server.reload(config).unwrap();
    }

    /// Ends, and begins again with what is stored.
    pub(crate) async fn restart(&mut self, options: &str) {
        let state = Arc::clone(self.server.state());
        assert!(self.tasks.stop(Duration::from_secs(10)).await.is_empty());
        self.tasks = Tasks::new();
        let mut config = Config::parse(&text(options), "the test").unwrap();
        state.config.load().data.clone_into(&mut config.data);
        let storage = Arc::clone(&state.storage);
        let started = Server::start(config, storage, Clock::system(), self.tasks.clone());
        self.server = started.await.unwrap();
    }

    pub(crate) fn connect(&self) -> Peer {
        self.connect_from(1)
    }

    /// A connection from another machine.
    pub(crate) fn connect_from(&self, last_octet: u8) -> Peer {
        let (ours, theirs) = tokio::io::duplex(1 << 18);
        let peer = ([127, 0, 0, last_octet], 0).into();
        self.server.connect_from(Box::new(theirs), peer, "components");
        Peer { patience: PATIENCE, ..Peer::new(ours) }
    }

    /// A connection that has given the proof of this secret.
    pub(crate) async fn tries(&self, domain: &str, secret: &str) -> Peer {
        self.tries_from(1, domain, secret).await
    }

    /// The same, from another machine.
    pub(crate) async fn tries_from(&self, last_octet: u8, domain: &str, secret: &str) -> Peer {
        let mut peer = self.connect_from(last_octet);
        peer.say(header(domain, "jabber:component:accept")).await;
        let heard = peer.hears(&format!("from='{domain}'>")).await;
        let (_, id) = heard.split_once(" id='").unwrap();
        let id = id.split('\'').next().unwrap();
        let hash = Sha1::digest(format!("{id}{secret}"));
        let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        peer.say(format!("<handshake>{digits}</handshake>")).await;
        peer
    }

    pub(crate) async fn component(&self) -> Peer {
        self.component_at("irc.localhost").await
    }

    pub(crate) async fn component_at(&self, domain: &str) -> Peer {
        let mut peer = self.tries(domain, "north").await;
        peer.hears("<handshake/>").await;
        peer
    }

    /// `romeo@localhost/orchard`, available.
    pub(crate) async fn romeo(&self) -> Peer {
        self.client("romeo", "orchard").await
    }

    /// A client of this user with this resource, available.
    pub(crate) async fn client(&self, user: &str, resource: &str) -> Peer {
        let (ours, theirs) = tokio::io::duplex(1 << 18);
        self.server.connect(Box::new(theirs), "direct_tls");
        let connector = TlsConnector::from(Arc::new(trust::config(false)));
        let name = ServerName::try_from("localhost").unwrap();
        let io = connector.connect(name, ours).await.unwrap();
        let mut peer = Peer { patience: PATIENCE, ..Peer::new(io) };
        let open = format!(
            "{} version='1.0'>",
            header("localhost", "jabber:client").trim_end_matches('>')
        );
        peer.say(&open).await;
        peer.hears("</stream:features>").await;
        let plain = STANDARD.encode(format!("\0{user}\0secret"));
        let sasl = "urn:ietf:params:xml:ns:xmpp-sasl";
        peer.say(format!("<auth xmlns='{sasl}' mechanism='PLAIN'>{plain}</auth>")).await;
        peer.hears("<success ").await;
        peer.say(&open).await;
        peer.hears("</stream:features>").await;
        peer.say(format!(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
             <resource>{resource}</resource></bind></iq>"
        ))
        .await;
        peer.hears("</iq>").await;
        // Only a component that asks for the roster is told of its changes.
        peer.say("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>").await;
        peer.hears("id='r'").await;
        peer.say("<presence/>").await;
        peer.hears("<presence ").await;
        peer
    }

    pub(crate) async fn close(self) {
        assert_eq!(self.server.state().metrics.panics.get(), 0);
        assert!(self.tasks.stop(Duration::from_secs(10)).await.is_empty());
    }
}

/// The configuration.
fn text(options: &str) -> String {
    format!(
        "[listen]\nc2s = []\nc2s_tls = []\nhttp = []\nhttps = []\nproxy65 = []\ncomponents = []\n\
         [[host]]\ndomain = 'localhost'\n\
         [[component]]\ndomain = 'irc.localhost'\nsecret = 'north'\nname = 'IRC'\n{options}\n"
    )
}

pub(crate) fn header(to: &str, ns: &str) -> String {
    format!(
        "<stream:stream to='{to}' xmlns='{ns}' xmlns:stream='http://etherx.jabber.org/streams'>"
    )
}

/// The stream ends with this error.
pub(crate) async fn ends_with(peer: &mut Peer, condition: &str) -> String {
    let heard = peer.hears("</stream:stream>").await;
    let wanted = format!("<stream:error><{condition} ");
    assert!(heard.contains(&wanted), "{condition}: {heard}");
    heard
}

const PATIENCE: Duration = Duration::from_secs(60);
