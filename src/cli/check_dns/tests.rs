use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;

use super::found::{Level, Report};
use super::look;
use super::outside::{Kind, Outside, Refusal, Seen};
use super::records::services;
use crate::clock::Clock;
use crate::config::Config;
use crate::s2s::{Resolve, Srv, Unresolved};
use crate::tls::{CertificateFault, PeerCertificate, Tlsa};

/// The DNS and the network of a test.
#[derive(Default)]
struct World {
    srv: HashMap<&'static str, Vec<Srv>>,
    addresses: HashMap<&'static str, Vec<IpAddr>>,
    open: Vec<u16>,
    /// The names in each certificate, and what is wrong with it.
    names: Vec<&'static str>,
    fault: Option<CertificateFault>,
    host_meta: Option<(u16, &'static str)>,
    /// The pages are there.
    pages: bool,
}

#[async_trait]
impl Resolve for World {
    async fn srv(&self, name: &str) -> Result<Vec<Srv>, Unresolved> {
        Ok(self.srv.get(name).cloned().unwrap_or_default())
    }

    async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Unresolved> {
        match name {
            "mute.example" => Err(Unresolved),
            name => Ok(self.addresses.get(name).cloned().unwrap_or_default()),
        }
    }
}

#[async_trait]
impl Outside for World {
    async fn tlsa(&self, _: &str) -> Result<Vec<Tlsa>, Unresolved> {
        Ok(Vec::new())
    }

    async fn is_signed(&self, _: &str) -> bool {
        false
    }

    async fn connect(&self, address: SocketAddr, kind: Kind<'_>) -> Result<Seen, Refusal> {
        if !self.open.contains(&address.port()) {
            return Err(Refusal::Closed("refused".to_owned()));
        }
        let answer = match kind {
            Kind::Https { path: Some("/pages.css"), .. } => Some(match self.pages {
                true => (200, "content-type: text/css".to_owned()),
                false => (404, String::new()),
            }),
            Kind::Https { path: Some(path), .. } => {
                assert_eq!(path, "/.well-known/host-meta");
                self.host_meta.map(|(status, body)| (status, body.to_owned()))
            }
            _ => None,
        };
        let chain = self.fault.map_or(Ok(()), Err);
        let certificate = PeerCertificate::for_tests(&self.names, chain);
        Ok(Seen { certificate, chain: Vec::new(), answer })
    }
}

fn srv(target: &str, port: u16) -> Vec<Srv> {
    vec![Srv { priority: 0, weight: 5, port, target: target.to_owned() }]
}

fn machine() -> Vec<IpAddr> {
    vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()]
}

async fn reports(world: &World, domain: &str, more: &str) -> Vec<Report> {
    let text = format!("data = '/nonexistent'\n{more}\n[[host]]\ndomain = '{domain}'\n");
    let config = Config::parse(&text, "the test").unwrap();
    let prefixes = ["conference", "upload"].map(str::to_owned);
    look::all(&config, &prefixes, Clock::system().now(), world).await
}

async fn report(world: &World, domain: &str) -> Report {
    let mut all = reports(world, domain, "").await;
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn said(report: &Report, level: Level) -> String {
    let of = report.lines.iter().filter(|line| line.level == level);
    of.map(|line| format!("{}\n", line.text)).collect()
}

#[tokio::test]
async fn a_domain_with_all_its_records_is_ok() {
    let world = World {
        srv: HashMap::from([
            ("_xmpp-client._tcp.xn--mller-kva.example", srv("xmpp.example", 5222)),
            ("_xmpps-client._tcp.xn--mller-kva.example", srv("xmpp.example", 5223)),
        ]),
        addresses: HashMap::from([
            ("xmpp.example", machine()),
            ("xn--mller-kva.example", machine()),
        ]),
        open: vec![443, 5222, 5223, 7443, 7777],
        names: vec!["xn--mller-kva.example"],
        host_meta: Some((200, "<Link rel='urn:xmpp:alt-connections:websocket'/>")),
        pages: true,
        ..World::default()
    };
    let found = report(&world, "müller.example").await;
    assert_eq!(said(&found, Level::Missing), "");
    let warnings = said(&found, Level::Warning);
    // There are no files with a certificate in the directory of the test.
    assert!(warnings.lines().all(|text| text.contains("self-signed")), "{warnings}");
    let ok = said(&found, Level::Ok);
    assert!(ok.contains("host-meta says where browsers connect"), "{ok}");
    assert!(ok.contains("https://xn--mller-kva.example:7443 has the pages"), "{ok}");
    // What is only useful where the zone is signed needs a key, and there was none to see.
    assert!(found.records.is_empty(), "{found:?}");
}

#[tokio::test]
async fn what_is_missing_is_said_with_the_records_to_add() {
    let world = World {
        srv: HashMap::from([
            ("_xmpp-client._tcp.a.example", srv("xmpp.a.example", 5222)),
            ("_xmpps-client._tcp.a.example", srv("", 0)),
            ("_xmpps-server._tcp.a.example", srv("xmpp.a.example", 5270)),
        ]),
        ..World::default()
    };
    let found = report(&world, "a.example").await;
    let missing = said(&found, Level::Missing);
    for text in [
        "_xmpp-client._tcp.a.example leads to xmpp.a.example, which has no address",
        "_xmpps-client._tcp.a.example says that there is no such service",
        "a.example has no address, but browsers are sent to wss://a.example:7443/ws",
    ] {
        assert!(missing.contains(text), "{text}: {missing}");
    }
    // There are no streams between servers.
    let text =
        "_xmpps-server._tcp.a.example leads to xmpp.a.example, but this server has no such port";
    assert!(said(&found, Level::Warning).contains(text), "{found:?}");
    for record in ["xmpp.a.example. 3600 IN A ", "a.example. 3600 IN AAAA "] {
        assert!(found.records.iter().any(|line| line.starts_with(record)), "{found:?}");
    }
    let public = "listen.public = ['192.0.2.77']";
    let found = reports(&world, "a.example", public).await.remove(0);
    let record = "xmpp.a.example. 3600 IN A 192.0.2.77";
    assert!(found.records.contains(&record.to_owned()), "{found:?}");
}

#[tokio::test]
async fn the_address_of_the_pages_is_looked_at() {
    let mut world = World {
        addresses: HashMap::from([("a.example", machine())]),
        open: vec![443, 7443],
        names: vec!["a.example", "chat.example"],
        ..World::default()
    };
    let more = "invitations.url = 'https://chat.example'";
    let found = reports(&world, "a.example", more).await.remove(0);
    let missing = said(&found, Level::Missing);
    assert!(missing.contains("chat.example has no address, but browsers are sent to"), "{missing}");
    world.addresses.insert("chat.example", machine());
    let found = reports(&world, "a.example", more).await.remove(0);
    let warnings = said(&found, Level::Warning);
    assert!(
        warnings.contains("https://chat.example/pages.css is not that of this server (status 404)"),
        "{warnings}"
    );
}

#[test]
fn a_port_is_named_once() {
    let text = "listen.c2s = ['192.0.2.1:5222', '192.0.2.1:80', '192.0.2.2:5222']";
    let config = Config::parse(text, "the test").unwrap();
    assert_eq!(services(&config, false)[0].ports, [5222, 80]);
}

#[tokio::test]
async fn a_domain_without_records_for_services_is_found_at_its_own_address() {
    let world = World {
        addresses: HashMap::from([("a.example", vec!["192.0.2.1".parse().unwrap()])]),
        open: vec![443],
        names: vec!["a.example"],
        host_meta: Some((404, "")),
        ..World::default()
    };
    let found = report(&world, "a.example").await;
    let warnings = said(&found, Level::Warning);
    for text in [
        "clients try a.example itself, at port 5222",
        "a.example cannot be reached from here at 192.0.2.1:5222 (refused)",
        "a.example has no AAAA: networks with IPv6 alone do not reach it",
        "host-meta answers 404",
        "there is no _xmpps-client._tcp.a.example",
    ] {
        assert!(warnings.contains(text), "{text}: {warnings}");
    }
    let line = "_xmpps-client._tcp.a.example. 3600 IN SRV 0 5 5223 a.example.";
    assert!(found.records.contains(&line.to_owned()), "{:?}", found.records);
}

#[tokio::test]
async fn services_and_components_are_looked_for_where_there_are_other_servers() {
    let world = World {
        srv: HashMap::from([("_xmpp-server._tcp.a.example", srv("xmpp.a.example", 5269))]),
        addresses: HashMap::from([("xmpp.a.example", machine()), ("irc.example", machine())]),
        open: vec![5269],
        names: vec!["a.example"],
        ..World::default()
    };
    let more =
        "s2s.enabled = true\n[[component]]\ndomain = 'irc.example'\nsecret = 'a long secret'\n";
    let all = reports(&world, "a.example", more).await;
    let domains: Vec<_> = all.iter().map(|report| report.domain.as_str()).collect();
    assert_eq!(domains, ["a.example", "conference.a.example", "upload.a.example", "irc.example"]);
    let missing = said(&all[1], Level::Missing);
    assert!(missing.contains("other servers do not find conference.a.example"), "{missing}");
    let line = "_xmpp-server._tcp.conference.a.example. 3600 IN SRV 0 5 5269 xmpp.a.example.";
    assert!(all[1].records.contains(&line.to_owned()), "{:?}", all[1]);
    assert_eq!(said(&all[2], Level::Missing), "");
    let missing = said(&all[3], Level::Missing);
    assert!(missing.contains("other servers do not trust it for irc.example"), "{missing}");
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_is_said_to_be_so() {
    for fault in [CertificateFault::Expired, CertificateFault::Untrusted] {
        let world = World {
            srv: HashMap::from([("_xmpp-client._tcp.a.example", srv("a.example", 5222))]),
            addresses: HashMap::from([("a.example", machine())]),
            open: vec![5222],
            names: vec!["a.example"],
            fault: Some(fault),
            ..World::default()
        };
        let missing = said(&report(&world, "a.example").await, Level::Missing);
        let text = format!(
            "the certificate at a.example, port 5222, {}: clients do not trust it for a.example",
            fault.words()
        );
        assert_eq!(missing.matches(&text).count(), 1, "{missing}");
    }
}

#[tokio::test]
async fn where_nobody_answers_nothing_is_said_to_be_missing() {
    let world = World {
        srv: HashMap::from([
            ("_xmpp-client._tcp.a.example", srv("mute.example", 9)),
            ("_xmpps-client._tcp.a.example", srv("mute.example", 5223)),
        ]),
        addresses: HashMap::from([("a.example", machine())]),
        ..World::default()
    };
    let found = report(&world, "a.example").await;
    assert_eq!(said(&found, Level::NotChecked), "the DNS does not answer for mute.example\n");
    assert_eq!(said(&found, Level::Missing), "");
    let warnings = said(&found, Level::Warning);
    assert!(warnings.contains("leads to port 9, and this server listens on 5222"), "{warnings}");
    for domain in ["localhost", "192.0.2.1", "chat.localhost"] {
        let found = report(&world, domain).await;
        assert_eq!(found.lines.len(), 1, "{domain}");
    }
}
