//! Other servers that a script plays: how the server under test finds them, and connects to them in memory.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::io::DuplexStream;
use waxwing::s2s::{Connect, Connected, Network, Resolve, Srv, Unresolved};

use super::authority::{Authority, Pair};
use super::script::{Certificate, Persona, Script, Transport};

/// The servers of a script, by domain. DNS knows no others.
pub(crate) struct Neighbours(BTreeMap<String, Neighbour>);

/// A server with an address of its own.
struct Neighbour {
    address: SocketAddr,
    /// The connections that nobody has taken yet.
    came: Mutex<VecDeque<DuplexStream>>,
}

impl Neighbours {
    /// Those that the script names.
    pub(crate) fn of(script: &Script) -> Arc<Self> {
        let mut all = BTreeMap::new();
        let servers = script.clients.iter().filter(|c| c.transport == Transport::Server);
        for domain in
            servers.flat_map(|c| [c.bare()].into_iter().chain(c.serves.iter().map(|d| &**d)))
        {
            let last = u8::try_from(all.len() + 1).expect("few servers");
            let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), 5269);
            all.entry(domain.to_owned()).or_insert(Neighbour { address, came: Mutex::default() });
        }
        Arc::new(Self(all))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the server under test has as its network.
    pub(crate) fn network(this: &Arc<Self>) -> Network {
        Network { resolver: Arc::clone(this) as _, connector: Arc::clone(this) as _ }
    }

    /// The next connection to the server of this domain, if there is one already.
    pub(crate) fn accept(&self, domain: &str) -> Option<DuplexStream> {
        self.0.get(domain)?.came.lock().pop_front()
    }
}

#[async_trait]
impl Resolve for Neighbours {
    async fn srv(&self, _: &str) -> Result<Vec<Srv>, Unresolved> {
        Ok(Vec::new())
    }

    async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Unresolved> {
        Ok(self.0.get(name).map(|one| one.address.ip()).into_iter().collect())
    }
}

#[async_trait]
impl Connect for Neighbours {
    /// A server of the script takes each connection, as a kernel does. Whether it answers is up to the script.
    async fn connect(&self, address: SocketAddr) -> io::Result<Connected> {
        let there = self.0.values().find(|one| one.address == address);
        let there = there.ok_or(io::ErrorKind::ConnectionRefused)?;
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        there.came.lock().push_back(theirs);
        Ok(Connected { io: Box::new(ours), own: None })
    }
}

/// Signs the certificates of all scripts.
pub(crate) fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(Authority::new)
}

/// The certificate that somebody has, if it has one.
pub(crate) fn certificate_of(persona: &Persona) -> Option<Pair> {
    let of = persona.certificate.as_ref()?;
    Some(match of {
        Certificate::Of(domains) => {
            authority().certify(&domains.iter().map(String::as_str).collect::<Vec<_>>())
        }
        Certificate::CommonName(domain) => authority().certify_common_name(domain),
        Certificate::Expired(domain) => authority().certify_until(&[domain], 2020),
        Certificate::SelfSigned(domain) => Pair::self_signed(domain),
        Certificate::Unknown(domain) => Authority::new().certify(&[domain]),
    })
}
