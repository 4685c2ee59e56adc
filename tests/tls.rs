//! Certificates of several domains on one port: which one a client gets.

#![expect(clippy::unwrap_used, reason = "the helpers of a test stand outside of its functions")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::TlsConnector;
use waxwing::clock::Clock;
use waxwing::config::Config;
use waxwing::server::Server;
use waxwing::storage::MemoryStorage;
use waxwing::tasks::Tasks;

#[path = "support/trust.rs"]
mod trust;

const DOMAINS: [&str; 2] = ["a.example", "b.example"];

/// A server of both domains, with certificates that it has made.
struct TestServer {
    data: tempfile::TempDir,
    server: Server,
    tasks: Tasks,
}

impl TestServer {
    async fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let hosts = DOMAINS.map(|domain| format!("[[host]]\ndomain = '{domain}'\n")).concat();
        let doors = "[listen]\nc2s = []\nc2s_tls = []\nhttp = []\nhttps = []\nproxy65 = []\n";
        let mut config = Config::parse(&format!("{hosts}{doors}"), "the test").unwrap();
        data.path().clone_into(&mut config.data);
        let tasks = Tasks::new();
        let server =
            Server::start(config, MemoryStorage::new(), Clock::system(), tasks.clone()).await;
        Self { data, server: server.unwrap(), tasks }
    }

    /// The domain whose certificate this is.
    fn owner(&self, certificate: &CertificateDer<'_>) -> &'static str {
        let is_its = |domain: &&&str| {
            let file = self.data.path().join(Path::new("certs").join(format!("{domain}.crt")));
            CertificateDer::from_pem_file(file).unwrap() == *certificate
        };
        DOMAINS.iter().find(is_its).unwrap()
    }

    fn connect(&self, listener: &str) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        self.server.connect(Box::new(theirs), listener);
        ours
    }

    /// Whose certificate a client sees that opens a stream `to` a domain and asks for `sni`, and the
    /// answer to its next stream.
    async fn starttls(&self, to: &str, sni: Option<&str>) -> (&'static str, String) {
        let mut io = self.connect("starttls");
        io.write_all(header(to).as_bytes()).await.unwrap();
        heard(&mut io, "</stream:features>").await;
        io.write_all(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await.unwrap();
        heard(&mut io, "<proceed").await;
        self.secured(io, to, sni).await
    }

    async fn secured(
        &self,
        io: DuplexStream,
        to: &str,
        sni: Option<&str>,
    ) -> (&'static str, String) {
        let mut config = trust::config(false);
        config.enable_sni = sni.is_some();
        let name = ServerName::try_from(sni.unwrap_or("a.example").to_owned()).unwrap();
        let mut tls = TlsConnector::from(Arc::new(config)).connect(name, io).await.unwrap();
        let owner = self.owner(&tls.get_ref().1.peer_certificates().unwrap()[0]);
        tls.write_all(header(to).as_bytes()).await.unwrap();
        let answer = heard(&mut tls, "</stream:features>").await;
        (owner, answer)
    }
}

fn header(to: &str) -> String {
    format!(
        "<stream:stream to='{to}' version='1.0' xmlns='jabber:client' \
         xmlns:stream='http://etherx.jabber.org/streams'>"
    )
}

/// What comes, up to a text.
async fn heard(io: &mut (impl AsyncReadExt + Unpin), end: &str) -> String {
    let reading = async {
        let mut all = Vec::new();
        while !String::from_utf8_lossy(&all).contains(end) {
            let read = io.read_buf(&mut all).await.unwrap();
            assert!(read > 0, "no {end} in {}", String::from_utf8_lossy(&all));
        }
        String::from_utf8(all).unwrap()
    };
    tokio::time::timeout(Duration::from_secs(20), reading).await.expect("an answer")
}

#[tokio::test]
async fn by_starttls_the_certificate_is_that_of_the_domain_of_the_stream() {
    let test_server = TestServer::new().await;
    for to in DOMAINS {
        for sni in [None, Some("a.example"), Some("b.example"), Some("xmpp.elsewhere.example")] {
            let (owner, answer) = test_server.starttls(to, sni).await;
            assert_eq!(owner, to, "{sni:?}");
            assert!(answer.contains(&format!("from='{to}'")), "{answer}");
        }
    }
    test_server.tasks.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn with_tls_first_the_certificate_is_that_of_the_name_asked_for() {
    let test_server = TestServer::new().await;
    for (sni, expected) in [
        (Some("a.example"), "a.example"),
        (Some("b.example"), "b.example"),
        (Some("B.EXAMPLE"), "b.example"),
        (Some("xmpp.b.example"), "b.example"),
        (Some("xmpp.elsewhere.example"), "a.example"),
        (None, "a.example"),
    ] {
        // The stream may be to either domain: the client has seen the certificate and knows.
        for to in DOMAINS {
            let io = test_server.connect("direct_tls");
            let (owner, answer) = test_server.secured(io, to, sni).await;
            assert_eq!(owner, expected, "{sni:?}");
            assert!(answer.contains(&format!("from='{to}'")), "{answer}");
        }
    }
    test_server.tasks.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn each_port_serves_streams_and_http_as_the_client_asks_by_alpn() {
    let test_server = TestServer::new().await;
    for (listener, protocols, is_http) in [
        ("direct_tls", &[][..], false),
        ("direct_tls", &["xmpp-client"], false),
        ("direct_tls", &["http/1.1"], true),
        ("direct_tls", &["h2", "http/1.1"], true),
        ("https", &[], true),
        ("https", &["http/1.1"], true),
        ("https", &["xmpp-client"], false),
    ] {
        let mut config = trust::config(false);
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("a.example").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let mut tls = connector.connect(name, test_server.connect(listener)).await.unwrap();
        let expected = match (protocols, is_http) {
            ([], _) => None,
            (_, true) => Some(&b"http/1.1"[..]),
            (_, false) => Some(&b"xmpp-client"[..]),
        };
        assert_eq!(tls.get_ref().1.alpn_protocol(), expected, "{listener} {protocols:?}");
        if is_http {
            tls.write_all(b"GET /nothing HTTP/1.1\r\nHost: a.example\r\n\r\n").await.unwrap();
            heard(&mut tls, "HTTP/1.1 404 ").await;
        } else {
            tls.write_all(header("a.example").as_bytes()).await.unwrap();
            heard(&mut tls, "</stream:features>").await;
        }
    }
    test_server.tasks.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn streams_and_https_can_have_one_port() {
    let data = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = format!(
        "[listen]\nc2s = []\nc2s_tls = '{free}'\nhttp = []\nhttps = '{free}'\nproxy65 = []\n\
         [[host]]\ndomain = 'a.example'\n"
    );
    let mut config = Config::parse(&text, "the test").unwrap();
    data.path().clone_into(&mut config.data);
    let tasks = Tasks::new();
    let server = Server::start(config, MemoryStorage::new(), Clock::system(), tasks.clone()).await;
    let server = server.unwrap();
    assert_eq!(server.addresses().len(), 1, "the port is opened once");
    for (protocol, sent, expected) in [
        ("http/1.1", "GET /nothing HTTP/1.1\r\nHost: a.example\r\n\r\n", "HTTP/1.1 404 "),
        ("xmpp-client", &header("a.example"), "</stream:features>"),
    ] {
        let mut config = trust::config(false);
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let name = ServerName::try_from("a.example").unwrap();
        let io = tokio::net::TcpStream::connect(free).await.unwrap();
        let mut tls = TlsConnector::from(Arc::new(config)).connect(name, io).await.unwrap();
        tls.write_all(sent.as_bytes()).await.unwrap();
        heard(&mut tls, expected).await;
    }
    drop(server);
    tasks.stop(Duration::from_secs(5)).await;
}
