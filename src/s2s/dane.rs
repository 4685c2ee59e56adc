//! Asks the signed DNS for the certificate of another server (DANE, RFC 7673), if it is not valid otherwise.

use super::servers::Servers;
use crate::tls::{CertificateFault, PeerCertificate, ServerKey};

impl Servers {
    /// Asks, if that can make the certificate valid for this domain, and a valid one is needed. `is_anyway`: somebody wants to
    /// know, even if it is valid.
    pub(super) async fn ask_dns(
        &self,
        domain: &str,
        certificate: &mut PeerCertificate,
        is_anyway: bool,
    ) {
        let rules = self.rules();
        let is_due = match certificate.check(domain) {
            Err(CertificateFault::Missing) => false,
            Err(_) => is_anyway || !rules.is_dialback_enough(domain),
            Ok(()) => is_anyway,
        };
        if !is_due || !rules.has_dane(domain) {
            return;
        }
        let keys = self.keys(domain).await;
        if certificate.note_dane(domain, keys.as_deref().map_err(|why| *why)) {
            tracing::info!(domain, "the signed DNS names the certificate of another server");
        }
    }

    /// Whether the signed DNS names this certificate, which is not valid otherwise, for this domain.
    pub(super) async fn is_named_by_dns(
        &self,
        domain: &str,
        certificate: &PeerCertificate,
    ) -> bool {
        match self.keys(domain).await {
            Ok(keys) if certificate.is_named_by(domain, &keys) => {
                tracing::info!(domain, "the signed DNS names the certificate of another server");
                true
            }
            named => {
                let why = certificate.check(domain).err().map_or("", CertificateFault::words);
                let dane = named.err().unwrap_or("the TLSA records name another certificate");
                tracing::info!(from = domain, why, dane, "another server is not believed");
                false
            }
        }
    }

    async fn keys(&self, domain: &str) -> Result<Vec<ServerKey>, &'static str> {
        let ascii = idna::domain_to_ascii(domain).map_err(|_| "this is no domain")?;
        self.resolver.keys(&ascii).await
    }
}
