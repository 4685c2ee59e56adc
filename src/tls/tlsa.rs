//! TLSA records: the keys of a server, as the DNS tells them (RFC 6698, RFC 7671, RFC 7673).

use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256, Sha512};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// A TLSA record. Numbers as in RFC 6698 §7.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tlsa {
    /// 0 and 2: one of the certificates above that of the server; 1 and 3: that of the server itself.
    pub usage: u8,
    /// 0: the whole certificate; 1: its public key.
    pub selector: u8,
    /// 0: the bytes themselves; 1: their SHA-256; 2: their SHA-512.
    pub matching: u8,
    /// What is compared.
    pub data: Vec<u8>,
}

impl Tlsa {
    /// Whether one of these certificates is what the record says. `chain`: that of the server, and those that lead to
    /// its authority.
    #[must_use]
    pub fn matches(&self, chain: &[CertificateDer<'_>]) -> bool {
        let certificates = match self.usage {
            1 | 3 => chain.get(..1).unwrap_or_default(),
            0 | 2 => chain,
            _ => return false,
        };
        certificates.iter().any(|certificate| self.matches_one(certificate))
    }

    /// Whether this certificate is the one that the record says, whatever its usage.
    pub(super) fn matches_one(&self, certificate: &[u8]) -> bool {
        let selected = match self.selector {
            0 => Some(certificate.to_vec()),
            1 => public_key(certificate),
            _ => None,
        };
        let Some(selected) = selected else { return false };
        match self.matching {
            0 => self.data == selected,
            1 => self.data == Sha256::digest(&selected).as_slice(),
            2 => self.data == Sha512::digest(&selected).as_slice(),
            _ => false,
        }
    }
}

/// SHA-256 of the public key in a certificate, in hexadecimal digits: what a record `3 1 1` says, which RFC 7671 §5.1
/// recommends. `None` if the certificate cannot be read.
#[must_use]
pub fn public_key_hash(certificate: &CertificateDer<'_>) -> Option<String> {
    let hash = Sha256::digest(public_key(certificate)?);
    Some(hash.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn public_key(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Some(certificate.public_key().raw.to_vec())
}

#[cfg(test)]
mod tests {
    use rcgen::{KeyPair, PublicKeyData as _};

    use super::*;

    #[test]
    fn a_record_matches_the_certificate_that_it_names() {
        let made = || {
            let key = KeyPair::generate().unwrap();
            let params = rcgen::CertificateParams::new(["c.example".to_owned()]).unwrap();
            (params.self_signed(&key).unwrap().der().clone(), key.subject_public_key_info())
        };
        let ((leaf, key), (above, _)) = (made(), made());
        let chain = [leaf.clone(), above.clone()];
        let of = |usage, selector, matching, data: &[u8]| Tlsa {
            usage,
            selector,
            matching,
            data: data.to_vec(),
        };
        for (record, expected) in [
            (of(3, 1, 1, &Sha256::digest(&key)), true),
            (of(3, 1, 2, &Sha512::digest(&key)), true),
            (of(3, 1, 0, &key), true),
            (of(1, 0, 1, &Sha256::digest(&leaf)), true),
            (of(2, 0, 1, &Sha256::digest(&above)), true),
            (of(0, 0, 0, &above), true),
            // The certificate above is not that of the server.
            (of(3, 0, 1, &Sha256::digest(&above)), false),
            (of(3, 0, 1, &Sha256::digest(&key)), false),
            (of(3, 1, 2, &Sha256::digest(&key)), false),
            (of(4, 1, 1, &Sha256::digest(&key)), false),
            (of(3, 2, 1, &Sha256::digest(&key)), false),
            (of(3, 1, 3, &Sha256::digest(&key)), false),
            (of(3, 1, 1, b""), false),
        ] {
            assert_eq!(record.matches(&chain), expected, "{record:?}");
            assert!(!record.matches(&[]));
        }
        let hash = public_key_hash(&leaf).unwrap();
        assert_eq!(hash.len(), 64);
        assert!(hash.starts_with(&format!("{:02x}", Sha256::digest(&key)[0])));
        assert_eq!(public_key_hash(&CertificateDer::from(vec![0, 1])), None);
    }
}
