//! The TLS settings that belong to a certificate.
//!
//! Each certificate has its own settings and tickets, so a login is always bound to the certificate that the
//! client got: a ticket of one certificate never resumes a connection under another one, and a reload does
//! not affect a handshake that has begun.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::TlsError;
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

/// The settings of a certificate, for each purpose.
#[derive(Debug)]
pub(super) struct ServerConfigs {
    direct: Arc<ServerConfig>,
    https: Arc<ServerConfig>,
    starttls: Arc<ServerConfig>,
}

impl ServerConfigs {
    /// TLS 1.2 and 1.3, ECDHE with AEAD, stateless tickets, no 0-RTT, no client certificates.
    ///
    /// With STARTTLS, protocols that a client offers (ALPN) are ignored. Otherwise a client that offers
    /// protocols must offer the right one, or gets `no_application_protocol` (RFC 7301 §3.2). A client that
    /// offers none is accepted (XEP-0368 §3).
    ///
    /// # Errors
    /// If the operating system provides no random numbers for the tickets.
    pub(super) fn new(key: CertifiedKey) -> Result<Self, TlsError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .expect("the provider has suites for both versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(|_| TlsError::Random)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 1;
        // Early data could be replayed, and there is no channel binding before the end of the handshake.
        config.max_early_data_size = 0;
        let speaking = |protocol: &[u8]| {
            let mut config = config.clone();
            config.alpn_protocols = vec![protocol.to_vec()];
            Arc::new(config)
        };
        Ok(Self {
            direct: speaking(b"xmpp-client"),
            https: speaking(b"http/1.1"),
            starttls: Arc::new(config.clone()),
        })
    }

    pub(super) fn of(&self, purpose: Purpose) -> &Arc<ServerConfig> {
        match purpose {
            Purpose::Direct => &self.direct,
            Purpose::Https => &self.https,
            Purpose::StartTls => &self.starttls,
        }
    }
}
