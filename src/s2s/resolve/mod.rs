//! Where the server of a domain is (RFC 6120 §3.2, XEP-0368 §3, RFC 2782).

mod dane;
mod dns;
mod order;
mod targets;

use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;

use crate::tls::ServerKey;

pub use dns::Dns;
pub(super) use targets::{ip_of, targets};

/// Asks the DNS. A table in tests.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// The SRV records of a name, in ASCII. Empty if there are none.
    ///
    /// # Errors
    /// [`Unresolved`]: nobody knows whether there are any.
    async fn srv(&self, name: &str) -> Result<Vec<Srv>, Unresolved>;

    /// The addresses of a name, in ASCII. Empty if there are none.
    ///
    /// # Errors
    /// [`Unresolved`]: nobody knows whether there are any.
    async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Unresolved>;

    /// The keys of the servers of a domain, in ASCII, as the signed DNS tells them (RFC 7673 §3). Nobody may have forged
    /// them on the way.
    ///
    /// # Errors
    /// Why there are none, in words that continue "the certificate is not known by DANE".
    async fn keys(&self, _domain: &str) -> Result<Vec<ServerKey>, &'static str> {
        Err("there is no signed DNS")
    }

    /// Whether [`Resolve::keys`] may tell any: signatures can be checked.
    fn has_keys(&self) -> bool {
        false
    }
}

/// The DNS does not answer, or answers with an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unresolved;

/// An SRV record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Srv {
    /// The smallest is tried first.
    pub priority: u16,
    /// The share of this record among those with the same priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The name of the machine, in ASCII, without a dot at the end. Empty: the service is not offered.
    pub target: String,
}

/// Where a server may be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Target {
    pub(super) place: Place,
    /// TLS begins with the first byte (XEP-0368).
    pub(super) is_direct: bool,
    /// DNS says nothing of a server: it may be at the domain itself (RFC 6120 §3.2.2).
    pub(super) is_guess: bool,
}

/// A machine and a port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Place {
    Address(SocketAddr),
    Name(String, u16),
}
