//! Certificates of clients, by which they log in (SASL EXTERNAL, XEP-0178 §2).
//!
//! A certificate that is not valid does not end the handshake: such a client is like one without a certificate, and
//! can log in with its password. So the handshake proves only that the client has the key of its certificate; whether
//! the certificate is valid is checked after it, also when TLS is resumed.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};
use sha2::{Digest as _, Sha256};

use super::TlsError;
use super::pem::{read_certificates, read_revocation_lists};
use super::provider::provider;
use super::x509::Leaf;
use crate::config::AuthConfig;
use crate::jid::{BareJid, Jid};
use crate::payload::datetime::Timestamp;

/// The certificate authorities whose certificates clients may use.
#[derive(Debug)]
pub(super) struct ClientCertificates(Arc<dyn ClientCertVerifier>);

impl ClientCertificates {
    /// Reads the certificates of the authorities, and the lists of what they have revoked. `None` if clients are not
    /// asked for certificates.
    ///
    /// # Errors
    /// If a file cannot be read, or has something else in it.
    pub(super) fn load(config: &AuthConfig) -> Result<Option<Arc<Self>>, TlsError> {
        let Some(file) = config.certificate_authorities.as_deref() else { return Ok(None) };
        let broken = |cause: String| TlsError::Authority { file: file.to_owned(), cause };
        let mut roots = RootCertStore::empty();
        for certificate in read_certificates(file)? {
            roots.add(certificate).map_err(|error| broken(error.to_string()))?;
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        let verifier = match config.certificate_revocation_lists.as_deref() {
            None => builder.build().map_err(|error| broken(error.to_string()))?,
            Some(file) => {
                // Without a list, or with an old one, it is unknown what was revoked: such a certificate is refused.
                let with_lists = builder.with_crls(read_revocation_lists(file)?);
                with_lists.enforce_revocation_expiration().build().map_err(|error| {
                    TlsError::RevocationLists { file: file.to_owned(), cause: error.to_string() }
                })?
            }
        };
        Ok(Some(Arc::new(Self(verifier))))
    }

    /// The addresses in the certificate of a client (RFC 6120 §13.7.1.4), if it is valid now: bare addresses of
    /// accounts. `chain`: the certificate, and those that lead to its authority.
    pub(super) fn addresses(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> Vec<BareJid> {
        let Some((own, between)) = chain.split_first() else { return Vec::new() };
        let seconds = u64::try_from(now.as_micros() / 1_000_000).unwrap_or(0);
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        match self.0.verify_client_cert(own, between, now) {
            Ok(_) => named(own),
            Err(Error::InvalidCertificate(CertificateError::Revoked)) => {
                // Its authority has signed the addresses, so they can be believed.
                let jid = named(own).first().map(ToString::to_string);
                let certificate = fingerprint(own);
                tracing::warn!(jid, certificate, "a client has a certificate that was revoked");
                Vec::new()
            }
            Err(error) => {
                let certificate = fingerprint(own);
                tracing::info!(%error, certificate, "the certificate of a client is not valid");
                Vec::new()
            }
        }
    }
}

/// The addresses of accounts in a certificate.
fn named(certificate: &CertificateDer<'_>) -> Vec<BareJid> {
    let Ok(leaf) = Leaf::read(certificate) else { return Vec::new() };
    let named = leaf.xmpp_addresses().filter_map(|address| Jid::parse(address).ok());
    let accounts = named.filter(|jid| jid.local().is_some() && jid.resource().is_none());
    accounts.map(|jid| jid.to_bare()).take(MOST).collect()
}

/// SHA-256 of a certificate, in 64 digits.
pub(super) fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    Sha256::digest(certificate).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl ClientCertVerifier for ClientCertificates {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    /// Whether it is valid is checked after the handshake: see the module.
    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Addresses in a certificate that are looked at.
const MOST: usize = 16;
