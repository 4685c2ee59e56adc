//! The proxy for bytestreams (XEP-0065) over sockets: SOCKS5 byte by byte, activation by a client that has logged in,
//! and what is relayed.

#![expect(clippy::unwrap_used, reason = "the helpers of a test stand outside of its functions")]

#[path = "support/peer.rs"]
mod peer;
#[path = "support/trust.rs"]
mod trust;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use peer::Peer;
use rustls::pki_types::ServerName;
use sha1::{Digest, Sha1};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use waxwing::auth::derive_keys;
use waxwing::clock::Clock;
use waxwing::config::Config;
use waxwing::host::bytestreams::Bytestreams;
use waxwing::jid::BareJid;
use waxwing::server::Server;
use waxwing::storage::{MemoryStorage, NewAccount, Storage};
use waxwing::tasks::Tasks;

struct TestServer {
    server: Server,
    tasks: Tasks,
    proxy: SocketAddr,
    _data: TempDir,
}

impl TestServer {
    async fn new(options: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let text = format!(
            "{options}\n[listen]\nc2s = []\nc2s_tls = []\nhttp = []\nhttps = []\n\
             proxy65 = '127.0.0.1:0'\nproxy65_address = '127.0.0.1:7777'\n\
             [[host]]\ndomain = 'localhost'\n"
        );
        let mut config = Config::parse(&text, "the test").unwrap();
        data.path().clone_into(&mut config.data);
        let (storage, tasks) = (MemoryStorage::new(), Tasks::new());
        let (keys, created) = (derive_keys("secret", 4096).unwrap(), Clock::system().now());
        let user = BareJid::parse("romeo@localhost").unwrap();
        let account = NewAccount { user, keys, created, admin: false };
        storage.accounts().create(&[account]).await.unwrap();
        let server = Server::start(config, storage, Clock::system(), tasks.clone()).await.unwrap();
        let (_, proxy) = *server.addresses().iter().find(|(row, _)| row.name == "proxy65").unwrap();
        Self { server, tasks, proxy, _data: data }
    }

    /// `romeo@localhost/orchard`.
    async fn login(&self) -> Peer {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        self.server.connect(Box::new(theirs), "direct_tls");
        let connector = TlsConnector::from(Arc::new(trust::config(false)));
        let name = ServerName::try_from("localhost").unwrap();
        let io = connector.connect(name, ours).await.unwrap();
        let mut peer = Peer { patience: PATIENCE, ..Peer::new(io) };
        open(&mut peer).await;
        let plain = STANDARD.encode("\0romeo\0secret");
        let sasl = "urn:ietf:params:xml:ns:xmpp-sasl";
        peer.say(format!("<auth xmlns='{sasl}' mechanism='PLAIN'>{plain}</auth>")).await;
        peer.hears("<success ").await;
        open(&mut peer).await;
        peer.say(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
             <resource>orchard</resource></bind></iq>",
        )
        .await;
        peer.hears("</iq>").await;
        peer
    }

    /// A connection that has asked for this bytestream, with the code of the answer.
    async fn connect(&self, sid: &str) -> (TcpStream, u8) {
        let mut io = TcpStream::connect(self.proxy).await.unwrap();
        let hash = hash(sid);
        let request = [b"\x05\x01\x00\x05\x01\x00\x03\x28", hash.as_bytes(), b"\0\0"].concat();
        io.write_all(&request).await.unwrap();
        let mut answer = [0; 49];
        timeout(PATIENCE, io.read_exact(&mut answer)).await.unwrap().unwrap();
        assert_eq!(answer[..3], *b"\x05\x00\x05");
        assert_eq!(answer[4..], request[5..], "the address is repeated");
        (io, answer[3])
    }

    async fn waits(&self, sid: &str) -> TcpStream {
        let (io, code) = self.connect(sid).await;
        assert_eq!(code, 0);
        io
    }

    async fn waiting(&self, count: usize) {
        let table = self.server.state().shared::<Bytestreams>();
        let reached = async {
            while table.len() != count {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("{} wait", table.len()));
    }

    async fn close(self) {
        assert_eq!(self.server.state().metrics.panics.get(), 0);
        assert!(self.tasks.stop(Duration::from_secs(10)).await.is_empty());
    }
}

/// SHA-1 of the id, the requester and the target, in hexadecimal digits.
fn hash(sid: &str) -> String {
    let hash = Sha1::digest(format!("{sid}{REQUESTER}{TARGET}"));
    hash.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

async fn open(peer: &mut Peer) {
    peer.say(
        "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
         xmlns:stream='http://etherx.jabber.org/streams'>",
    )
    .await;
    peer.hears("</stream:features>").await;
}

/// The answer to a request for activation.
async fn activate(peer: &mut Peer, sid: &str) -> String {
    peer.say(format!(
        "<iq type='set' id='a-{sid}' to='proxy.localhost'>\
         <query xmlns='http://jabber.org/protocol/bytestreams' sid='{sid}'>\
         <activate>{TARGET}</activate></query></iq>\
         <iq type='get' id='p-{sid}' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>"
    ))
    .await;
    peer.hears(&format!("id='p-{sid}'")).await
}

async fn is_closed(io: &mut TcpStream) {
    let mut rest = Vec::new();
    match timeout(PATIENCE, io.read_to_end(&mut rest)).await.unwrap() {
        Ok(_) => assert!(rest.is_empty(), "{rest:?}"),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
}

const REQUESTER: &str = "romeo@localhost/orchard";
const TARGET: &str = "juliet@capulet.example/balcony";
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_file_passes_in_both_directions_when_the_requester_has_activated_it() {
    let test_server = TestServer::new("").await;
    let mut romeo = test_server.login().await;
    let mut target = test_server.waits("s1").await;
    target.write_all(b"too early").await.unwrap();
    let refused = activate(&mut romeo, "s1").await;
    assert!(refused.contains("<not-allowed "), "one is connected: {refused}");
    let mut requester = test_server.waits("s1").await;
    test_server.waiting(2).await;
    let (mut third, code) = test_server.connect("s1").await;
    assert_eq!(code, 2, "two are connected already");
    is_closed(&mut third).await;
    let refused = activate(&mut romeo, "s2").await;
    assert!(refused.contains("<item-not-found "), "{refused}");
    let done = activate(&mut romeo, "s1").await;
    assert!(done.contains("type='result'"), "{done}");

    let file: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let sent = file.clone();
    let (answer, heard) = tokio::join!(
        async {
            requester.write_all(&sent).await.unwrap();
            requester.shutdown().await.unwrap();
            let mut answer = Vec::new();
            requester.read_to_end(&mut answer).await.unwrap();
            answer
        },
        async {
            let mut heard = Vec::new();
            target.read_to_end(&mut heard).await.unwrap();
            // The other direction is still open.
            target.write_all(b"thanks").await.unwrap();
            target.shutdown().await.unwrap();
            heard
        },
    );
    assert!(heard == file, "{} bytes", heard.len());
    assert_eq!(answer, b"thanks");
    test_server.waiting(0).await;
    test_server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_or_sends_much_before_waits_no_more() {
    let test_server = TestServer::new("").await;
    let gone = test_server.waits("s1").await;
    let mut loud = test_server.waits("s1").await;
    test_server.waiting(2).await;
    drop(gone);
    test_server.waiting(1).await;
    drop(loud.write_all(&[0; 100_000]).await);
    is_closed(&mut loud).await;
    test_server.waiting(0).await;
    let mut romeo = test_server.login().await;
    let refused = activate(&mut romeo, "s1").await;
    assert!(refused.contains("<item-not-found "), "{refused}");
    test_server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_activates_is_closed() {
    let test_server =
        TestServer::new("limits.bytestream_wait = '5 s'\nlimits.handshake = '1 s'").await;
    let mut silent = TcpStream::connect(test_server.proxy).await.unwrap();
    let mut half = TcpStream::connect(test_server.proxy).await.unwrap();
    half.write_all(b"\x05\x02\x00").await.unwrap();
    let mut waits = test_server.waits("s1").await;
    for io in [&mut silent, &mut half, &mut waits] {
        is_closed(io).await;
    }
    test_server.waiting(0).await;
    test_server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_cannot_fill_the_table() {
    let test_server = TestServer::new("budgets.waiting_bytestreams_per_address = 3").await;
    let mut all = Vec::new();
    for number in 0..3 {
        all.push(test_server.waits(&number.to_string()).await);
    }
    let mut more = TcpStream::connect(test_server.proxy).await.unwrap();
    is_closed(&mut more).await;
    drop(all.pop());
    test_server.waiting(2).await;
    // The place is free a moment after the table has forgotten the connection.
    let again = async {
        loop {
            let mut io = TcpStream::connect(test_server.proxy).await.unwrap();
            drop(io.write_all(b"\x05\x01\x00").await);
            if matches!(io.read_exact(&mut [0; 2]).await, Ok(2)) {
                return;
            }
        }
    };
    timeout(PATIENCE, again).await.unwrap();
    test_server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_so_many_bytestreams() {
    let test_server = TestServer::new("budgets.bytestreams_per_account = 1").await;
    let mut romeo = test_server.login().await;
    let mut open = Vec::new();
    for sid in ["s1", "s2"] {
        open.push([test_server.waits(sid).await, test_server.waits(sid).await]);
    }
    assert!(activate(&mut romeo, "s1").await.contains("type='result'"));
    assert!(activate(&mut romeo, "s2").await.contains("<resource-constraint "));
    let [first, mut second] = open.remove(0);
    drop(first);
    is_closed(&mut second).await;
    let again = async { while !activate(&mut romeo, "s2").await.contains("type='result'") {} };
    timeout(PATIENCE, again).await.unwrap();
    test_server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bytestream_has_the_speed_of_its_budget() {
    let test_server = TestServer::new(
        "budgets.burst = '1 s'\nbudgets.bytestream_traffic_per_account = '200 KiB'",
    )
    .await;
    let mut romeo = test_server.login().await;
    let (mut target, mut requester) =
        (test_server.waits("s1").await, test_server.waits("s1").await);
    assert!(activate(&mut romeo, "s1").await.contains("type='result'"));
    let started = tokio::time::Instant::now();
    let mut read = vec![0; 600 * 1024];
    let sent = vec![7; read.len()];
    let (sent, heard) = tokio::join!(requester.write_all(&sent), target.read_exact(&mut read));
    sent.unwrap();
    assert_eq!(heard.unwrap(), read.len());
    assert!(started.elapsed() > Duration::from_millis(1500), "{:?}", started.elapsed());
    test_server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_reads_waits_with_its_sender() {
    let test_server = TestServer::new("limits.bytestream_silence = '5 s'").await;
    let mut romeo = test_server.login().await;
    let (_target, mut requester) = (test_server.waits("s1").await, test_server.waits("s1").await);
    assert!(activate(&mut romeo, "s1").await.contains("type='result'"));
    // In the end the bytestream is closed, since nothing moves.
    let piece = vec![7; 1 << 20];
    let mut sent = 0;
    let filled = async {
        while requester.write_all(&piece).await.is_ok() {
            sent += piece.len();
            assert!(sent < 64 << 20, "the server buffers");
        }
    };
    timeout(PATIENCE, filled).await.unwrap();
    test_server.close().await;
}
