//! `[listen]`: where we wait for connections.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::error::Problems;
use super::kind::{Addresses, Location};
use super::section::{Fields, section};

section! {
    /// Where we wait for connections of clients.
    ///
    /// An address is written `"192.0.2.7:5222"` or `"[2001:db8::7]:5222"`; `"[::]:5222"`, or the
    /// bare port `5222`, means all interfaces, IPv4 and IPv6. If nothing is written and `localhost`
    /// is the only domain, we listen on the loopback interface only.
    pub struct ListenConfig = "listen", given domains;

    /// Client connections that begin in the clear and turn to TLS by STARTTLS (RFC 6120 §5).
    /// TLS is not optional.
    c2s: Vec<SocketAddr> = everywhere(domains, 5222) => Addresses, Restart;

    /// Client connections with TLS from the first byte (XEP-0368).
    c2s_tls: Vec<SocketAddr> = everywhere(domains, 5223) => Addresses, Restart;

    /// Where clients are told to come back to after they have lost their connection (XEP-0198 §5),
    /// if it is not where they would go by themselves.
    location: Option<String> = None => Location, Reload;
}

/// All interfaces; the loopback interface if nobody else could look us up anyway.
fn everywhere(domains: &[String], port: u16) -> Vec<SocketAddr> {
    if domains.iter().all(|domain| domain == "localhost") {
        return vec![
            SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
        ];
    }
    vec![SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))]
}

/// A port has one protocol.
pub(super) fn check(listen: &ListenConfig, fields: &Fields<'_>, problems: &mut Problems<'_>) {
    let pairs = listen.c2s.iter().flat_map(|c2s| listen.c2s_tls.iter().map(move |tls| (c2s, tls)));
    let Some((c2s, tls)) = pairs.into_iter().find(|(c2s, tls)| overlap(c2s, tls)) else { return };
    let at = fields.value_of("c2s_tls").or_else(|| fields.value_of("c2s"));
    problems.add(
        &at.unwrap_or_else(|| fields.at.clone()),
        format!("`c2s` has {c2s} and `c2s_tls` has {tls}, but a port has one protocol"),
        "choose another port for one of them".to_owned(),
    );
}

/// A connection could be meant for both. Port 0 is any free one, each time another.
fn overlap(a: &SocketAddr, b: &SocketAddr) -> bool {
    let covers = |all: &SocketAddr, one: &SocketAddr| {
        all.ip() == one.ip() || (all.ip().is_unspecified() && (all.is_ipv6() || one.is_ipv4()))
    };
    a.port() == b.port() && a.port() != 0 && (covers(a, b) || covers(b, a))
}
