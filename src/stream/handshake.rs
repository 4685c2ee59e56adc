//! The TLS handshake, as the server, bounded in time and counted.

use std::io;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use tokio::time::{Instant, timeout};

use super::wire::Wire;
use crate::auth::{TlsFacts, TlsVersion};
use crate::metrics::Metrics;
use crate::tls::{Certificates, ClientHello, Purpose};

/// What is known of the TLS around a connection.
#[derive(Debug)]
pub struct Tls {
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// What the client wants, which may be something else than what its port is for ([`Purpose::wanted`]).
    pub purpose: Purpose,
    /// What a login can be bound to.
    pub facts: TlsFacts,
    /// The certificate of another server, and those that lead to its authority, as it has sent them.
    pub certificates: Vec<CertificateDer<'static>>,
}

/// Makes TLS handshakes for this server.
#[derive(Clone, Copy)]
pub struct Handshaker<'a> {
    /// The certificates to choose from.
    pub certificates: &'a Certificates,
    /// Counts handshakes by version and outcome.
    pub metrics: &'a Metrics,
    /// How long a handshake may take (`limits.handshake`).
    pub limit: Duration,
}

impl Handshaker<'_> {
    /// Makes the handshake on a connection without TLS. If a stream was opened to a domain already,
    /// the certificate is that of `domain` (RFC 6120 §5.4.3.1). `None` if the handshake failed: the
    /// connection is lost.
    pub async fn secure(
        &self,
        wire: Wire,
        purpose: Purpose,
        domain: Option<&str>,
    ) -> Option<(Wire, Tls)> {
        let started = Instant::now();
        let mut wanted = purpose;
        let securing = async {
            if domain.is_some() && purpose.is_after_plain() {
                let chosen = self.certificates.choose(purpose, domain, None);
                let (wire, handshake) = wire.secure_as(&chosen).await?;
                return Ok((wire, chosen, handshake));
            }
            let choose = |hello: &ClientHello| {
                wanted = purpose.wanted(&hello.protocols);
                self.certificates.choose(wanted, domain, hello.sni.as_deref())
            };
            wire.secure(choose).await
        };
        let outcome: Result<io::Result<_>, _> = timeout(self.limit, Box::pin(securing)).await;
        let (wire, chosen, handshake) = match outcome {
            Ok(Ok(secured)) => secured,
            Ok(Err(error)) => {
                self.metrics.tls_handshakes.inc(["none", "failure"]);
                tracing::debug!(%error, "TLS handshake failed");
                return None;
            }
            Err(_) => {
                self.metrics.tls_handshakes.inc(["none", "timeout"]);
                tracing::debug!("TLS handshake timed out");
                return None;
            }
        };
        self.metrics.tls_handshakes.inc([handshake.version, "success"]);
        tracing::debug!(
            version = handshake.version,
            sni = handshake.sni,
            host = chosen.host,
            elapsed_ms = started.elapsed().as_millis() as u64,
            "TLS established"
        );
        let mut facts = TlsFacts {
            version: TlsVersion::named(handshake.version),
            exporter: handshake.exporter,
            server_end_point: chosen.end_point,
            ..TlsFacts::default()
        };
        let mut certificates = Vec::new();
        if purpose.is_of_servers() {
            certificates = handshake.client;
        } else {
            facts.addresses = self.certificates.addresses(&handshake.client);
            facts.fingerprint = Certificates::fingerprint(&handshake.client);
        }
        Some((wire, Tls { version: handshake.version, purpose: wanted, facts, certificates }))
    }
}
