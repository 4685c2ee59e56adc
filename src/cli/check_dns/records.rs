//! Which services have SRV records, and lines for a zone file.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use crate::config::Config;

/// A service with SRV records.
#[derive(Clone, Debug)]
pub(super) struct Service {
    /// `_xmpp-client`.
    pub(super) name: &'static str,
    /// Who looks for it.
    pub(super) what: &'static str,
    /// The option with the addresses at which it is offered.
    pub(super) option: &'static str,
    /// The ports at which this server offers it. Empty: it does not.
    pub(super) ports: Vec<u16>,
    /// The port at which clients and servers try the domain itself if there are no records.
    pub(super) usual: Option<u16>,
    pub(super) is_server: bool,
    pub(super) is_direct: bool,
    /// Clients without this record can use STARTTLS instead.
    pub(super) has_other: bool,
}

/// The services of this configuration, for clients or for other servers (RFC 6120 §3.2.1, XEP-0368 §3).
pub(super) fn services(config: &Config, is_server: bool) -> [Service; 2] {
    let ports = |addresses: &[SocketAddr]| {
        // Port 0: the system chooses one, and nobody knows it before.
        let known = addresses.iter().map(SocketAddr::port).filter(|port| *port > 0);
        each_once(known)
    };
    let listen = &config.listen;
    if is_server {
        let of = |addresses: &[SocketAddr]| {
            if config.s2s.enabled { ports(addresses) } else { Vec::new() }
        };
        let servers = Service {
            name: "_xmpp-server",
            what: "other servers",
            option: "listen.s2s",
            ports: of(&listen.s2s),
            usual: Some(5269),
            is_server,
            is_direct: false,
            has_other: false,
        };
        let direct = Service {
            name: "_xmpps-server",
            what: "other servers that want TLS from the first byte",
            option: "listen.s2s_tls",
            ports: of(&listen.s2s_tls),
            usual: None,
            is_server,
            is_direct: true,
            has_other: !servers.ports.is_empty(),
        };
        return [servers, direct];
    }
    let clients = Service {
        name: "_xmpp-client",
        what: "clients",
        option: "listen.c2s",
        ports: ports(&listen.c2s),
        usual: Some(5222),
        is_server,
        is_direct: false,
        has_other: false,
    };
    let direct = Service {
        name: "_xmpps-client",
        what: "clients that want TLS from the first byte",
        option: "listen.c2s_tls",
        ports: ports(&listen.c2s_tls),
        usual: None,
        is_server,
        is_direct: true,
        has_other: !clients.ports.is_empty(),
    };
    [clients, direct]
}

/// The values in their order, each of them once.
pub(super) fn each_once<T: PartialEq>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut all = Vec::new();
    for value in values {
        if !all.contains(&value) {
            all.push(value);
        }
    }
    all
}

/// Lines for a zone file, as they are found to be missing.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// Name and port.
    srv: Vec<(String, u16)>,
    /// Names without an address of IPv4, and without one of IPv6.
    v4: Vec<String>,
    v6: Vec<String>,
    /// Names of keys.
    keys: Vec<(String, bool)>,
    /// The hash of the key.
    hash: Option<String>,
    /// The machine to which other records lead.
    target: Option<String>,
}

impl Records {
    pub(super) fn srv(&mut self, name: &str, port: u16) {
        self.srv.push((name.to_owned(), port));
    }

    /// Other records lead to this machine.
    pub(super) fn target(&mut self, name: &str) {
        self.target.get_or_insert_with(|| name.to_owned());
    }

    pub(super) fn address(&mut self, name: &str, is_v6: bool) {
        let names = if is_v6 { &mut self.v6 } else { &mut self.v4 };
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }

    /// The key of a machine and port has no record. `is_signed`: nothing is missing for it to be believed (RFC 7673).
    pub(super) fn key(&mut self, name: &str, is_signed: bool) {
        self.keys.push((name.to_owned(), is_signed));
    }

    /// SHA-256 of the public key, in hexadecimal digits.
    pub(super) fn hash(&mut self, hash: &str) {
        self.hash.get_or_insert_with(|| hash.to_owned());
    }

    /// `public`: the addresses of this server, as far as they are configured.
    pub(super) fn lines(self, public: &[IpNet]) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, port) in &self.srv {
            let domain = name.split_once("._tcp.").map_or(name.as_str(), |(_, domain)| domain);
            let target = self.target.as_deref().unwrap_or(domain);
            lines.push(format!("{name}. {TTL} IN SRV 0 5 {port} {target}."));
        }
        let of = |is_v6: bool| {
            let single = public.iter().filter(|net| net.prefix_len() == net.max_prefix_len());
            let known: Vec<IpAddr> =
                single.map(IpNet::addr).filter(|ip| ip.is_ipv6() == is_v6).collect();
            known
        };
        let kinds = [
            (&self.v4, "A", of(false), "192.0.2.1      ; the IPv4 address of this machine"),
            (&self.v6, "AAAA", of(true), "2001:db8::1    ; its IPv6 address, if it has one"),
        ];
        for (names, kind, known, example) in kinds {
            for name in names {
                lines.extend(known.iter().map(|ip| format!("{name}. {TTL} IN {kind} {ip}")));
                if known.is_empty() {
                    lines.push(format!("{name}. {TTL} IN {kind} {example}"));
                }
            }
        }
        let Some(hash) = self.hash else { return lines };
        let tlsa = |name: &str| format!("{name}. {TTL} IN TLSA 3 1 1 {hash}");
        let (signed, unsigned): (Vec<_>, Vec<_>) =
            self.keys.iter().partition(|(_, signed)| *signed);
        lines.extend(signed.iter().map(|(name, _)| tlsa(name)));
        if !unsigned.is_empty() {
            lines.push("; Only if the zone is signed (DNSSEC):".to_owned());
            lines.extend(unsigned.iter().map(|(name, _)| format!("; {}", tlsa(name))));
        }
        lines
    }
}

const TTL: u32 = 3600;
