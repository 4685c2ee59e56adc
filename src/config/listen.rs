//! `[listen]`: the addresses and ports for connections.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

use super::error::Problems;
use super::section::{Fields, section};
use super::value::{Addresses, Location, Machines, Origins, SomeOf, WebAddress};

section! {
    /// Addresses and ports for client connections.
    ///
    /// An address is written `"192.0.2.7:5222"` or `"[2001:db8::7]:5222"`; `"[::]:5222"`, or the
    /// bare port `5222`, means all interfaces, IPv4 and IPv6. If nothing is set and `localhost` is the
    /// only domain, the server listens on the loopback interface only.
    pub struct ListenConfig = "listen", given domains;

    /// Client connections with STARTTLS (RFC 6120 §5). TLS is required.
    c2s: Vec<SocketAddr> = everywhere(domains, 5222) => Addresses, Restart;

    /// Client connections with TLS from the first byte (XEP-0368). A client that asks for `http/1.1` by ALPN gets HTTP, as
    /// at `https`. The two may have the same port, for example 443: there a client that asks for nothing gets a stream.
    c2s_tls: Vec<SocketAddr> = everywhere(domains, 5223) => Addresses, Restart;

    /// Connections of other servers with STARTTLS (RFC 6120 §5). TLS is required.
    s2s: Vec<SocketAddr> = everywhere(domains, 5269) => Addresses, Restart;

    /// Connections of other servers with TLS from the first byte (XEP-0368).
    s2s_tls: Vec<SocketAddr> = everywhere(domains, 5270) => Addresses, Restart;

    /// HTTP without TLS, for a reverse proxy that does TLS: WebSocket clients (RFC 7395) at `/ws` and
    /// `/xmpp-websocket`, clients over BOSH (XEP-0124) at `/http-bind` and `/bosh`. Only the addresses in
    /// `proxies` are served here.
    http: Vec<SocketAddr> = loopback(7070) => Addresses, Restart;

    /// HTTPS: WebSocket clients (RFC 7395) at `/ws` and `/xmpp-websocket`, for example
    /// `wss://example.org:7443/ws`, and clients over BOSH (XEP-0124) at `/http-bind` and `/bosh`. A client that asks for
    /// `xmpp-client` by ALPN gets a stream, as at `c2s_tls`.
    https: Vec<SocketAddr> = everywhere(domains, 7443) => Addresses, Restart;

    /// HTTP without TLS for programs that watch the server: `/metrics` (OpenMetrics, for Prometheus),
    /// `/health/live` and `/health/ready`. For example `"127.0.0.1:7071"`. Do not let strangers reach it: the
    /// numbers tell a lot. If nothing is set, there is no such port.
    monitoring: Vec<SocketAddr> = Vec::new() => Addresses, Restart;

    /// External components (XEP-0114), without TLS: let nobody but them reach it. Openfire has 5275. If nothing is set and
    /// there is a `[[component]]`, it is port 5347 of the loopback interface.
    components: Vec<SocketAddr> = Vec::new() => Addresses, Restart;

    /// External components (XEP-0114) with TLS from the first byte, for components on other machines. They need the
    /// certificate of the first host, or of the host that they ask for by SNI. If nothing is set, there is no such port.
    components_tls: Vec<SocketAddr> = Vec::new() => Addresses, Restart;

    /// Proxy for bytestreams (XEP-0065, SOCKS5): clients that do not reach each other send files through it. If nothing
    /// is set, there is none.
    proxy65: Vec<SocketAddr> = everywhere(domains, 7777) => Addresses, Restart;

    /// Address of the proxy for bytestreams that clients are told. Set it if they reach it elsewhere than at their
    /// domain and the first port of `proxy65`.
    proxy65_address: Option<String> = None => Location, Restart;

    /// Trusted reverse proxies. The server believes that they do TLS, and takes the client's address
    /// from their `X-Forwarded-For`. A network, such as `"172.16.0.0/12"`, means all of its machines.
    proxies: Vec<IpNet> = vec![
        IpAddr::from(Ipv4Addr::LOCALHOST).into(),
        IpAddr::from(Ipv6Addr::LOCALHOST).into(),
    ] => Machines, Reload;

    /// Listeners to which the proxies in `proxies` begin each connection with a header of the PROXY protocol,
    /// version 1 or 2, as HAProxy (`send-proxy-v2`), nginx (`proxy_protocol on`) and load balancers do: it says
    /// where the client is. On these listeners, a connection of a proxy without a valid header is closed, and one
    /// from another address is a client's, without a header. On all others there is no header.
    proxy_protocol: Vec<&'static str> = Vec::new() => SomeOf(&NAMES), Reload;

    /// Addresses at which this server is reached from the internet. If they are set, `/.well-known/host-meta.json` tells
    /// clients and other servers all about the ports (XEP-0487), so that they need no DNS records. It does not if there is
    /// something that it cannot tell: `listen.websocket` or `listen.bosh` at another host, or `s2s.enabled` without
    /// `listen.s2s_tls`. Set them only if all reach the server there.
    public: Vec<IpNet> = Vec::new() => Machines, Reload;

    /// Web pages from which browsers may connect, as `https://chat.example.org`; `null` stands for
    /// pages without an origin, such as local files. An empty list means all: a page needs the password
    /// in any case, since no browser adds one by itself.
    origins: Vec<String> = Vec::new() => Origins, Reload;

    /// WebSocket address that clients find in `/.well-known/host-meta` (XEP-0156). Set it if clients
    /// connect through a reverse proxy. If it is not set, clients find the first address of `https`.
    websocket: Option<String> = None => WebAddress::WebSocket, Reload;

    /// Address for BOSH (XEP-0124) that clients find in `/.well-known/host-meta` (XEP-0156). If neither this nor
    /// `websocket` is set, clients find the first address of `https`.
    bosh: Option<String> = None => WebAddress::Bosh, Reload;

    /// Address to which WebSocket clients are sent when they open a stream here (RFC 7395 §3.6.1): when the service moves.
    /// Clients follow it only if it has TLS.
    see_other_uri: Option<String> = None => WebAddress::WebSocket, Reload;

    /// Address to which BOSH clients are sent when they begin a session here (XEP-0124 §17.2). Sessions that have begun go on.
    bosh_see_other_uri: Option<String> = None => WebAddress::Bosh, Reload;

    /// Address at which clients should reconnect to resume a session (XEP-0198 §5), if it is not the
    /// one they would use anyway.
    location: Option<String> = None => Location, Reload;
}

/// An option with addresses, what comes in there, and the addresses.
type Listener = (&'static str, &'static str, fn(&ListenConfig) -> &[SocketAddr]);

/// All of them: the only table of them here. `src/server/listeners.rs` says what serves each.
const LISTENERS: &[Listener] = &[
    ("c2s", "clients with STARTTLS", |listen| &listen.c2s),
    ("c2s_tls", "clients with TLS", |listen| &listen.c2s_tls),
    ("s2s", "other servers with STARTTLS", |listen| &listen.s2s),
    ("s2s_tls", "other servers with TLS", |listen| &listen.s2s_tls),
    ("http", "HTTP", |listen| &listen.http),
    ("https", "HTTPS", |listen| &listen.https),
    ("monitoring", "programs that watch the server", |listen| &listen.monitoring),
    ("components", "components", |listen| &listen.components),
    ("components_tls", "components with TLS", |listen| &listen.components_tls),
    ("proxy65", "files from client to client", |listen| &listen.proxy65),
];

/// The words of `proxy_protocol`.
const NAMES: [(&str, &str, &str); LISTENERS.len()] = {
    let mut names = [("", "", ""); LISTENERS.len()];
    let mut at = 0;
    while at < names.len() {
        let (name, about, _) = LISTENERS[at];
        names[at] = (name, name, about);
        at += 1;
    }
    names
};

/// All interfaces. Only the loopback interface if no served domain can be looked up from outside.
fn everywhere(domains: &[String], port: u16) -> Vec<SocketAddr> {
    if domains.iter().all(|domain| domain == "localhost") {
        return loopback(port);
    }
    vec![SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))]
}

pub(super) fn loopback(port: u16) -> Vec<SocketAddr> {
    vec![
        SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
    ]
}

/// The port for components, as other servers have it.
pub(super) const COMPONENTS: u16 = 5347;

/// Refuses one address for two protocols.
pub(super) fn check(listen: &ListenConfig, fields: &Fields<'_>, problems: &mut Problems<'_>) {
    let addresses = |(name, _, of): &Listener| (*name, of(listen));
    let listeners: Vec<_> = LISTENERS.iter().map(addresses).collect();
    for (i, (later, theirs)) in listeners.iter().enumerate() {
        for (earlier, ours) in &listeners[..i] {
            let pairs = ours.iter().flat_map(|a| theirs.iter().map(move |b| (a, b)));
            let is_shared = (*earlier, *later) == ("c2s_tls", "https");
            let overlapping = |(a, b): &(&_, &_)| overlap(a, b) && !(is_shared && a == b);
            let Some((a, b)) = pairs.into_iter().find(overlapping) else { continue };
            let at = fields.value_of(later).or_else(|| fields.value_of(earlier));
            problems.add(
                &at.unwrap_or_else(|| fields.at.clone()),
                format!("`{earlier}` has {a} and `{later}` has {b}, but a port has one protocol"),
                "choose another port for one of them".to_owned(),
            );
            return;
        }
    }
}

/// Whether two addresses overlap, so that a connection could be meant for both. Port 0 overlaps with
/// nothing: each time the system chooses another free port.
fn overlap(a: &SocketAddr, b: &SocketAddr) -> bool {
    let covers = |all: &SocketAddr, one: &SocketAddr| {
        all.ip() == one.ip() || (all.ip().is_unspecified() && (all.is_ipv6() || one.is_ipv4()))
    };
    a.port() == b.port() && a.port() != 0 && (covers(a, b) || covers(b, a))
}
