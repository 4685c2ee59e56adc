//! Which domains are ours, and where an address lives.
//!
//! A *host* is a domain that the configuration names; only a host has accounts. A *service* has a
//! domain of its own below each host (`rooms.<host>`) and no accounts. Both are *ours*: this server
//! answers for them and may send in their name. Every other domain is *remote*.

use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use crate::jid::{BareJid, FullJid, Jid, JidError};

/// Where an address lives, judged by the address alone: whether the account or the session exists is
/// not looked up.
#[derive(Debug)]
pub enum Destination<'a> {
    /// An account of a host: `local@host`.
    Account(&'a Host, BareJid),
    /// A host itself: `host`, also `host/resource`.
    Host(&'a Host),
    /// A domain that is not ours.
    Remote,
    /// A service, or an address at its domain: `rooms.host`, `room@rooms.host/nick`.
    Service(&'a ServiceDomain),
    /// A session of an account: `local@host/resource`.
    Session(&'a Host, FullJid),
}

/// A domain that the configuration names. It has accounts.
#[derive(Clone, Debug)]
pub struct Host {
    /// The domain, prepared.
    pub domain: SmolStr,
    /// The same as an address.
    pub jid: Jid,
}

/// The domain of a service below one host.
#[derive(Clone, Debug)]
pub struct ServiceDomain {
    /// The domain, prepared: `rooms.<host>`.
    pub domain: SmolStr,
    /// The same as an address.
    pub jid: Jid,
    /// The host that it belongs to.
    pub host: Host,
    /// Which service it is: its place in the registry ([`super::Registry::service_at`]).
    pub(super) service: usize,
}

/// A domain that is ours.
#[derive(Clone, Copy, Debug)]
pub enum OurDomain<'a> {
    /// It has accounts.
    Host(&'a Host),
    /// It has none.
    Service(&'a ServiceDomain),
}

/// Why the domains cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum DomainError {
    /// A configured domain is not a domain.
    #[error("a configured domain is invalid: {0}")]
    Invalid(#[from] JidError),
    /// Two hosts or services want the same domain.
    #[error("the domain {0} is used twice: by two hosts, two services, or a host and a service")]
    Taken(SmolStr),
}

/// All domains that are ours, found by name.
#[derive(Debug)]
pub(super) struct Domains {
    hosts: Vec<Host>,
    services: Vec<ServiceDomain>,
    by_name: FxHashMap<SmolStr, Place>,
}

/// The index of a domain in its list.
#[derive(Clone, Copy, Debug)]
enum Place {
    Host(usize),
    Service(usize),
}

impl Domains {
    /// The hosts with these names, and a domain below each of them for each service, by the prefixes of
    /// the services.
    ///
    /// # Errors
    /// If a name is invalid, or used twice.
    pub(super) fn new(hosts: &[&str], services: &[&str]) -> Result<Self, DomainError> {
        let mut this =
            Self { hosts: Vec::new(), services: Vec::new(), by_name: FxHashMap::default() };
        for name in hosts {
            let jid = Jid::domain_only(name)?;
            let host = Host { domain: SmolStr::new(jid.domain()), jid };
            this.enter(&host.domain, Place::Host(this.hosts.len()))?;
            this.hosts.push(host);
        }
        for host in this.hosts.clone() {
            for (service, prefix) in services.iter().enumerate() {
                let jid = Jid::domain_only(&format!("{prefix}.{}", host.domain))?;
                let domain = SmolStr::new(jid.domain());
                this.enter(&domain, Place::Service(this.services.len()))?;
                this.services.push(ServiceDomain { domain, jid, host: host.clone(), service });
            }
        }
        Ok(this)
    }

    fn enter(&mut self, domain: &SmolStr, place: Place) -> Result<(), DomainError> {
        match self.by_name.insert(domain.clone(), place) {
            None => Ok(()),
            Some(_) => Err(DomainError::Taken(domain.clone())),
        }
    }

    /// In the order of the configuration.
    pub(super) fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Host by host.
    pub(super) fn services(&self) -> &[ServiceDomain] {
        &self.services
    }

    pub(super) fn find(&self, domain: &str) -> Option<OurDomain<'_>> {
        Some(match *self.by_name.get(domain)? {
            Place::Host(at) => OurDomain::Host(&self.hosts[at]),
            Place::Service(at) => OurDomain::Service(&self.services[at]),
        })
    }

    pub(super) fn destination(&self, to: &Jid) -> Destination<'_> {
        match self.find(to.domain()) {
            None => Destination::Remote,
            Some(OurDomain::Service(at)) => Destination::Service(at),
            Some(OurDomain::Host(host)) => match (to.local(), to.to_full()) {
                (None, _) => Destination::Host(host),
                (Some(_), Some(full)) => Destination::Session(host, full),
                (Some(_), None) => Destination::Account(host, to.to_bare()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DomainError, Domains, OurDomain};
    use crate::jid::Jid;

    fn domains(hosts: &[&str]) -> Result<Domains, DomainError> {
        Domains::new(hosts, &["rooms"])
    }

    #[test]
    fn an_address_lives_where_its_domain_says() {
        let domains = domains(&["a.example", "b.example"]).unwrap();
        let of = |address: &str| {
            let found = format!("{:?}", domains.destination(&Jid::parse(address).unwrap()));
            found.split(['(', ' ']).next().unwrap().to_owned()
        };
        for (address, expected) in [
            ("a.example", "Host"),
            ("b.example/home", "Host"),
            ("romeo@a.example", "Account"),
            ("romeo@b.example/orchard", "Session"),
            ("rooms.a.example", "Service"),
            ("rooms.b.example/home", "Service"),
            ("garden@rooms.b.example", "Service"),
            ("garden@rooms.b.example/romeo", "Service"),
            ("c.example", "Remote"),
            ("romeo@c.example/orchard", "Remote"),
            ("rooms.c.example", "Remote"),
            ("garden@other.a.example", "Remote"),
        ] {
            assert_eq!(of(address), expected, "{address}");
        }
    }

    #[test]
    fn a_service_is_ours_but_has_no_accounts() {
        let domains = domains(&["a.example"]).unwrap();
        assert!(matches!(domains.find("a.example"), Some(OurDomain::Host(_))));
        assert!(matches!(domains.find("rooms.a.example"), Some(OurDomain::Service(_))));
        assert!(domains.find("example").is_none() && domains.find("c.example").is_none());
        let [rooms] = domains.services() else { panic!("one host, one service") };
        assert_eq!((&*rooms.domain, &*rooms.host.domain), ("rooms.a.example", "a.example"));
    }

    #[test]
    fn a_domain_is_used_once() {
        let taken = |hosts: &[&str]| match domains(hosts) {
            Err(DomainError::Taken(domain)) => domain.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(taken(&["a.example", "rooms.a.example"]), "rooms.a.example");
        assert_eq!(taken(&["rooms.a.example", "a.example"]), "rooms.a.example");
        assert_eq!(taken(&["a.example", "A.example"]), "a.example");
        assert!(matches!(domains(&["a@b"]), Err(DomainError::Invalid(_))));
    }
}
