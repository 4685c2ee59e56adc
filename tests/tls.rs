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
struct House {
    data: tempfile::TempDir,
    server: Server,
    tasks: Tasks,
}

impl House {
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
    let house = House::new().await;
    for to in DOMAINS {
        for sni in [None, Some("a.example"), Some("b.example"), Some("xmpp.elsewhere.example")] {
            let (owner, answer) = house.starttls(to, sni).await;
            assert_eq!(owner, to, "{sni:?}");
            assert!(answer.contains(&format!("from='{to}'")), "{answer}");
        }
    }
    house.tasks.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn with_tls_first_the_certificate_is_that_of_the_name_asked_for() {
    let house = House::new().await;
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
            let io = house.connect("direct_tls");
            let (owner, answer) = house.secured(io, to, sni).await;
            assert_eq!(owner, expected, "{sni:?}");
            assert!(answer.contains(&format!("from='{to}'")), "{answer}");
        }
    }
    house.tasks.stop(Duration::from_secs(5)).await;
}
