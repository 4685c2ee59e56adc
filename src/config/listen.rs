//! `[listen]`: where we wait for connections.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::error::Problems;
use super::kind::Addresses;
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

/// One address cannot be listened on twice.
pub(super) fn check(listen: &ListenConfig, fields: &Fields<'_>, problems: &mut Problems<'_>) {
    for address in listen.c2s.iter().filter(|address| address.port() != 0) {
        if listen.c2s_tls.contains(address) {
            let at = fields.value_of("c2s_tls").or_else(|| fields.value_of("c2s"));
            let help = "choose another port for one of them, for example 5223 for `c2s_tls`";
            problems.add(
                &at.unwrap_or_else(|| fields.at.clone()),
                format!("`c2s` and `c2s_tls` both have {address}"),
                help.to_owned(),
            );
        }
    }
}
