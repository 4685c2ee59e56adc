//! The certificate of another server: whether an authority that we trust has signed it, and for which domains it is
//! valid (RFC 6120 §13.7, RFC 9525).
//!
//! The same rules hold in both directions. Certificates of public authorities are made for servers (extended key usage
//! `serverAuth`), and servers show the same one when they connect; so the use as a client is not asked for.

use std::fmt;
use std::time::Duration;

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};

use super::TlsError;
use super::named::Named;
use super::names::sni_name;
use super::pem::read_certificates;
use super::provider::provider;
use super::x509::{Leaf, fingerprint, link};
use crate::config::S2sConfig;
use crate::payload::datetime::Timestamp;

/// Who may have signed the certificates of other servers.
#[derive(Debug)]
pub(super) struct Authorities(RootCertStore);

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CertificateFault {
    /// Its time is over.
    Expired,
    /// There is none.
    Missing,
    /// Its time has not come.
    NotYet,
    /// It does not name the domain.
    OtherName,
    /// Nobody that we trust has signed it.
    Untrusted,
    /// It cannot be read, or may not be used for a server.
    Unusable,
}

/// The certificate of another server, as it was judged when the handshake was made.
#[derive(Debug)]
pub struct PeerCertificate {
    pub(super) leaf: Option<Leaf>,
    pub(super) chain: Result<(), CertificateFault>,
    /// The certificate, and those that came with it.
    pub(super) sent: Vec<CertificateDer<'static>>,
    /// When it was judged.
    pub(super) judged: UnixTime,
    /// What the DNS says of it.
    pub(super) dane: Named,
    /// What the web site of the domain says of it.
    pub(super) posh: Named,
}

impl Authorities {
    /// Reads those of the system, and those of the configuration. None if there are no other servers to talk to.
    ///
    /// # Errors
    /// If the configured file cannot be used.
    pub(super) fn load(config: &S2sConfig) -> Result<Self, TlsError> {
        match config.enabled {
            true => Self::of_all(config),
            false => Ok(Self(RootCertStore::empty())),
        }
    }

    /// Reads those of the system, and those of the configuration, whether or not there are other servers to talk to.
    ///
    /// # Errors
    /// If the configured file cannot be used.
    pub(super) fn of_all(config: &S2sConfig) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        let of_system = rustls_native_certs::load_native_certs();
        for error in &of_system.errors {
            tracing::debug!(%error, "cannot read authorities of the system");
        }
        let (_, ignored) = roots.add_parsable_certificates(of_system.certs);
        if let Some(file) = config.authorities.as_deref() {
            for certificate in read_certificates(file)? {
                roots.add(certificate).map_err(|error| TlsError::Authority {
                    file: file.to_owned(),
                    cause: error.to_string(),
                })?;
            }
        }
        tracing::debug!(authorities = roots.len(), ignored, "authorities for other servers");
        if roots.is_empty() {
            tracing::warn!(
                "no certificate of another server is trusted: the system has no authorities \
                 (package ca-certificates), and `s2s.authorities` is not set"
            );
        }
        Ok(Self(roots))
    }

    pub(super) fn roots(&self) -> RootCertStore {
        self.0.clone()
    }

    /// Judges a certificate. `chain`: the certificate, and those that lead to its authority.
    pub(super) fn judge(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> PeerCertificate {
        let Some((own, between)) = chain.split_first() else {
            return PeerCertificate::none();
        };
        let leaf = Leaf::read(own).ok();
        let seconds = u64::try_from(now.as_micros() / 1_000_000).unwrap_or(0);
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let parsed = ParsedCertificate::try_from(own);
        let algorithms = provider().signature_verification_algorithms.all;
        let verified = parsed.and_then(|parsed| {
            let roots = &self.0;
            verify_server_cert_signed_by_trust_anchor(&parsed, roots, between, now, algorithms)
        });
        let chain = verified.map_err(|error| match error {
            Error::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. },
            ) => CertificateFault::Expired,
            Error::InvalidCertificate(
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
            ) => CertificateFault::NotYet,
            Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::BadSignature,
            ) => CertificateFault::Untrusted,
            _ => CertificateFault::Unusable,
        });
        let sent = std::iter::once(own).chain(between).map(|one| one.clone().into_owned());
        let sent = sent.collect();
        PeerCertificate { leaf, chain, sent, judged: now, ..PeerCertificate::none() }
    }
}

impl PeerCertificate {
    /// No certificate.
    #[must_use]
    pub fn none() -> Self {
        Self {
            leaf: None,
            chain: Err(CertificateFault::Missing),
            sent: Vec::new(),
            judged: UnixTime::since_unix_epoch(Duration::ZERO),
            dane: Named::default(),
            posh: Named::default(),
        }
    }

    /// Checks that it is valid for this domain: by its authority, or because the signed DNS (DANE) or the web site of
    /// the domain (POSH) names it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, domain: &str) -> Result<(), CertificateFault> {
        match self.own_fault(domain) {
            Some(fault) if !self.dane.knows(domain) && !self.posh.knows(domain) => Err(fault),
            _ => Ok(()),
        }
    }

    /// What is wrong with it for this domain, whatever others say of it.
    #[must_use]
    pub fn own_fault(&self, domain: &str) -> Option<CertificateFault> {
        if let Err(fault) = self.chain {
            return Some(fault);
        }
        let covers = sni_name(domain).is_ok_and(|ascii| {
            self.leaf.as_ref().is_some_and(|leaf| leaf.covers_server(&ascii, domain))
        });
        (!covers).then_some(CertificateFault::OtherName)
    }

    /// Checks that it is valid for the clients of this domain.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_for_clients(&self, domain: &str) -> Result<(), CertificateFault> {
        self.chain?;
        let ascii = sni_name(domain).map_err(|_| CertificateFault::OtherName)?;
        let covers = self.leaf.as_ref().is_some_and(|leaf| leaf.covers(&ascii, domain));
        if covers { Ok(()) } else { Err(CertificateFault::OtherName) }
    }

    /// The end of its validity, if less than 14 days are left.
    #[must_use]
    pub fn ends_soon(&self, now: Timestamp) -> Option<Timestamp> {
        self.leaf.as_ref().filter(|leaf| leaf.ends_soon(now)).map(|leaf| leaf.not_after)
    }

    /// The names in it, for people.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.leaf.as_ref().map(Leaf::named).unwrap_or_default()
    }

    /// Its fingerprint, as in [`CertificateFacts`](super::CertificateFacts).
    #[must_use]
    pub fn fingerprint(&self) -> Option<String> {
        self.leaf.as_ref().map(fingerprint)
    }

    /// The name of its issuer, and the end of its validity.
    #[must_use]
    pub fn issuer_and_end(&self) -> Option<(&str, Timestamp)> {
        self.leaf.as_ref().map(|leaf| (leaf.issuer.as_str(), leaf.not_after))
    }

    /// The certificates that were sent, that of the server first: the subject and the issuer of each, and the end of its
    /// validity.
    #[must_use]
    pub fn sent_chain(&self) -> Vec<(String, String, Timestamp)> {
        self.sent.iter().filter_map(|one| link(one)).collect()
    }

    /// One that was signed by somebody who is trusted, or not, for these names.
    #[cfg(test)]
    pub(crate) fn for_tests(names: &[&str], chain: Result<(), CertificateFault>) -> Self {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).expect("the names are valid");
        let leaf = Leaf::read(made.cert.der()).expect("it is a certificate");
        Self { leaf: Some(leaf), chain, ..Self::none() }
    }
}

impl CertificateFault {
    /// In words that continue "the certificate".
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Expired => "has expired",
            Self::Missing => "is missing",
            Self::NotYet => "is not valid yet",
            Self::OtherName => "does not name the domain",
            Self::Untrusted => "is of no trusted authority",
            Self::Unusable => "cannot be used",
        }
    }
}

impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the certificate {}", self.words())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_valid_for_the_domains_that_it_names() {
        let certificate = PeerCertificate::for_tests(&["c.example", "*.d.example"], Ok(()));
        for (domain, expected) in [
            ("c.example", Ok(())),
            ("rooms.d.example", Ok(())),
            ("d.example", Err(CertificateFault::OtherName)),
            ("a.rooms.d.example", Err(CertificateFault::OtherName)),
            ("rooms.c.example", Err(CertificateFault::OtherName)),
            ("not a domain", Err(CertificateFault::OtherName)),
        ] {
            assert_eq!(certificate.check(domain), expected, "{domain}");
        }
        let untrusted =
            PeerCertificate::for_tests(&["c.example"], Err(CertificateFault::Untrusted));
        assert_eq!(untrusted.check("c.example"), Err(CertificateFault::Untrusted));
        assert_eq!(PeerCertificate::none().check("c.example"), Err(CertificateFault::Missing));
    }
}
