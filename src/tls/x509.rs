//! Reads certificates: their names, their validity, and their hash for channel binding.
//!
//! RFC 5280, RFC 6125 §6.4, RFC 6120 §13.7.1.2, RFC 5929 §4.1. A mistake that is easy to make: the hash
//! function for `tls-server-end-point` is that of the certificate's *own signature*, which its issuer chose,
//! not that of the handshake.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey;
use x509_parser::signature_algorithm::SignatureAlgorithm;
use x509_parser::time::ASN1Time;

use super::certificate_names::{Name, dns_matches, names};
use crate::payload::datetime::Timestamp;

/// The host's own certificate.
#[derive(Debug)]
pub(super) struct Leaf {
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    pub(super) self_signed: bool,
    /// The issuer, as text for people.
    pub(super) issuer: String,
    issuer_der: Vec<u8>,
    subject_der: Vec<u8>,
    kind: KeyKind,
    der: Vec<u8>,
    hash: Option<Hash>,
    names: Vec<Name>,
}

/// The hash function of a signature; MD5 and SHA-1 count as SHA-256 (RFC 5929 §4.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Hash {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// The kind of a public key.
#[derive(Debug)]
enum KeyKind {
    /// All clients support it.
    Usual,
    /// The server supports it, but many clients do not.
    Rare(&'static str),
    /// RSA, with this number of bits.
    Rsa(usize),
    /// The server does not support it.
    Other(String),
}

impl KeyKind {
    fn of(certificate: &X509Certificate<'_>) -> Self {
        let key = certificate.public_key();
        let id = key.algorithm.algorithm.to_id_string();
        let curve = key.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
        let curve = curve.map(|oid| oid.to_id_string()).unwrap_or_default();
        match (id.as_str(), curve.as_str(), key.parsed()) {
            ("1.2.840.113549.1.1.1", _, Ok(PublicKey::RSA(rsa))) => Self::Rsa(rsa.key_size()),
            // P-256 and P-384.
            ("1.2.840.10045.2.1", "1.2.840.10045.3.1.7" | "1.3.132.0.34", _) => Self::Usual,
            ("1.2.840.10045.2.1", "1.3.132.0.35", _) => Self::Rare("an ECDSA key on P-521"),
            ("1.2.840.10045.2.1", "1.3.132.0.10", _) => {
                Self::Other("an ECDSA key on secp256k1".to_owned())
            }
            ("1.2.840.10045.2.1", "", _) => {
                Self::Other("an ECDSA key with a curve that has no name".to_owned())
            }
            ("1.2.840.10045.2.1", other, _) => {
                Self::Other(format!("an ECDSA key on curve {other}"))
            }
            ("1.3.101.112", ..) => Self::Rare("an Ed25519 key"),
            ("1.3.101.113", ..) => Self::Other("an Ed448 key".to_owned()),
            ("1.2.840.10040.4.1", ..) => Self::Other("a DSA key".to_owned()),
            (other, ..) => Self::Other(format!("a key of kind {other}")),
        }
    }
}

/// The subject and the issuer of a certificate, as text for people, and the end of its validity. `None` if it cannot be read.
pub(super) fn link(der: &[u8]) -> Option<(String, String, Timestamp)> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let end = certificate.validity().not_after.timestamp().saturating_mul(1_000_000);
    let (subject, issuer) = (certificate.subject().to_string(), certificate.issuer().to_string());
    Some((subject, issuer, Timestamp::from_micros(end)))
}

impl Leaf {
    /// Reads a certificate.
    ///
    /// # Errors
    /// The error of the parser.
    pub(super) fn read(der: &[u8]) -> Result<Self, String> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|e| e.to_string())?;
        if !rest.is_empty() {
            return Err("there are bytes behind its end".into());
        }
        let at =
            |time: ASN1Time| Timestamp::from_micros(time.timestamp().saturating_mul(1_000_000));
        Ok(Self {
            not_before: at(certificate.validity().not_before),
            not_after: at(certificate.validity().not_after),
            issuer: certificate.issuer().to_string(),
            issuer_der: certificate.issuer().as_raw().to_vec(),
            subject_der: certificate.subject().as_raw().to_vec(),
            kind: KeyKind::of(&certificate),
            self_signed: certificate.issuer().as_raw() == certificate.subject().as_raw(),
            der: der.to_vec(),
            hash: signature_hash(&certificate),
            names: names(&certificate),
        })
    }

    /// Whether it names the host for its clients. `ascii`: the domain in the form of DNS; `domain`: in that of XMPP.
    pub(super) fn covers(&self, ascii: &str, domain: &str) -> bool {
        self.names(ascii, domain, |name| match name {
            Name::Client(pattern) => Some(pattern),
            _ => None,
        })
    }

    /// Whether it names the host for other servers, likewise (RFC 6120 §13.7.1.2).
    pub(super) fn covers_server(&self, ascii: &str, domain: &str) -> bool {
        self.names(ascii, domain, |name| match name {
            Name::Server(pattern) => Some(pattern),
            _ => None,
        })
    }

    fn names(&self, ascii: &str, domain: &str, srv: fn(&Name) -> Option<&String>) -> bool {
        let ip = super::names::ip_of(domain);
        self.names.iter().any(|name| match name {
            Name::Dns(pattern) => dns_matches(pattern, ascii),
            Name::Client(_) | Name::Server(_) => {
                srv(name).is_some_and(|pattern| dns_matches(pattern, ascii))
            }
            Name::Ip(bytes) => match ip {
                Some(std::net::IpAddr::V4(v4)) => bytes == &v4.octets(),
                Some(std::net::IpAddr::V6(v6)) => bytes == &v6.octets(),
                None => false,
            },
            Name::Xmpp(address) => address == domain || address == ascii,
        })
    }

    /// The addresses in it (RFC 6120 §13.7.1.4), as they are written.
    pub(super) fn xmpp_addresses(&self) -> impl Iterator<Item = &str> {
        self.names.iter().filter_map(|name| match name {
            Name::Xmpp(address) => Some(address.as_str()),
            Name::Dns(_) | Name::Client(_) | Name::Server(_) | Name::Ip(_) => None,
        })
    }

    /// Whether less than 14 days are left: enough time to act, and longer than a weekend.
    pub(super) fn ends_soon(&self, now: Timestamp) -> bool {
        self.not_after.as_micros() - now.as_micros() < 14 * DAY_MICROS
    }

    /// Whether this is the certificate of the issuer of `other`, by name.
    pub(super) fn has_issued(&self, other: &Self) -> bool {
        self.subject_der == other.issuer_der
    }

    /// The kind of its key, in words, if the TLS library cannot use it.
    pub(super) fn unspoken(&self) -> Option<String> {
        match &self.kind {
            KeyKind::Rsa(bits) if *bits < 2048 => {
                Some(format!("an RSA key of {bits} bits, which is too short"))
            }
            KeyKind::Rsa(bits) if *bits > 8192 => {
                Some(format!("an RSA key of {bits} bits, and 8192 is the most"))
            }
            KeyKind::Other(what) => Some(format!("{what}, which TLS here does not know")),
            KeyKind::Rsa(_) | KeyKind::Usual | KeyKind::Rare(_) => None,
        }
    }

    /// The kind of its key, in words, if many clients do not support it.
    pub(super) fn rarely_spoken(&self) -> Option<&'static str> {
        match self.kind {
            KeyKind::Rare(what) => Some(what),
            _ => None,
        }
    }

    /// The names in the certificate, as text for people.
    pub(super) fn named(&self) -> Vec<String> {
        let text = |name: &Name| match name {
            Name::Dns(name) | Name::Client(name) | Name::Server(name) | Name::Xmpp(name) => {
                name.clone()
            }
            Name::Ip(bytes) => match bytes.as_slice() {
                [a, b, c, d] => format!("{a}.{b}.{c}.{d}"),
                _ => "an IPv6 address".to_owned(),
            },
        };
        self.names.iter().map(text).collect()
    }

    /// The data for `tls-server-end-point`; `None` if that is undefined.
    pub(super) fn end_point(&self) -> Option<Vec<u8>> {
        Some(match self.hash? {
            Hash::Sha224 => Sha224::digest(&self.der).to_vec(),
            Hash::Sha256 => Sha256::digest(&self.der).to_vec(),
            Hash::Sha384 => Sha384::digest(&self.der).to_vec(),
            Hash::Sha512 => Sha512::digest(&self.der).to_vec(),
        })
    }
}

/// SHA-256 of the certificate in pairs of digits, `AB:CD:…`.
pub(super) fn fingerprint(leaf: &Leaf) -> String {
    let mut text = String::with_capacity(95);
    for (i, byte) in Sha256::digest(&leaf.der).iter().enumerate() {
        let colon = if i == 0 { "" } else { ":" };
        write!(text, "{colon}{byte:02X}").expect("writing to a string does not fail");
    }
    text
}

/// RFC 5929 §4.1. Signatures with Ed25519 and Ed448 have no separate hash function, so the binding is
/// undefined and not offered. (PostgreSQL does the same. GnuTLS uses SHA-512; if the two sides disagreed, the
/// login would fail.)
fn signature_hash(certificate: &X509Certificate<'_>) -> Option<Hash> {
    let algorithm = &certificate.signature_algorithm;
    let id = match SignatureAlgorithm::try_from(algorithm) {
        Ok(SignatureAlgorithm::RSASSA_PSS(params)) => params.hash_algorithm_oid().to_id_string(),
        _ => algorithm.algorithm.to_id_string(),
    };
    HASHES.iter().find(|(oid, _)| *oid == id).map(|(_, hash)| *hash)
}

/// The signature algorithms that have one hash function, and the hash functions (for RSASSA-PSS).
const HASHES: [(&str, Hash); 17] = [
    ("1.2.840.113549.1.1.4", Hash::Sha256),  // RSA with MD5
    ("1.2.840.113549.1.1.5", Hash::Sha256),  // RSA with SHA-1
    ("1.2.840.113549.1.1.14", Hash::Sha224), // RSA
    ("1.2.840.113549.1.1.11", Hash::Sha256),
    ("1.2.840.113549.1.1.12", Hash::Sha384),
    ("1.2.840.113549.1.1.13", Hash::Sha512),
    ("1.2.840.10045.4.1", Hash::Sha256), // ECDSA with SHA-1
    ("1.2.840.10045.4.3.1", Hash::Sha224),
    ("1.2.840.10045.4.3.2", Hash::Sha256),
    ("1.2.840.10045.4.3.3", Hash::Sha384),
    ("1.2.840.10045.4.3.4", Hash::Sha512),
    ("1.2.840.113549.2.5", Hash::Sha256), // MD5
    ("1.3.14.3.2.26", Hash::Sha256),      // SHA-1
    ("2.16.840.1.101.3.4.2.4", Hash::Sha224),
    ("2.16.840.1.101.3.4.2.1", Hash::Sha256),
    ("2.16.840.1.101.3.4.2.2", Hash::Sha384),
    ("2.16.840.1.101.3.4.2.3", Hash::Sha512),
];

pub(super) const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;
