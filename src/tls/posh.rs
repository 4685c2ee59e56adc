//! Certificates that the web site of a domain names by their fingerprints (POSH: RFC 7711).

use sha2::{Digest as _, Sha256, Sha512};

use super::named::Named;
use super::peer::PeerCertificate;

/// The fingerprint of a certificate: the hash of its DER form (RFC 7711 §3.1).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fingerprint {
    /// By SHA-256.
    Sha256([u8; 32]),
    /// By SHA-512.
    Sha512([u8; 64]),
}

impl PeerCertificate {
    /// Notes what the web site says of it for this domain. `named`: the fingerprints there, or why there are none. Whether it is
    /// valid for the domain because of that.
    pub fn note_posh(&mut self, domain: &str, named: Result<&[Fingerprint], &'static str>) -> bool {
        self.posh = match named {
            Err(why) => Named::Unknown(why),
            Ok(named) if self.has_fingerprint(named) => Named::Known(domain.to_owned()),
            Ok(_) => Named::Unknown("the web site names another certificate"),
        };
        self.posh.knows(domain)
    }

    /// What the web site says of it, in words. `None` if it was not asked.
    #[must_use]
    pub fn posh(&self) -> Option<&'static str> {
        self.posh.words()
    }

    /// Whether one of these fingerprints is its own. Neither authorities nor names nor dates count (RFC 7711 §4).
    #[must_use]
    pub fn has_fingerprint(&self, named: &[Fingerprint]) -> bool {
        let Some(own) = self.sent.first() else { return false };
        named.iter().any(|named| match named {
            Fingerprint::Sha256(hash) => Sha256::digest(own)[..] == hash[..],
            Fingerprint::Sha512(hash) => Sha512::digest(own)[..] == hash[..],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::CertificateFault;

    #[test]
    fn a_fingerprint_names_one_certificate_for_one_domain() {
        let mut certificate = PeerCertificate::none();
        let named = [
            Fingerprint::Sha256(Sha256::digest(b"own").into()),
            Fingerprint::Sha512(Sha512::digest(b"own").into()),
        ];
        assert!(!certificate.has_fingerprint(&named) && certificate.posh().is_none());
        certificate.sent = vec![b"own".to_vec().into(), b"authority".to_vec().into()];
        for one in named {
            assert!(certificate.note_posh("a.example", Ok(&[one])));
            assert_eq!(certificate.check("a.example"), Ok(()));
            assert_eq!(certificate.check("b.example"), Err(CertificateFault::Missing));
            assert_eq!(certificate.posh(), Some("valid"));
        }
        let other = Fingerprint::Sha256(Sha256::digest(b"authority").into());
        assert!(!certificate.note_posh("a.example", Ok(&[other])));
        assert!(certificate.check("a.example").is_err());
        assert!(!certificate.note_posh("a.example", Err("no")));
        assert_eq!(certificate.posh(), Some("no"));
    }
}
