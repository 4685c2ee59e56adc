use std::io::{Read as _, Seek as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rcgen::{CertificateParams, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, ServerConnection, SignatureScheme,
    SupportedProtocolVersion,
};
use sha2::{Digest as _, Sha256, Sha384};

use super::provider::provider;
use super::x509::{DAY_MICROS, Leaf};
use super::*;
use crate::config::{Config, HostConfig};

mod handshake;
mod pair;
mod stream;

#[test]
fn an_old_version_is_answered_with_an_alert() {
    // RFC 4346: a hello of TLS 1.1 with one suite of that time, and the signature algorithms
    // of RFC 5246 lest it fail for their absence.
    let mut hello = vec![0x03, 0x02];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0xC0, 0x13, 1, 0]);
    hello.extend([0, 8, 0, 13, 0, 4, 0, 2, 4, 3]);
    let mut record = vec![22, 3, 1, 0, hello.len() as u8 + 4, 1, 0, 0, hello.len() as u8];
    record.extend(hello);

    let place = Place::new(&["capulet.lit"]);
    let mut server = ServerConnection::new(starttls(&place.load())).unwrap();
    server.read_tls(&mut &record[..]).unwrap();
    server.process_new_packets().unwrap_err();
    let mut answer = Vec::new();
    server.write_tls(&mut answer).unwrap();
    assert_eq!(answer[0], 21, "an alert");
    assert_eq!(&answer[5..], [2, 70], "fatal, protocol_version");
}

#[test]
fn only_suites_with_fresh_keys_and_aead_are_offered() {
    let place = Place::new(&["capulet.lit"]);
    let config = starttls(&place.load());
    for suite in &config.crypto_provider().cipher_suites {
        let name = format!("{:?}", suite.suite());
        assert!(name.starts_with("TLS13_") || name.starts_with("TLS_ECDHE_"), "{name}");
        assert!(name.contains("GCM") || name.contains("POLY1305"), "{name}");
    }
}

#[test]
fn with_tls_first_the_name_asked_for_chooses_the_certificate() {
    let mut place = Place::new(&["capulet.lit", "montague.lit", "jülich.lit", "b.montague.lit"]);
    let names = ["montague.lit", "chat.example", "*.verona.lit"];
    place.configure_for(1, &names, &rcgen::PKCS_ECDSA_P256_SHA256);
    let certificates = place.load();
    let facts = certificates.facts();
    let cases = [
        ("capulet.lit", 0),
        ("montague.lit", 1),
        ("Montague.LIT", 1),
        ("montague.lit.", 1),
        ("xn--jlich-kva.lit", 2),
        ("XN--JLICH-KVA.lit", 2),
        // Targets of SRV records: in a certificate, or below a domain.
        ("chat.example", 1),
        ("xmpp.verona.lit", 1),
        ("xmpp.montague.lit", 1),
        ("xmpp.b.montague.lit", 3),
        ("xmpp.xn--jlich-kva.lit", 2),
        // Of nobody.
        ("xmontague.lit", 0),
        ("verona.lit", 0),
    ];
    for (asked, expected) in cases {
        let chosen = certificates.choose(Purpose::Direct, None, Some(asked));
        let (client, _) = connect(&client(&rustls::version::TLS13, &[]), chosen.config, asked);
        let leaf = Leaf::read(&client.peer_certificates().unwrap()[0]).unwrap();
        assert_eq!(x509::fingerprint(&leaf), facts[expected].sha256, "{asked}");
        assert_eq!(chosen.host, facts[expected].domain, "{asked}");
        assert_eq!(chosen.end_point, leaf.end_point(), "{asked}");
    }
    assert_eq!(certificates.choose(Purpose::Direct, None, None).host, "capulet.lit");
}

#[test]
fn by_starttls_the_stream_chooses_the_certificate_whatever_the_name_asked_for() {
    let place = Place::new(&["capulet.lit", "montague.lit", "jülich.lit"]);
    let certificates = place.load();
    for domain in ["capulet.lit", "montague.lit", "jülich.lit"] {
        for sni in [None, Some("capulet.lit"), Some("montague.lit"), Some("xmpp.example")] {
            let chosen = certificates.choose(Purpose::StartTls, Some(domain), sni);
            assert_eq!(chosen.host, domain, "{sni:?}");
        }
    }
}

#[test]
fn a_ticket_is_of_no_use_under_the_certificate_of_another_domain() {
    // Both domains are reached under one name, that of the machine.
    let place = Place::new(&["capulet.lit", "montague.lit"]);
    let certificates = place.load();
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let client = client(version, &[]);
        let kind = |domain| {
            let chosen = certificates.choose(Purpose::StartTls, Some(domain), Some("xmpp.lit"));
            connect(&client, chosen.config, "xmpp.lit").1.handshake_kind().unwrap()
        };
        assert_eq!(kind("capulet.lit"), rustls::HandshakeKind::Full);
        assert_eq!(kind("capulet.lit"), rustls::HandshakeKind::Resumed);
        assert_eq!(kind("montague.lit"), rustls::HandshakeKind::Full);
    }
}

#[test]
fn protocols_are_asked_for_on_the_direct_port_only() {
    let place = Place::new(&["capulet.lit"]);
    let certificates = place.load();
    let wrong = client(&rustls::version::TLS13, &[b"h2"]);
    let none = client(&rustls::version::TLS13, &[]);
    let direct = certificates.choose(Purpose::Direct, None, None).config;
    let starttls = starttls(&certificates);

    let refused = try_connect(&wrong, Arc::clone(&direct), "capulet.lit").map(|_| ());
    assert_eq!(refused, Err(rustls::Error::NoApplicationProtocol));
    connect(&none, direct, "capulet.lit");
    connect(&wrong, starttls, "capulet.lit");
}

#[test]
fn a_bad_file_leaves_the_old_certificate_in_use() {
    let mut place = Place::new(&["capulet.lit"]);
    let file = place.configure(0, &rcgen::PKCS_ECDSA_P256_SHA256);
    let certificates = place.load();
    let before = certificates.facts();

    std::fs::write(&file, "garbage").unwrap();
    let error = certificates.reload(&place.config, &place.clock).unwrap_err();
    assert!(matches!(error, TlsError::NoCertificate { .. }), "{error}");
    assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
    assert_eq!(certificates.facts(), before);
    let server = starttls(&certificates);
    connect(&client(&rustls::version::TLS13, &[]), server, "capulet.lit");

    place.configure(0, &rcgen::PKCS_ECDSA_P256_SHA256);
    certificates.reload(&place.config, &place.clock).unwrap();
    assert_ne!(certificates.facts(), before);
}

#[test]
fn a_ticket_ends_with_the_certificate_under_which_it_was_made() {
    let place = Place::new(&["capulet.lit"]);
    let certificates = place.load();
    let client = client(&rustls::version::TLS13, &[]);
    let kind = |c: &ServerConnection| c.handshake_kind().unwrap();

    let (_, first) = connect(&client, starttls(&certificates), "capulet.lit");
    assert_eq!(kind(&first), rustls::HandshakeKind::Full);
    let (_, second) = connect(&client, starttls(&certificates), "capulet.lit");
    assert_eq!(kind(&second), rustls::HandshakeKind::Resumed);
    certificates.reload(&place.config, &place.clock).unwrap();
    let (_, third) = connect(&client, starttls(&certificates), "capulet.lit");
    assert_eq!(kind(&third), rustls::HandshakeKind::Full);
}

#[test]
fn the_hash_is_that_of_the_signature_and_none_for_ed25519() {
    let mut place = Place::new(&["capulet.lit"]);
    let file = place.configure(0, &rcgen::PKCS_ECDSA_P384_SHA384);
    let der = CertificateDer::from_pem_file(&file).unwrap();
    let by_hand = Sha384::digest(&der).to_vec();
    let end_point = |place: &Place| place.load().choose(Purpose::Direct, None, None).end_point;
    assert_eq!(end_point(&place), Some(by_hand));

    place.configure(0, &rcgen::PKCS_ED25519);
    assert_eq!(end_point(&place), None);
}

#[test]
fn a_certificate_that_ends_is_logged_in_time() {
    let place = Place::new(&["capulet.lit"]);
    let certificates = place.load();
    let end = certificates.facts()[0].not_after.as_micros();
    let logged = |days_left: i64| {
        let log = Arc::new(tempfile::tempfile().unwrap());
        let subscriber = tracing_subscriber::fmt().with_writer(Arc::clone(&log)).finish();
        let clock = Clock::manual(Timestamp::from_micros(end - days_left * DAY_MICROS));
        tracing::subscriber::with_default(subscriber, || certificates.warn_of_expiry(&clock));
        let mut text = String::new();
        (&*log).rewind().unwrap();
        (&*log).read_to_string(&mut text).unwrap();
        text
    };
    assert_eq!(logged(15), "");
    let soon = logged(13);
    assert!(soon.contains("certificate expires soon") && soon.contains("capulet.lit"), "{soon}");
    assert!(logged(-1).contains("certificate has expired"));
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let mut place = Place::new(&["capulet.lit", "montague.lit"]);
    place.configure(0, &rcgen::PKCS_ECDSA_P256_SHA256);
    place.configure(1, &rcgen::PKCS_ECDSA_P256_SHA256);
    place.config.hosts[0].key = place.config.hosts[1].key.clone();
    let error = Certificates::load(&place.config, &place.clock).unwrap_err();
    assert!(matches!(error, TlsError::Mismatch { .. }), "{error}");
    assert!(error.to_string().contains("montague.lit.key"), "{error}");

    place.config.hosts[0].key = None;
    let error = Certificates::load(&place.config, &place.clock).unwrap_err();
    assert!(
        matches!(error, TlsError::NoKeyInside { .. }),
        "no key behind the certificate: {error}"
    );
    place.config.hosts[0].certificate = Some(place.data().join("missing.crt"));
    let error = Certificates::load(&place.config, &place.clock).unwrap_err();
    assert!(matches!(error, TlsError::Read { .. }), "{error}");
}

#[test]
fn a_self_signed_certificate_is_kept_and_its_key_is_secret() {
    let place = Place::new(&["capulet.lit"]);
    let first = place.load().facts();
    assert_eq!(place.load().facts(), first, "found again");
    assert!(first[0].self_signed);

    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place.data().join("certs")), 0o700);
    assert_eq!(mode(&place.data().join("certs/capulet.lit.key")), 0o600);
    let der = CertificateDer::from_pem_file(place.data().join("certs/capulet.lit.crt")).unwrap();
    let leaf = Leaf::read(&der).unwrap();
    assert!(leaf.covers("capulet.lit", "capulet.lit"));
    assert!(!leaf.covers("montague.lit", "montague.lit"));
}

#[test]
fn a_self_signed_certificate_is_renewed_with_its_key() {
    let place = Place::new(&["capulet.lit"]);
    let first = place.load().facts();
    let key = place.data().join("certs/capulet.lit.key");
    let before = std::fs::read(&key).unwrap();

    place.clock.advance(std::time::Duration::from_secs(3640 * 24 * 60 * 60));
    let second = place.load().facts();
    assert_ne!(second[0].sha256, first[0].sha256);
    assert!(second[0].not_after > first[0].not_after);
    assert_eq!(std::fs::read(&key).unwrap(), before);
}

#[test]
fn every_domain_that_xmpp_knows_gets_a_certificate_and_no_other() {
    for (domain, name) in [
        ("Capulet.LIT", "capulet.lit"),
        ("jülich.lit", "xn--jlich-kva.lit"),
        ("192.0.2.1", "192.0.2.1"),
        ("[2001:db8::1]", "[2001:db8::1]"),
        ("localhost", "localhost"),
    ] {
        let place = Place::new(&[domain]);
        place.load();
        let file = place.data().join(format!("certs/{name}.crt"));
        let der = CertificateDer::from_pem_file(file).unwrap();
        assert!(Leaf::read(&der).unwrap().covers(name, domain), "{domain}");
    }
    for domain in ["", "../capulet.lit", "a/b", ".lit", "a b"] {
        let place = Place::new(&[domain]);
        let error = Certificates::load(&place.config, &place.clock).unwrap_err();
        assert!(matches!(error, TlsError::Domain { .. }), "{domain:?}: {error}");
    }
}

/// A data directory with a configuration.
struct Place {
    _dir: tempfile::TempDir,
    config: Config,
    clock: Clock,
}

impl Place {
    fn new(domains: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path(), domains);
        // rcgen and rustls do not mind what year it is; the test should not either.
        let clock = Clock::manual(Timestamp::parse("2026-11-20T08:00:00Z").unwrap());
        Self { _dir: dir, config, clock }
    }

    fn data(&self) -> &Path {
        &self.config.data
    }

    fn load(&self) -> Arc<Certificates> {
        Certificates::load(&self.config, &self.clock).unwrap()
    }

    /// Gives a host files of its own; returns that of the certificate.
    fn configure(&mut self, host: usize, kind: &'static rcgen::SignatureAlgorithm) -> PathBuf {
        let domain = self.config.hosts[host].domain.clone();
        self.configure_for(host, &[&domain], kind)
    }

    /// The same with these names in the certificate.
    fn configure_for(
        &mut self,
        host: usize,
        names: &[&str],
        kind: &'static rcgen::SignatureAlgorithm,
    ) -> PathBuf {
        let domain = self.config.hosts[host].domain.clone();
        let secret = KeyPair::generate_for(kind).unwrap();
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = CertificateParams::new(names).unwrap().self_signed(&secret).unwrap();
        let file = self.data().join(format!("{domain}.pem"));
        let key = self.data().join(format!("{domain}.key"));
        std::fs::write(&file, made.pem()).unwrap();
        std::fs::write(&key, secret.serialize_pem()).unwrap();
        self.config.hosts[host].certificate = Some(file.clone());
        self.config.hosts[host].key = Some(key);
        file
    }
}

fn starttls(certificates: &Certificates) -> Arc<ServerConfig> {
    certificates.choose(Purpose::StartTls, Some("capulet.lit"), None).config
}

fn client(version: &'static SupportedProtocolVersion, alpn: &[&[u8]]) -> Arc<ClientConfig> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trusting))
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

fn connect(
    client: &Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    name: &str,
) -> (ClientConnection, ServerConnection) {
    try_connect(client, server, name).unwrap()
}

/// Carries bytes in both directions until both have ended.
fn try_connect(
    client: &Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    name: &str,
) -> Result<(ClientConnection, ServerConnection), rustls::Error> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name)?;
    let mut server = ServerConnection::new(server)?;
    while client.wants_write() || server.wants_write() {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut bytes = &bytes[..];
        while !bytes.is_empty() {
            server.read_tls(bytes.by_ref()).unwrap();
            server.process_new_packets()?;
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut bytes = &bytes[..];
        while !bytes.is_empty() {
            client.read_tls(bytes.by_ref()).unwrap();
            client.process_new_packets()?;
        }
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok((client, server))
}

/// Trusts every certificate, but checks that the server has its key.
#[derive(Debug)]
struct Trusting;

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, &known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, &known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

fn config(data: &Path, domains: &[&str]) -> Config {
    let host =
        |domain: &&str| HostConfig { domain: (*domain).to_owned(), certificate: None, key: None };
    let hosts = domains.iter().map(host).collect();
    Config { hosts, ..Config::default_for("localhost", data.to_owned()) }
}
