//! What is outside of this program, as a trait, so that tests need neither DNS nor network.

use std::net::SocketAddr;

use async_trait::async_trait;
use rustls::pki_types::CertificateDer;

use crate::s2s::{Resolve, Unresolved};
use crate::tls::{PeerCertificate, Tlsa};

/// The DNS and the network.
#[async_trait]
pub(super) trait Outside: Resolve {
    /// The TLSA records of a name, in ASCII.
    async fn tlsa(&self, name: &str) -> Result<Vec<Tlsa>, Unresolved>;

    /// Whether the zone of a name is signed (DNSSEC).
    async fn is_signed(&self, name: &str) -> bool;

    /// Connects, and makes the TLS handshake, if there is one.
    async fn connect(&self, address: SocketAddr, kind: Kind<'_>) -> Result<Seen, Refusal>;
}

/// What is expected at a port.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind<'a> {
    /// A stream of this domain.
    Stream { domain: &'a str, is_server: bool, is_direct: bool },
    /// HTTPS of this host. A path: it is asked for.
    Https { host: &'a str, path: Option<&'a str> },
    /// A connection.
    Plain,
}

/// What was seen at a port.
#[derive(Debug)]
pub(super) struct Seen {
    /// The certificate, judged.
    pub(super) certificate: PeerCertificate,
    /// The certificate, and those that lead to its authority. Empty without TLS.
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// The status, and the beginning of head and body, of the answer to a request.
    pub(super) answer: Option<(u16, String)>,
}

/// Why nothing was seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    /// There is no connection.
    Closed(String),
    /// There is one, but not with what is expected.
    Other(String),
}
