//! Asks others about the certificate of another server that is not valid by an authority: the signed DNS (DANE, RFC 7673), and
//! then the web site of the domain (POSH, RFC 7711).

use super::servers::Servers;
use crate::tls::{CertificateFault, PeerCertificate, ServerKey};

impl Servers {
    /// Asks, as long as that can make the certificate valid for this domain, and a valid one is needed. `is_anyway`: somebody
    /// wants to know, even if it is valid.
    pub(super) async fn ask_others(
        &self,
        domain: &str,
        certificate: &mut PeerCertificate,
        is_anyway: bool,
    ) {
        let rules = self.rules();
        let is_due = |certificate: &PeerCertificate| match certificate.check(domain) {
            Err(CertificateFault::Missing) => false,
            Err(_) => is_anyway || !rules.is_dialback_enough(domain),
            Ok(()) => is_anyway,
        };
        if is_due(certificate) && rules.has_dane(domain) {
            let keys = self.keys(domain).await;
            if certificate.note_dane(domain, keys.as_deref().map_err(|why| *why)) {
                tracing::info!(domain, "{}", BY_DNS);
            }
        }
        if is_due(certificate) && rules.has_posh(domain) {
            let named = self.fingerprints(domain).await;
            if certificate.note_posh(domain, named.as_deref().map_err(|why| *why)) {
                tracing::info!(domain, "{}", BY_WEB_SITE);
            }
        }
    }

    /// Whether the signed DNS, or the web site of the domain, names this certificate, which is not valid otherwise.
    pub(super) async fn is_named_by_others(
        &self,
        domain: &str,
        certificate: &PeerCertificate,
    ) -> bool {
        let (rules, mut dane, mut posh) = (self.rules(), "not asked", "not asked");
        if rules.has_dane(domain) {
            match self.keys(domain).await {
                Ok(keys) if certificate.is_named_by(domain, &keys) => {
                    tracing::info!(domain, "{}", BY_DNS);
                    return true;
                }
                Ok(_) => dane = "the TLSA records name another certificate",
                Err(why) => dane = why,
            }
        }
        if rules.has_posh(domain) {
            match self.fingerprints(domain).await {
                Ok(named) if certificate.has_fingerprint(&named) => {
                    tracing::info!(domain, "{}", BY_WEB_SITE);
                    return true;
                }
                Ok(_) => posh = "the web site names another certificate",
                Err(why) => posh = why,
            }
        }
        let why = certificate.check(domain).err().map_or("", CertificateFault::words);
        tracing::info!(from = domain, why, dane, posh, "another server is not believed");
        false
    }

    async fn keys(&self, domain: &str) -> Result<Vec<ServerKey>, &'static str> {
        let ascii = idna::domain_to_ascii(domain).map_err(|_| "this is no domain")?;
        self.network.resolver.keys(&ascii).await
    }
}

const BY_DNS: &str = "the signed DNS names the certificate of another server";
const BY_WEB_SITE: &str = "the web site of a domain names the certificate of its server";
