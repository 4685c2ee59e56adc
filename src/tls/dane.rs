//! Certificates that the signed DNS names (DANE: RFC 6698, RFC 7671, RFC 7673).
//!
//! It is one more way to be believed: a certificate that is valid by its authority is never refused because of a TLSA record.

use rustls::RootCertStore;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;

use super::named::Named;
use super::names::sni_name;
use super::peer::PeerCertificate;
use super::provider::provider;
use super::tlsa::Tlsa;

/// What a signed TLSA record says of a server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerKey {
    /// The name of the machine, in ASCII.
    pub target: String,
    /// The record.
    pub tlsa: Tlsa,
}

impl PeerCertificate {
    /// Notes what the DNS says of it for this domain. `keys`: those of the servers of the domain, from a signed DNS, or why there
    /// are none. Whether it is valid for the domain because of that.
    pub fn note_dane(&mut self, domain: &str, keys: Result<&[ServerKey], &'static str>) -> bool {
        self.dane = match keys {
            Err(why) => Named::Unknown(why),
            Ok(keys) if self.is_named_by(domain, keys) => Named::Known(domain.to_owned()),
            Ok(_) => Named::Unknown("the TLSA records name another certificate"),
        };
        self.dane.knows(domain)
    }

    /// The certificates that came with it are not needed any more.
    pub fn forget_chain(&mut self) {
        self.sent = Vec::new();
    }

    /// The authorities that came with it are not needed any more: only it itself may still be looked for in the DNS.
    pub fn forget_authorities(&mut self) {
        self.sent.truncate(1);
        self.sent.shrink_to_fit();
    }

    /// What the DNS says of it, in words. `None` if it was not asked.
    #[must_use]
    pub fn dane(&self) -> Option<&'static str> {
        self.dane.words()
    }

    /// Whether one of these keys is its own, or that of an authority above it.
    #[must_use]
    pub fn is_named_by(&self, domain: &str, keys: &[ServerKey]) -> bool {
        keys.iter().any(|key| self.is_named_by_one(domain, key))
    }

    fn is_named_by_one(&self, domain: &str, ServerKey { target, tlsa }: &ServerKey) -> bool {
        match tlsa.usage {
            // RFC 7671 §5.1: neither authorities nor names nor dates count.
            3 => tlsa.matches(&self.sent),
            2 => self.covers(domain, target) && self.has_authority(tlsa),
            // RFC 6698 §2.1.1: it must be valid in any case. It may name the machine alone.
            0 => self.chain.is_ok() && self.covers(domain, target) && self.has_authority(tlsa),
            1 => self.chain.is_ok() && self.covers(domain, target) && tlsa.matches(&self.sent),
            _ => false,
        }
    }

    /// RFC 7673 §4.1, §4.2: the certificate names the domain, or the machine to which the signed SRV record leads.
    fn covers(&self, domain: &str, target: &str) -> bool {
        [domain, target].into_iter().any(|name| {
            let Ok(ascii) = sni_name(name) else { return false };
            self.leaf.as_ref().is_some_and(|leaf| leaf.covers_server(&ascii, name))
        })
    }

    /// Whether one of the certificates that came with it is the authority of the record, and leads to it.
    fn has_authority(&self, tlsa: &Tlsa) -> bool {
        let Some((own, between)) = self.sent.split_first() else { return false };
        let mut roots = RootCertStore::empty();
        for one in between.iter().filter(|one| tlsa.matches_one(one)) {
            // One that cannot be read leads nowhere.
            drop(roots.add(one.clone()));
        }
        let Ok(parsed) = ParsedCertificate::try_from(own as &CertificateDer<'_>) else {
            return false;
        };
        let algorithms = provider().signature_verification_algorithms.all;
        let now = self.judged;
        !roots.is_empty()
            && verify_server_cert_signed_by_trust_anchor(&parsed, &roots, between, now, algorithms)
                .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::config::Config;
    use crate::payload::datetime::Timestamp;
    use crate::tls::CertificateFault;
    use crate::tls::peer::Authorities;

    fn key(target: &str, usage: u8, certificate: &[u8]) -> ServerKey {
        let data = Sha256::digest(certificate).to_vec();
        ServerKey { target: target.into(), tlsa: Tlsa { usage, selector: 0, matching: 1, data } }
    }

    /// The certificate of a server with this name, and that of its authority.
    fn chain(name: &str) -> Vec<CertificateDer<'static>> {
        let ca_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&ca_key).unwrap().der().clone();
        let issuer = Issuer::new(params, ca_key);
        let own = CertificateParams::new([name.to_owned()]).unwrap();
        vec![own.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap().der().clone(), ca]
    }

    fn judge(chain: &[CertificateDer<'_>]) -> PeerCertificate {
        let config = Config::parse("[[host]]\ndomain = 'a.example'\n", "the test").unwrap();
        let authorities = Authorities::load(&config.s2s).unwrap();
        authorities.judge(chain, Timestamp::from_micros(1_800_000_000_000_000))
    }

    #[test]
    fn a_certificate_is_believed_if_the_signed_dns_names_it() {
        let own = chain("xmpp.host.example");
        let other = chain("xmpp.host.example");
        let judged = judge(&own);
        assert_eq!(judged.check("c.example"), Err(CertificateFault::Untrusted));
        for (key, expected) in [
            (key("xmpp.host.example", 3, &own[0]), true),
            // Neither names nor authorities count.
            (key("other.example", 3, &own[0]), true),
            (key("xmpp.host.example", 3, &own[1]), false),
            (key("xmpp.host.example", 3, &other[0]), false),
            (key("xmpp.host.example", 2, &own[1]), true),
            // It names neither the domain nor the machine.
            (key("other.example", 2, &own[1]), false),
            (key("xmpp.host.example", 2, &other[1]), false),
            (key("xmpp.host.example", 2, &own[0]), false),
            // These need an authority that is trusted, too.
            (key("xmpp.host.example", 1, &own[0]), false),
            (key("xmpp.host.example", 0, &own[1]), false),
            (key("xmpp.host.example", 4, &own[0]), false),
        ] {
            let keys = std::slice::from_ref(&key);
            assert_eq!(judged.is_named_by("c.example", keys), expected, "{key:?}");
            assert_eq!(judge(&own).note_dane("c.example", Ok(keys)), expected, "{key:?}");
        }
        assert!(!judged.is_named_by("c.example", &[]));
        // An authority that has signed nothing of it is not enough.
        let mixed = [own[0].clone(), other[1].clone()];
        let keys = [key("xmpp.host.example", 2, &other[1])];
        assert!(!judge(&mixed).is_named_by("c.example", &keys));
        assert!(!PeerCertificate::none().is_named_by("c.example", &keys));
    }

    #[test]
    fn what_the_dns_says_holds_for_one_domain() {
        let own = chain("c.example");
        let mut judged = judge(&own);
        assert_eq!(judged.dane(), None);
        assert!(!judged.note_dane("c.example", Err("there is no signed DNS")));
        assert_eq!(judged.dane(), Some("there is no signed DNS"));
        assert!(judged.note_dane("c.example", Ok(&[key("x.example", 3, &own[0])])));
        assert_eq!((judged.dane(), judged.check("c.example")), (Some("valid"), Ok(())));
        assert_eq!(judged.check("d.example"), Err(CertificateFault::Untrusted));
        // Usage 0: an authority that leads to it, not just one that was sent.
        let (own, other) = (chain("c.example"), chain("c.example"));
        let mut judged = judge(&[own[0].clone(), own[1].clone(), other[1].clone()]);
        judged.chain = Ok(());
        assert!(judged.is_named_by("c.example", &[key("c.example", 0, &own[1])]));
        for foreign in [&other[1], &own[0]] {
            assert!(!judged.is_named_by("c.example", &[key("c.example", 0, foreign)]));
        }
        assert!(!judged.is_named_by("d.example", &[key("d.example", 0, &own[1])]));
        // A valid certificate for another name: usage 1 names the machine.
        let mut judged = judge(&own);
        judged.chain = Ok(());
        assert!(judged.is_named_by("d.example", &[key("c.example", 1, &own[0])]));
        assert!(!judged.is_named_by("d.example", &[key("e.example", 1, &own[0])]));
        assert!(!judged.note_dane("d.example", Ok(&[])));
        let keys = [key("c.example", 3, &own[0]), key("c.example", 2, &own[1])];
        assert!(keys.iter().all(|key| judged.is_named_by("c.example", std::slice::from_ref(key))));
        judged.forget_authorities();
        assert!(judged.is_named_by("c.example", &keys[..1]));
        assert!(!judged.is_named_by("c.example", &keys[1..]));
    }
}
