//! The server of these tests.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::ServerName;
use smallvec::smallvec;
use tempfile::TempDir;
use tokio_rustls::TlsConnector;
use waxwing::auth::derive_keys;
use waxwing::clock::Clock;
use waxwing::config::Config;
use waxwing::jid::{BareJid, Jid};
use waxwing::payload::datetime::Timestamp;
use waxwing::server::Server;
use waxwing::storage::{Holder, MemoryStorage, MessageId, NewAccount, NewMessage, Storage, Way};
use waxwing::tasks::Tasks;

use super::peer::Peer;
use super::{JULIET, ROMEO, trust};

/// A server with the accounts romeo and juliet, whose clock stands at [`START`].
pub(super) struct TestServer {
    pub(super) server: Server,
    pub(super) storage: Arc<dyn Storage>,
    pub(super) clock: Clock,
    tasks: Tasks,
    _data: TempDir,
}

impl TestServer {
    pub(super) async fn new(options: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let listen = "[listen]\nc2s = []\nc2s_tls = []\nhttp = []\nhttps = []\nproxy65 = []\n";
        let text = format!("{listen}{options}\n[[host]]\ndomain = \"localhost\"\n");
        let mut config = Config::parse(&text, "the test").unwrap();
        data.path().clone_into(&mut config.data);
        let clock = Clock::manual(Timestamp::from_micros(START));
        let (storage, tasks) = (MemoryStorage::new() as Arc<dyn Storage>, Tasks::new());
        let server = Server::start(config, Arc::clone(&storage), clock.clone(), tasks.clone());
        let test_server =
            Self { server: server.await.unwrap(), storage, clock, tasks, _data: data };
        let keys = derive_keys("secret", 2).unwrap();
        let account = |user| NewAccount {
            user: bare(user),
            keys: keys.clone(),
            created: Timestamp::from_micros(START),
            admin: false,
        };
        test_server.storage.accounts().create(&[account(ROMEO), account(JULIET)]).await.unwrap();
        test_server
    }

    /// `owner` has a message with somebody, taken so many seconds after the start.
    pub(super) async fn put(&self, owner: &str, with: &str, second: i64, text: &str) -> MessageId {
        let way = if second % 2 == 0 { Way::Received } else { Way::Sent };
        let (from, to) = if way == Way::Sent { (owner, with) } else { (with, owner) };
        let holder = Holder {
            owner: bare(owner),
            with: Jid::parse(with).unwrap(),
            way,
            archive: true,
            waiting: false,
            limit: None,
        };
        let xml = format!(
            "<message from='{from}' to='{to}' id='m{second}' type='chat' xml:lang='en'>\
             <body>{text}</body></message>"
        );
        let message = NewMessage {
            at: Timestamp::from_micros(START + second * 1_000_000),
            xml: xml.into(),
            holders: smallvec![holder],
            handled: None,
        };
        let kept = self.storage.archive().keep(message).await.unwrap();
        kept.receipt.await.unwrap();
        kept.id
    }

    pub(super) fn id(&self, id: MessageId) -> String {
        self.server.state().message_ids.write(id)
    }

    pub(super) async fn login(&self, name: &str) -> Peer {
        let mut peer = self.authenticated(name).await;
        peer.say(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
             <resource>phone</resource></bind></iq>",
        )
        .await;
        peer.hears("</iq>").await;
        peer
    }

    pub(super) async fn authenticated(&self, name: &str) -> Peer {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        self.server.connect(Box::new(theirs), "direct_tls");
        let host = ServerName::try_from("localhost").unwrap();
        let tls = TlsConnector::from(Arc::new(trust::config(false))).connect(host, ours);
        let mut peer = Peer::new(tls.await.unwrap());
        peer.say(HEADER).await;
        peer.hears("</stream:features>").await;
        let plain = STANDARD.encode(format!("\0{name}\0secret"));
        peer.say(&format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>"
        ))
        .await;
        peer.hears("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").await;
        peer.say(HEADER).await;
        peer.hears("</stream:features>").await;
        peer
    }

    /// No panic, and everything ends.
    pub(super) async fn close(self) {
        assert_eq!(self.server.state().metrics.panics.get(), 0);
        assert!(self.tasks.stop(Duration::from_secs(10)).await.is_empty());
    }
}

impl Peer {
    /// All that comes for a query, up to its answer.
    #[track_caller]
    pub(super) fn asks(&mut self, inner: &str) -> impl Future<Output = String> {
        let caller = std::panic::Location::caller();
        let query = format!(
            "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2' queryid='f27'>{inner}</query></iq>"
        );
        async move {
            self.say(&query).await;
            let heard = self.hears("</iq>").await;
            assert_eq!(heard.matches("<iq ").count(), 1, "{caller}: {heard}");
            heard
        }
    }
}

pub(super) fn bare(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

pub(super) const HEADER: &str = "<stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='localhost'>";
/// 2026-07-01T12:00:00Z, in microseconds.
pub(super) const START: i64 = 1_782_907_200_000_000;
