//! How a client of the conversations plays another server: it opens streams, and accepts those of the server under test.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

use super::client::{Client, TLS};
use super::element::{Element, STREAMS};
use super::neighbours::certificate_of;
use super::script::Transport;
use super::server::{Stream, Target};
use super::trust;

impl Client {
    /// It plays another server.
    pub(crate) fn is_server(&self) -> bool {
        self.persona.transport == Transport::Server
    }

    /// Opens a stream between servers, up to the header that answers.
    pub(crate) async fn open_to_server(&mut self, domain: &str) -> Result<(), String> {
        self.reset();
        self.other = domain.to_owned();
        let header = self.header_to(domain, "");
        self.send(header.as_bytes()).await?;
        self.header().await.map(drop)
    }

    /// The same with TLS. What the server offers then stays to be read.
    pub(crate) async fn open_secured(
        &mut self,
        target: &dyn Target,
        domain: &str,
    ) -> Result<(), String> {
        self.connect(target, Transport::Server).await?;
        self.open_to_server(domain).await?;
        self.start_tls().await?;
        self.open_to_server(domain).await
    }

    /// SASL EXTERNAL (XEP-0178 §3). What the server offers then stays to be read.
    pub(crate) async fn log_in_by_certificate(&mut self) -> Result<(), String> {
        let features = self.expect(STREAMS, "features").await?;
        if features.child(SASL, "mechanisms").is_none() {
            return Err(format!("no mechanism is offered: {features}"));
        }
        let auth = format!("<auth xmlns='{SASL}' mechanism='EXTERNAL'>=</auth>");
        self.send(auth.as_bytes()).await?;
        self.expect(SASL, "success").await?;
        let domain = self.other.clone();
        self.open_to_server(&domain).await
    }

    /// Takes the next connection of the server under test.
    pub(crate) async fn accept(&mut self, target: &dyn Target) -> Result<(), String> {
        let limit = async {
            loop {
                if let Some(stream) = target.accept(self.persona.bare()) {
                    return stream;
                }
                // The clock is paused: it moves when nobody works.
                sleep(Duration::from_millis(10)).await;
            }
        };
        let accepted = timeout(self.patience, limit).await;
        let stream = accepted.map_err(|_| "nobody connects to it".to_owned())?;
        self.take(stream);
        Ok(())
    }

    /// Takes the next connection, and secures it. What it offers then is still to be said.
    pub(crate) async fn accept_secured(&mut self, target: &dyn Target) -> Result<(), String> {
        self.accept(target).await?;
        self.answer_header().await?;
        let offer = format!("<starttls xmlns='{TLS}'><required/></starttls>");
        self.send(format!("<stream:features>{offer}</stream:features>").as_bytes()).await?;
        self.expect(TLS, "starttls").await?;
        self.send(format!("<proceed xmlns='{TLS}'/>").as_bytes()).await?;
        self.handshake().await?;
        self.answer_header().await
    }

    /// The server proves itself by its certificate. What is offered then is still to be said.
    pub(crate) async fn take_certificate(&mut self) -> Result<(), String> {
        let offer =
            format!("<mechanisms xmlns='{SASL}'><mechanism>EXTERNAL</mechanism></mechanisms>");
        self.send(format!("<stream:features>{offer}</stream:features>").as_bytes()).await?;
        let auth = self.expect(SASL, "auth").await?;
        if auth.attribute("mechanism") != Some("EXTERNAL") {
            return Err(format!("expected EXTERNAL, got {auth}"));
        }
        self.send(format!("<success xmlns='{SASL}'/>").as_bytes()).await?;
        self.reset();
        self.answer_header().await
    }

    /// Waits for a header, and answers it.
    async fn answer_header(&mut self) -> Result<(), String> {
        let header: Element = self.header().await?;
        let from = header.attribute("from").unwrap_or_default().to_owned();
        self.streams += 1;
        let answer = self.header_to(&from, &format!(" id='{}'", self.streams));
        self.other = from;
        self.send(answer.as_bytes()).await
    }

    fn header_to(&self, domain: &str, id: &str) -> String {
        format!(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='{STREAMS}' \
             xmlns:db='jabber:server:dialback' from='{}' to='{domain}'{id} version='1.0'>",
            self.persona.bare()
        )
    }

    /// The TLS handshake with the server under test, as the one of the two that did or did not open the connection.
    pub(super) async fn handshake_of_servers(
        &mut self,
        stream: Box<dyn Stream>,
    ) -> Result<Box<dyn Stream>, String> {
        let certificate = certificate_of(&self.persona);
        let failed = |error: std::io::Error| format!("the TLS handshake failed: {error}");
        if self.is_accepted {
            let certificate = certificate.ok_or("it has no certificate")?;
            let stream = certificate.acceptor().accept(stream).await.map_err(failed)?;
            return Ok(Box::new(stream));
        }
        let mut config = trust::config(self.persona.is_tls12);
        config.alpn_protocols.clear();
        if let Some(certificate) = certificate {
            let key = CertifiedKey::clone(&certificate.certified_key());
            config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(key));
        }
        let name = ServerName::try_from(self.other.clone()).map_err(|error| error.to_string())?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        Ok(Box::new(stream.map_err(failed)?))
    }
}

const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
