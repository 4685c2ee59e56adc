//! `waxwing check dns`: a server that runs, as DNS and certificates show it to others.

#![expect(clippy::unwrap_used, reason = "the helpers of a test stand outside of its functions")]

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

#[path = "support/dns.rs"]
mod dns;
#[expect(dead_code, reason = "other tests use the rest of it")]
#[path = "support/program.rs"]
mod program;

use dns::NameServer;
use program::{Place, Server};

/// A server for `a.example` whose certificate names it and its rooms.
struct TestServer {
    place: Place,
    dns: NameServer,
    /// c2s, c2s_tls, s2s, s2s_tls, https.
    ports: [u16; 5],
    /// SHA-256 of its public key.
    key: Vec<u8>,
}

impl TestServer {
    fn new() -> Self {
        let (place, dns) = (Place::new(), NameServer::start());
        let authority_key = KeyPair::generate().unwrap();
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, "The authority of the test");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        place.write("ca.pem", &authority.self_signed(&authority_key).unwrap().pem());
        let issuer = Issuer::new(authority, authority_key);
        let key = KeyPair::generate().unwrap();
        let names = ["a.example", "conference.a.example"].map(str::to_owned);
        let own = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        place.write("c.pem", &format!("{}{}", own.pem(), key.serialize_pem()));
        let sockets = [(); 5].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = sockets.map(|socket| socket.local_addr().unwrap().port());
        let listen = ["c2s", "c2s_tls", "s2s", "s2s_tls", "https"].iter().zip(&ports);
        let listen: String =
            listen.map(|(name, port)| format!("{name} = '127.0.0.1:{port}'\n")).collect();
        place.write(
            "waxwing.toml",
            &format!(
                "[[host]]\ndomain = 'a.example'\ncertificate = 'c.pem'\n[s2s]\nenabled = true\n\
                 authorities = 'ca.pem'\nresolver = '{}'\n[listen]\nhttp = []\nproxy65 = []\n{listen}",
                dns.address
            ),
        );
        let key = Sha256::digest(key.subject_public_key_info()).to_vec();
        Self { place, dns, ports, key }
    }

    fn both(&self, name: &str) {
        self.dns.a(name, Ipv4Addr::LOCALHOST);
        // Nobody listens there.
        self.dns.aaaa(name, Ipv6Addr::LOCALHOST);
    }

    fn records(&self, domain: &str) {
        let names = ["_xmpp-client", "_xmpps-client", "_xmpp-server", "_xmpps-server"];
        for (name, port) in names.iter().zip(&self.ports) {
            if domain == "a.example" || name.ends_with("-server") {
                self.dns.srv(&format!("{name}._tcp.{domain}"), *port, "xmpp.a.example");
            }
        }
    }

    #[track_caller]
    fn check(&self, code: i32) -> Value {
        self.place.run("check dns --json").ends_with(code).json()
    }
}

/// What is said of a domain at a level.
fn said(all: &Value, domain: &str, level: &str) -> String {
    let reports = all["domains"].as_array().unwrap();
    let report = reports.iter().find(|report| report["domain"] == domain).unwrap();
    let lines = report["lines"].as_array().unwrap().iter().filter(|line| line["level"] == level);
    lines.map(|line| format!("{}\n", line["text"].as_str().unwrap())).collect()
}

fn records(all: &Value, domain: &str) -> Vec<String> {
    let reports = all["domains"].as_array().unwrap();
    let report = reports.iter().find(|report| report["domain"] == domain).unwrap();
    let lines = report["records"].as_array().unwrap().iter();
    lines.map(|line| line.as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_server_with_all_its_records_is_found_by_everybody() {
    let test_server = TestServer::new();
    let mut server = Server::start(&test_server.place);
    server.said_until("a.example");
    for domain in ["a.example", "conference.a.example"] {
        test_server.records(domain);
    }
    test_server.both("xmpp.a.example");
    test_server.both("a.example");
    test_server.dns.ds("a.example");
    let [c2s, c2s_tls, s2s, s2s_tls, _] = test_server.ports;
    for port in [c2s, c2s_tls, s2s] {
        test_server.dns.tlsa(&format!("_{port}._tcp.xmpp.a.example"), &test_server.key);
    }
    let all = test_server.check(6);
    for domain in ["a.example", "conference.a.example"] {
        assert_eq!(said(&all, domain, "missing"), "", "{domain}: {all:#}");
        let ok = said(&all, domain, "ok");
        assert!(ok.contains(&format!("leads to xmpp.a.example, port {s2s}\n")), "{ok}");
        assert!(
            ok.contains(&format!("the TLSA record _{s2s}._tcp.xmpp.a.example has the key")),
            "{ok}"
        );
    }
    // The one thing that this zone could have, too.
    let warnings = said(&all, "a.example", "warning");
    let text = format!("there is no TLSA record _{s2s_tls}._tcp.xmpp.a.example, although");
    assert!(warnings.contains(&text), "{warnings}");
    let key: String = test_server.key.iter().map(|byte| format!("{byte:02x}")).collect();
    let record = format!("_{s2s_tls}._tcp.xmpp.a.example. 3600 IN TLSA 3 1 1 {key}");
    assert_eq!(records(&all, "a.example"), [record]);
    // Nobody listens at the second address, and no web server passes host-meta on.
    assert!(
        warnings.contains(&format!("cannot be reached from here at [::1]:{c2s} (")),
        "{warnings}"
    );
    assert!(warnings.contains("https://a.example/.well-known/host-meta cannot be read"));
    // What others need of the service for nodes is not there at all.
    let missing = said(&all, "pubsub.a.example", "missing");
    assert!(missing.contains("other servers do not find pubsub.a.example"), "{missing}");
    let record =
        format!("_xmpp-server._tcp.pubsub.a.example. 3600 IN SRV 0 5 {s2s} xmpp.a.example.");
    assert!(records(&all, "pubsub.a.example").contains(&record), "{all:#}");
    // Only the users of this server send files there.
    assert_eq!(said(&all, "upload.a.example", "missing"), "");

    let text = test_server.place.run("check dns").ends_with(6).out;
    assert!(text.contains("\n  ok           _xmpp-client._tcp.a.example leads to"), "{text}");
    assert!(server.end().success());
}

#[test]
fn a_key_and_a_certificate_that_others_refuse_are_told() {
    let test_server = TestServer::new();
    let mut server = Server::start(&test_server.place);
    server.said_until("a.example");
    test_server.records("a.example");
    test_server.records("pubsub.a.example");
    test_server.both("xmpp.a.example");
    test_server.both("a.example");
    let [c2s, _, s2s, ..] = test_server.ports;
    test_server.dns.tlsa(&format!("_{c2s}._tcp.xmpp.a.example"), &[1; 32]);
    // The zone above is signed, and that of the machine is not.
    test_server.dns.ds("a.example");
    test_server.dns.soa("xmpp.a.example");
    let all = test_server.check(6);
    let warnings = said(&all, "a.example", "warning");
    assert!(!warnings.contains("although the zone is signed"), "{warnings}");
    let lines = records(&all, "a.example");
    assert!(lines.contains(&"; Only if the zone is signed (DNSSEC):".to_owned()), "{lines:?}");
    let missing = said(&all, "a.example", "missing");
    let text =
        format!("the TLSA record _{c2s}._tcp.xmpp.a.example has another key than the server");
    assert!(missing.contains(&text), "{missing}");
    let missing = said(&all, "pubsub.a.example", "missing");
    let text = format!(
        "the certificate at xmpp.a.example, port {s2s}, does not name the domain: other servers do not trust it for \
         pubsub.a.example (it names: a.example, conference.a.example)"
    );
    assert!(missing.contains(&text), "{missing}");
    assert!(server.end().success());

    // Without the server, nobody reaches it.
    let all = test_server.check(6);
    let warnings = said(&all, "a.example", "warning");
    let text = format!("xmpp.a.example cannot be reached from here at 127.0.0.1:{c2s} (");
    assert!(warnings.contains(&text), "{warnings}");
}

#[test]
fn where_no_name_server_answers_nothing_is_said_to_be_missing() {
    let place = Place::new();
    // A port at which nobody listens.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    drop(socket);
    place.write(
        "waxwing.toml",
        &format!("[[host]]\ndomain = 'a.example'\n[[host]]\ndomain = 'localhost'\n[s2s]\nresolver = '{address}'\n"),
    );
    let all = place.run("check dns --json").ends_with(0).json();
    assert!(said(&all, "a.example", "not_checked").contains("does not answer"), "{all:#}");
    assert_eq!(said(&all, "a.example", "missing"), "");
    assert!(said(&all, "localhost", "not_checked").contains("no records for such a name"));
}
