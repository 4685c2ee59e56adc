//! The TLS settings that belong to a certificate.
//!
//! Each certificate has its own settings and tickets, so a login is always bound to the certificate that the
//! client got: a ticket of one certificate never resumes a connection under another one, and a reload does
//! not affect a handshake that has begun.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::TlsError;
use super::client_certificates::ClientCertificates;
use super::provider::provider;

/// The protocol that runs over TLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// A stream with direct TLS (XEP-0368).
    Direct,
    /// HTTP.
    Https,
    /// A stream that began without TLS (RFC 6120 §5).
    StartTls,
}

impl Purpose {
    /// What a client wants that speaks these protocols (ALPN), on a port for this: a port with TLS serves both streams
    /// and HTTP. A client that offers no protocol, none that is known, or both, gets what the port is for.
    #[must_use]
    pub fn wanted(self, protocols: &[Vec<u8>]) -> Self {
        let other = match self {
            Self::Direct => Self::Https,
            Self::Https => Self::Direct,
            Self::StartTls => return self,
        };
        let offers = |purpose: Self| {
            let own = purpose.protocol();
            protocols.iter().any(|protocol| Some(protocol.as_slice()) == own)
        };
        if !offers(self) && offers(other) { other } else { self }
    }

    /// Its name in ALPN.
    fn protocol(self) -> Option<&'static [u8]> {
        match self {
            Self::Direct => Some(b"xmpp-client"),
            Self::Https => Some(b"http/1.1"),
            Self::StartTls => None,
        }
    }
}

/// The settings of a certificate, for each purpose.
#[derive(Debug)]
pub(super) struct ServerConfigs {
    direct: Arc<ServerConfig>,
    https: Arc<ServerConfig>,
    starttls: Arc<ServerConfig>,
}

impl ServerConfigs {
    /// TLS 1.2 and 1.3, ECDHE with AEAD, stateless tickets, no 0-RTT.
    ///
    /// `clients`: a client with a stream is asked for a certificate of these authorities, and need not have one
    /// (XEP-0178 §2). Browsers are never asked: they would ask their users.
    ///
    /// With STARTTLS, protocols that a client offers (ALPN) are ignored. Otherwise a client that offers
    /// protocols must offer the right one, or gets `no_application_protocol` (RFC 7301 §3.2). A client that
    /// offers none is accepted (XEP-0368 §3).
    ///
    /// # Errors
    /// If the operating system provides no random numbers for the tickets.
    pub(super) fn new(
        key: CertifiedKey,
        clients: Option<&Arc<ClientCertificates>>,
    ) -> Result<Self, TlsError> {
        let resolver = Arc::new(SingleCertAndKey::from(key));
        let ticketer = aws_lc_rs::Ticketer::new().map_err(|_| TlsError::Random)?;
        let direct = with_protocol(common(&resolver, &ticketer, clients), Purpose::Direct);
        let https = with_protocol(common(&resolver, &ticketer, None), Purpose::Https);
        let starttls = common(&resolver, &ticketer, clients);
        Ok(Self { direct: Arc::new(direct), https: Arc::new(https), starttls: Arc::new(starttls) })
    }

    pub(super) fn of(&self, purpose: Purpose) -> &Arc<ServerConfig> {
        match purpose {
            Purpose::Direct => &self.direct,
            Purpose::Https => &self.https,
            Purpose::StartTls => &self.starttls,
        }
    }
}

/// What all purposes have in common.
fn common(
    resolver: &Arc<SingleCertAndKey>,
    ticketer: &Arc<dyn ProducesTickets>,
    clients: Option<&Arc<ClientCertificates>>,
) -> ServerConfig {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("the provider has suites for both versions");
    let builder = match clients {
        Some(clients) => builder.with_client_cert_verifier(Arc::clone(clients) as _),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::clone(resolver) as _);
    config.ticketer = Arc::clone(ticketer);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 1;
    // Early data could be replayed, and there is no channel binding before the end of the handshake.
    config.max_early_data_size = 0;
    config
}

fn with_protocol(mut config: ServerConfig, purpose: Purpose) -> ServerConfig {
    config.alpn_protocols = purpose.protocol().map(<[u8]>::to_vec).into_iter().collect();
    config
}

#[cfg(test)]
mod tests {
    use super::Purpose::{Direct, Https, StartTls};

    #[test]
    fn a_port_serves_what_the_client_asks_for() {
        for (port, protocols, expected) in [
            (Direct, &[][..], Direct),
            (Direct, &["xmpp-client"], Direct),
            (Direct, &["http/1.1"], Https),
            (Direct, &["h2", "http/1.1"], Https),
            (Direct, &["http/1.1", "xmpp-client"], Direct),
            (Direct, &["h2"], Direct),
            (Https, &[], Https),
            (Https, &["xmpp-client"], Direct),
            (Https, &["xmpp-client", "http/1.1"], Https),
            (Https, &["h2", "http/1.1"], Https),
            (StartTls, &["http/1.1"], StartTls),
        ] {
            let offered: Vec<_> = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
            assert_eq!(port.wanted(&offered), expected, "{port:?} {protocols:?}");
        }
    }
}
