//! The TLS settings that belong to a certificate.
//!
//! Each certificate has its own settings and tickets, so a login is always bound to the certificate that the
//! client got: a ticket of one certificate never resumes a connection under another one, and a reload does
//! not affect a handshake that has begun.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ServerConfig};

use super::TlsError;
use super::any_certificate::AnyCertificate;
use super::client_certificates::ClientCertificates;
use super::provider::provider;

/// The protocol that runs over TLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// A stream with direct TLS (XEP-0368).
    Direct,
    /// HTTP.
    Https,
    /// A stream of another server, with direct TLS (XEP-0368).
    ServerDirect,
    /// A stream of another server, which began without TLS.
    ServerStartTls,
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
            Self::StartTls | Self::ServerDirect | Self::ServerStartTls => return self,
        };
        let offers = |purpose: Self| {
            let own = purpose.protocol();
            protocols.iter().any(|protocol| Some(protocol.as_slice()) == own)
        };
        if !offers(self) && offers(other) { other } else { self }
    }

    /// Its name in ALPN.
    pub(super) fn protocol(self) -> Option<&'static [u8]> {
        match self {
            Self::Direct => Some(b"xmpp-client"),
            Self::Https => Some(b"http/1.1"),
            // XEP-0368 §2.
            Self::ServerDirect => Some(b"xmpp-server"),
            Self::StartTls | Self::ServerStartTls => None,
        }
    }

    /// Whether the stream began without TLS. Then the protocols that a client offers (ALPN) do not matter.
    #[must_use]
    pub fn is_after_plain(self) -> bool {
        matches!(self, Self::StartTls | Self::ServerStartTls)
    }

    /// Whether the peer is another server.
    #[must_use]
    pub fn is_of_servers(self) -> bool {
        matches!(self, Self::ServerDirect | Self::ServerStartTls)
    }
}

/// The settings of a certificate, for each purpose.
#[derive(Debug)]
pub(super) struct ServerConfigs {
    direct: Arc<ServerConfig>,
    https: Arc<ServerConfig>,
    server_direct: Arc<ServerConfig>,
    server_starttls: Arc<ServerConfig>,
    starttls: Arc<ServerConfig>,
    /// The settings for connections to other servers, with direct TLS and with STARTTLS.
    outgoing: [Arc<ClientConfig>; 2],
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
        let clients = clients.map(|clients| Arc::clone(clients) as Arc<dyn ClientCertVerifier>);
        let servers: Arc<dyn ClientCertVerifier> = Arc::new(AnyCertificate::new());
        let direct = with_protocol(common(&resolver, &ticketer, clients.as_ref()), Purpose::Direct);
        let https = with_protocol(common(&resolver, &ticketer, None), Purpose::Https);
        let of_servers = || {
            let mut config = common(&resolver, &ticketer, Some(&servers));
            // A server stays connected, and each time it is to show its certificate.
            config.send_tls13_tickets = 0;
            config
        };
        let outgoing = [true, false].map(|is_direct| Arc::new(outgoing(&resolver, is_direct)));
        Ok(Self {
            direct: Arc::new(direct),
            https: Arc::new(https),
            server_direct: Arc::new(with_protocol(of_servers(), Purpose::ServerDirect)),
            server_starttls: Arc::new(of_servers()),
            starttls: Arc::new(common(&resolver, &ticketer, clients.as_ref())),
            outgoing,
        })
    }

    /// For a connection to another server.
    pub(super) fn outgoing(&self, is_direct: bool) -> &Arc<ClientConfig> {
        let [direct, starttls] = &self.outgoing;
        if is_direct { direct } else { starttls }
    }

    pub(super) fn of(&self, purpose: Purpose) -> &Arc<ServerConfig> {
        match purpose {
            Purpose::Direct => &self.direct,
            Purpose::Https => &self.https,
            Purpose::ServerDirect => &self.server_direct,
            Purpose::ServerStartTls => &self.server_starttls,
            Purpose::StartTls => &self.starttls,
        }
    }
}

/// What all purposes have in common.
fn common(
    resolver: &Arc<SingleCertAndKey>,
    ticketer: &Arc<dyn ProducesTickets>,
    peers: Option<&Arc<dyn ClientCertVerifier>>,
) -> ServerConfig {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("the provider has suites for both versions");
    let builder = match peers {
        Some(peers) => builder.with_client_cert_verifier(Arc::clone(peers)),
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

/// To other servers. Whether the server's certificate is valid is judged after the handshake.
fn outgoing(resolver: &Arc<SingleCertAndKey>, is_direct: bool) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("the provider has suites for both versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate::new()))
        .with_client_cert_resolver(Arc::clone(resolver) as _);
    // Each connection shows its certificate.
    config.resumption = Resumption::disabled();
    let purpose = if is_direct { Purpose::ServerDirect } else { Purpose::ServerStartTls };
    config.alpn_protocols = purpose.protocol().map(<[u8]>::to_vec).into_iter().collect();
    config
}

fn with_protocol(mut config: ServerConfig, purpose: Purpose) -> ServerConfig {
    config.alpn_protocols = purpose.protocol().map(<[u8]>::to_vec).into_iter().collect();
    config
}

#[cfg(test)]
mod tests {
    use super::Purpose::{Direct, Https, ServerDirect, StartTls};

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
            (ServerDirect, &["http/1.1"], ServerDirect),
        ] {
            let offered: Vec<_> = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
            assert_eq!(port.wanted(&offered), expected, "{port:?} {protocols:?}");
        }
    }
}
