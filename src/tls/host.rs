//! The certificate of one host, with what is derived from it.

use std::path::Path;
use std::sync::Arc;

use super::TlsError;
use super::certificate_files::self_signed;
use super::client_certificates::ClientCertificates;
use super::names::sni_name;
use super::pem::read_pair;
use super::server_configs::ServerConfigs;
use super::x509::{Leaf, fingerprint};
use crate::clock::Clock;
use crate::config::{Config, HostConfig};
use crate::payload::datetime::Timestamp;

/// The facts of a host's certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateFacts {
    /// The host as written in the configuration.
    pub domain: String,
    /// The fingerprint: SHA-256 of the DER, in the form of `openssl x509 -fingerprint -sha256`.
    pub sha256: String,
    /// The end of its validity.
    pub not_after: Timestamp,
    /// Whether it is self-signed: issuer and subject are the same.
    pub self_signed: bool,
}

/// A host's certificate and everything that follows from it.
#[derive(Debug)]
pub(super) struct Host {
    /// The domain in the form of SNI: lower case, the ASCII form of DNS.
    pub(super) name: String,
    pub(super) configs: ServerConfigs,
    pub(super) leaf: Leaf,
    pub(super) facts: CertificateFacts,
}

impl Host {
    pub(super) fn load(
        wanted: &HostConfig,
        config: &Config,
        clock: &Clock,
        clients: Option<&Arc<ClientCertificates>>,
    ) -> Result<Self, TlsError> {
        let domain = &wanted.domain;
        let name = sni_name(domain)?;
        let pair = match own_files(wanted)? {
            Some((certificate, key)) => read_pair(certificate, key)?,
            None => self_signed(&config.data.join("certs"), domain, &name, clock)?,
        };
        let facts = CertificateFacts {
            domain: domain.clone(),
            sha256: fingerprint(&pair.leaf),
            not_after: pair.leaf.not_after,
            self_signed: pair.leaf.self_signed,
        };
        for doubt in &pair.doubts {
            tracing::warn!(host = %domain, "{doubt}");
        }
        if !pair.leaf.covers(&name, domain) {
            tracing::warn!(host = %domain, "certificate does not name this host");
        }
        let configs = ServerConfigs::new(pair.key, clients)?;
        let host = Self { name, configs, leaf: pair.leaf, facts };
        host.warn_of_expiry(clock.now());
        Ok(host)
    }

    pub(super) fn warn_of_expiry(&self, now: Timestamp) {
        let CertificateFacts { domain, not_after, .. } = &self.facts;
        if *not_after <= now {
            tracing::warn!(host = %domain, until = %not_after, "certificate has expired");
        } else if self.leaf.ends_soon(now) {
            tracing::warn!(host = %domain, until = %not_after, "certificate expires soon");
        }
    }
}

/// The configured files of a host's certificate and key, if there are any.
pub(super) fn own_files(host: &HostConfig) -> Result<Option<(&Path, &Path)>, TlsError> {
    match (&host.certificate, &host.key) {
        (Some(certificate), key) => Ok(Some((certificate, key.as_ref().unwrap_or(certificate)))),
        (None, Some(_)) => Err(TlsError::KeyAlone { domain: host.domain.clone() }),
        (None, None) => Ok(None),
    }
}
