//! A handshake that is made only to see the certificate of a server.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;

use super::any_certificate::AnyCertificate;
use super::peer::{Authorities, PeerCertificate};
use super::provider::provider;
use super::{Purpose, TlsError};
use crate::config::S2sConfig;
use crate::payload::datetime::Timestamp;

/// Looks at the certificates of servers, as somebody else would, who trusts the authorities of the system.
#[derive(Debug)]
pub struct Looker(Authorities);

impl Looker {
    /// Reads the authorities of the system, and those of `s2s.authorities`.
    ///
    /// # Errors
    /// If that file cannot be used.
    pub fn load(config: &S2sConfig) -> Result<Self, TlsError> {
        Ok(Self(Authorities::of_all(config)?))
    }

    /// The settings for a connection: it takes any certificate, and shows none.
    #[must_use]
    pub fn settings(purpose: Purpose) -> Arc<ClientConfig> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .expect("the provider has suites for both versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate::new()))
            .with_no_client_auth();
        config.alpn_protocols = purpose.protocol().map(<[u8]>::to_vec).into_iter().collect();
        Arc::new(config)
    }

    /// Judges a certificate. `chain`: the certificate, and those that lead to its authority.
    #[must_use]
    pub fn judge(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> PeerCertificate {
        self.0.judge(chain, now)
    }
}
