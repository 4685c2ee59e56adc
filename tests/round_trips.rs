//! How often a client must wait for the server while it logs in, counted after the TLS handshake.

#![expect(clippy::unwrap_used, reason = "the helpers of a test stand outside of its functions")]

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use rustls::pki_types::ServerName;
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use waxwing::auth::derive_keys;
use waxwing::clock::Clock;
use waxwing::config::Config;
use waxwing::jid::BareJid;
use waxwing::payload::datetime::Timestamp;
use waxwing::server::Server;
use waxwing::storage::{MemoryStorage, NewAccount, Storage};
use waxwing::tasks::Tasks;

#[path = "support/trust.rs"]
mod trust;

/// A server with an account for romeo.
struct TestServer {
    _data: tempfile::TempDir,
    server: Server,
    tasks: Tasks,
}

impl TestServer {
    async fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let text = "[listen]\nc2s = []\nc2s_tls = []\nhttp = []\nhttps = []\nproxy65 = []\n";
        let mut config = Config::parse(text, "the test").unwrap();
        data.path().clone_into(&mut config.data);
        let storage = MemoryStorage::new();
        let (keys, created) = (derive_keys("secret", 4096).unwrap(), Timestamp::from_micros(0));
        let user = BareJid::parse("romeo@localhost").unwrap();
        let account = NewAccount { user, keys, created, admin: false };
        storage.accounts().create(&[account]).await.unwrap();
        let tasks = Tasks::new();
        let server = Server::start(config, storage, Clock::system(), tasks.clone()).await.unwrap();
        Self { _data: data, server, tasks }
    }

    async fn connect(&self) -> Client {
        let (io, theirs) = tokio::io::duplex(1 << 16);
        self.server.connect(Box::new(theirs), "direct_tls");
        let connector = TlsConnector::from(Arc::new(trust::config(false)));
        let name = ServerName::try_from("localhost").unwrap();
        Client { io: connector.connect(name, io).await.unwrap(), trips: 0 }
    }

    async fn close(self) {
        assert_eq!(self.server.state().metrics.panics.get(), 0);
        self.tasks.stop(Duration::from_secs(5)).await;
    }
}

/// A client that counts how often it writes and then waits.
struct Client {
    io: TlsStream<DuplexStream>,
    trips: usize,
}

impl Client {
    /// Writes once, and reads until a text has come so many times.
    async fn trip(&mut self, write: &str, (end, times): (&str, usize)) -> String {
        self.trips += 1;
        self.io.write_all(write.as_bytes()).await.unwrap();
        self.io.flush().await.unwrap();
        let reading = async {
            let mut all = Vec::new();
            while String::from_utf8_lossy(&all).matches(end).count() < times {
                let read = self.io.read_buf(&mut all).await.unwrap();
                assert!(read > 0, "the end after {}", String::from_utf8_lossy(&all));
            }
            String::from_utf8(all).unwrap()
        };
        tokio::time::timeout(Duration::from_secs(20), reading).await.expect("an answer")
    }
}

const HEADER: &str = "<?xml version='1.0'?><stream:stream from='romeo@localhost' to='localhost' \
                      version='1.0' xmlns='jabber:client' \
                      xmlns:stream='http://etherx.jabber.org/streams'>";
const FEATURES: &str = "</stream:features>";
/// What a client says of itself, and the session that it wants.
const WISHES: &str = "<user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'>\
                      <software>Test</software></user-agent>\
                      <bind xmlns='urn:xmpp:bind:0'><tag>Test</tag>\
                      <enable xmlns='urn:xmpp:carbons:2'/>\
                      <enable xmlns='urn:xmpp:sm:3' resume='true'/></bind>";

#[tokio::test]
async fn a_login_with_a_token_takes_one_round_trip() {
    let test_server = TestServer::new().await;
    let mut first = test_server.connect().await;
    let plain = STANDARD.encode("\0romeo\0secret");
    let login = format!(
        "{HEADER}<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'>\
         <initial-response>{plain}</initial-response>{WISHES}\
         <request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/></authenticate>"
    );
    let answer = first.trip(&login, (FEATURES, 2)).await;
    let (_, rest) = answer.split_once(" token='").expect("a token");
    let (token, _) = rest.split_once('\'').unwrap();
    drop(first);

    let mut client = test_server.connect().await;
    let mut mac = Hmac::<Sha256>::new_from_slice(token.as_bytes()).unwrap();
    mac.update(b"Initiator");
    let proof = [b"romeo\0", &mac.finalize().into_bytes()[..]].concat();
    let login = format!(
        "{HEADER}<authenticate xmlns='urn:xmpp:sasl:2' mechanism='HT-SHA-256-NONE'>\
         <initial-response>{}</initial-response>{WISHES}<fast xmlns='urn:xmpp:fast:0'/>\
         </authenticate>",
        STANDARD.encode(proof)
    );
    let answer = client.trip(&login, (FEATURES, 2)).await;
    for wanted in ["<success", "<bound", "<enabled", ">romeo@localhost/Test/", "<metadata"] {
        assert!(answer.contains(wanted), "no {wanted} in {answer}");
    }
    assert_eq!(client.trips, 1);
    test_server.close().await;
}

/// For comparison: the same session by RFC 6120 alone, with PLAIN. SCRAM takes one more.
#[tokio::test]
async fn a_classic_login_takes_six_round_trips() {
    let test_server = TestServer::new().await;
    let mut client = test_server.connect().await;
    client.trip(HEADER, (FEATURES, 1)).await;
    let plain = STANDARD.encode("\0romeo\0secret");
    let auth =
        format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>");
    client.trip(&auth, ("<success", 1)).await;
    client.trip(HEADER, (FEATURES, 1)).await;
    let bind = "<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
    client.trip(bind, ("</iq>", 1)).await;
    client.trip("<enable xmlns='urn:xmpp:sm:3' resume='true'/>", ("<enabled", 1)).await;
    let carbons = "<iq type='set' id='2'><enable xmlns='urn:xmpp:carbons:2'/></iq>";
    client.trip(carbons, ("id='2'", 1)).await;
    assert_eq!(client.trips, 6);
    test_server.close().await;
}
