//! SRV records, the machines to which they lead, and what is at their ports.

use std::net::{IpAddr, SocketAddr};

use super::found::Level;
use super::look::Look;
use super::outside::{Kind, Refusal, Seen};
use super::records::{Service, each_once};
use crate::s2s::Unresolved;
use crate::tls::public_key_hash;

impl Look<'_, '_> {
    /// One service with SRV records (RFC 6120 §3.2.1, XEP-0368 §3). `level`: how bad it is if nobody finds it.
    pub(super) async fn service(&mut self, service: &Service, level: Level) {
        let name = format!("{}._tcp.{}", service.name, self.ascii);
        let Ok(records) = self.outside().srv(&name).await else {
            return self.say(Level::NotChecked, format!("the DNS does not answer for {name}"));
        };
        let Some(first) = service.ports.first().copied() else {
            if let Some(srv) = records.iter().find(|srv| !srv.target.is_empty()) {
                let text = format!(
                    "{name} leads to {}, but this server has no such port (`{}`): remove the record",
                    srv.target, service.option
                );
                self.say(Level::Warning, text);
            }
            return;
        };
        if records.is_empty() {
            return self.without_records(service, &name, first, level).await;
        }
        for record in records {
            let (target, port) = (record.target.as_str(), record.port);
            if target.is_empty() {
                let text =
                    format!("{name} says that there is no such service, but this server has it");
                self.say(level, text);
                continue;
            }
            self.records.target(target);
            if !service.ports.contains(&port) {
                let ports: Vec<_> = service.ports.iter().map(ToString::to_string).collect();
                let text = format!(
                    "{name} leads to port {port}, and this server listens on {}: something must pass the \
                     connections on",
                    ports.join(", ")
                );
                self.say(Level::Warning, text);
            }
            match self.outside().addresses(target).await {
                Ok(found) if found.is_empty() => {
                    self.records.address(target, false);
                    self.records.address(target, true);
                    self.say(level, format!("{name} leads to {target}, which has no address"));
                }
                Ok(found) => {
                    self.say(Level::Ok, format!("{name} leads to {target}, port {port}"));
                    self.both_kinds(target, &found);
                    self.reach(service, target, port, &found).await;
                }
                Err(Unresolved) => {
                    self.say(Level::NotChecked, format!("the DNS does not answer for {target}"));
                }
            }
        }
    }

    /// Without records, clients and servers try the domain itself (RFC 6120 §3.2.2).
    async fn without_records(&mut self, service: &Service, name: &str, port: u16, level: Level) {
        self.records.srv(name, port);
        let level = if service.has_other { Level::Warning } else { level };
        let (what, ascii) = (service.what, self.ascii);
        let own = match service.usual {
            Some(usual) if usual == port => self.outside().addresses(ascii).await,
            _ => Ok(Vec::new()),
        };
        match own {
            Ok(own) if own.is_empty() => {
                let text = format!("there is no {name}: {what} do not find {}", self.domain);
                self.say(level, text);
            }
            Ok(own) => {
                let text = format!("there is no {name}: {what} try {ascii} itself, at port {port}");
                self.say(Level::Warning, text);
                self.both_kinds(ascii, &own);
                self.reach(service, ascii, port, &own).await;
            }
            Err(Unresolved) => {
                self.say(Level::NotChecked, format!("the DNS does not answer for {ascii}"));
            }
        }
    }

    /// Whether a machine can be reached by IPv4 and IPv6.
    pub(super) fn both_kinds(&mut self, name: &str, found: &[IpAddr]) {
        for (is_v6, kind, version) in [(false, "A", "IPv4"), (true, "AAAA", "IPv6")] {
            if !found.iter().any(|ip| ip.is_ipv6() == is_v6) {
                self.records.address(name, is_v6);
                let text =
                    format!("{name} has no {kind}: networks with {version} alone do not reach it");
                self.say(Level::Warning, text);
            }
        }
    }

    /// What is at a port, at each address of a machine.
    async fn reach(&mut self, service: &Service, name: &str, port: u16, addresses: &[IpAddr]) {
        let domain = self.domain;
        let (is_server, is_direct) = (service.is_server, service.is_direct);
        let kind = Kind::Stream { domain, is_server, is_direct };
        let mut chains = Vec::new();
        for address in addresses {
            let address = SocketAddr::new(*address, port);
            if let Some(seen) = self.look_at(name, address, kind, "an XMPP server").await {
                let is_valid = match is_server {
                    true => seen.certificate.check(domain),
                    false => seen.certificate.check_for_clients(domain),
                };
                let whom = if is_server { "other servers" } else { "clients" };
                self.judge(name, port, domain, whom, is_valid.err(), &seen);
                chains.push(seen.chain);
            }
        }
        self.keys(name, port, &chains).await;
    }

    /// Connects. `None`: it was said why it cannot be.
    pub(super) async fn look_at(
        &mut self,
        name: &str,
        address: SocketAddr,
        kind: Kind<'_>,
        what: &str,
    ) -> Option<Seen> {
        let text = match self.all.connect(address, kind).await {
            Ok(seen) => return Some(seen),
            Err(Refusal::Closed(why)) => format!(
                "{name} cannot be reached from here at {address} ({why}): is the server running, and the port open \
                 in the firewall?"
            ),
            Err(Refusal::Other(why)) => {
                format!("what answers for {name} at {address} is not {what} as expected: {why}")
            }
        };
        self.say(Level::Warning, text);
        None
    }

    /// Says what others think of a certificate.
    pub(super) fn judge(
        &mut self,
        name: &str,
        port: u16,
        domain: &str,
        whom: &str,
        fault: Option<crate::tls::CertificateFault>,
        seen: &Seen,
    ) {
        if let Some(fault) = fault {
            let names = each_once(seen.certificate.names()).join(", ");
            let text = format!(
                "the certificate at {name}, port {port}, {}: {whom} do not trust it for {domain} (it names: {names})",
                fault.words()
            );
            return self.say(Level::Missing, text);
        }
        if let Some(end) = seen.certificate.ends_soon(self.now()) {
            let text = format!("the certificate at {name}, port {port}, expires soon: {end}");
            self.say(Level::Warning, text);
        }
        if let Some(hash) = seen.chain.first().and_then(public_key_hash) {
            self.records.hash(&hash);
        }
    }

    /// The TLSA records of a port (RFC 7673 §3).
    async fn keys(
        &mut self,
        name: &str,
        port: u16,
        chains: &[Vec<rustls::pki_types::CertificateDer<'static>>],
    ) {
        let at = format!("_{port}._tcp.{name}");
        if self.keys.contains(&at) {
            return;
        }
        self.keys.push(at.clone());
        let Ok(records) = self.outside().tlsa(&at).await else {
            return self.say(Level::NotChecked, format!("the DNS does not answer for {at}"));
        };
        if records.is_empty() {
            let is_signed = self.outside().is_signed(name).await;
            self.records.key(&at, is_signed);
            if is_signed && !chains.is_empty() {
                let text = format!(
                    "there is no TLSA record {at}, although the zone is signed: with one, others could check the key \
                     (DANE)"
                );
                self.say(Level::Warning, text);
            }
            return;
        }
        for chain in chains {
            if records.iter().any(|record| record.matches(chain)) {
                self.say(Level::Ok, format!("the TLSA record {at} has the key of the server"));
            } else {
                let text = format!(
                    "the TLSA record {at} has another key than the server: those who check it (DANE) refuse the \
                     connection"
                );
                self.say(Level::Missing, text);
            }
        }
    }
}
