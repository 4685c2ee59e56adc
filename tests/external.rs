//! Clients that log in by their certificates (SASL EXTERNAL, XEP-0178 §2): which certificates are taken, and which
//! account is meant.

#![expect(clippy::unwrap_used, reason = "the helpers of a test stand outside of its functions")]

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, OtherNameValue, RevokedCertParams,
    SanType, SerialNumber, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use waxwing::auth::derive_keys;
use waxwing::clock::Clock;
use waxwing::config::Config;
use waxwing::jid::BareJid;
use waxwing::payload::datetime::Timestamp;
use waxwing::server::Server;
use waxwing::storage::{MemoryStorage, NewAccount, Storage};
use waxwing::tasks::Tasks;

#[path = "support/trust.rs"]
mod trust;

/// An authority, which makes certificates for clients.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A list with the serial numbers of revoked certificates, valid until this year.
    fn revokes(&self, serials: &[u64], until: i32) -> String {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2019, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    /// A certificate with these addresses, changed by `change`.
    fn certify(
        &self,
        addresses: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Arc<CertifiedKey> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        // A name for people is no address, and neither is one for mail.
        params.distinguished_name.push(DnType::CommonName, "romeo@localhost");
        let mail = SanType::Rfc822Name("romeo@localhost".try_into().unwrap());
        let address = |address: &&str| {
            let oid = vec![1, 3, 6, 1, 5, 5, 7, 8, 5];
            SanType::OtherName((oid, OtherNameValue::Utf8String((*address).to_owned())))
        };
        params.subject_alt_names = addresses.iter().map(address).chain([mail]).collect();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let secret = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let secret = rustls::crypto::aws_lc_rs::sign::any_supported_type(&secret).unwrap();
        let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
        Arc::new(CertifiedKey::new(chain, secret))
    }
}

/// A server with accounts for romeo, juliet and a very long name, which knows one authority or none.
struct TestServer {
    data: tempfile::TempDir,
    server: Server,
    tasks: Tasks,
}

fn long_name() -> String {
    format!("{}@localhost", "long".repeat(50))
}

impl TestServer {
    async fn new(authority: Option<&Authority>) -> Self {
        let data = tempfile::tempdir().unwrap();
        let authority = authority.map(|authority| authority.pem.as_str());
        let config = Self::config(data.path(), authority, None);
        let storage = MemoryStorage::new();
        for user in ["romeo@localhost", "juliet@localhost", &long_name()] {
            let (keys, created) = (derive_keys("secret", 4096).unwrap(), Timestamp::from_micros(0));
            let user = BareJid::parse(user).unwrap();
            storage
                .accounts()
                .create(&[NewAccount { user, keys, created, admin: false }])
                .await
                .unwrap();
        }
        let tasks = Tasks::new();
        let server = Server::start(config, storage, Clock::system(), tasks.clone()).await.unwrap();
        Self { data, server, tasks }
    }

    /// A configuration with these authorities, and these lists of what they have revoked.
    fn config(data: &std::path::Path, authorities: Option<&str>, lists: Option<&str>) -> Config {
        let mut auth = String::new();
        for (option, content) in [("authorities", authorities), ("revocation_lists", lists)] {
            let Some(content) = content else { continue };
            let file = data.join(option);
            std::fs::write(&file, content).unwrap();
            auth += &format!("certificate_{option} = '{}'\n", file.display());
        }
        let doors = "[listen]\nc2s = []\nc2s_tls = []\nhttp = []\nhttps = []\nproxy65 = []\n";
        let domains = "[[host]]\ndomain = 'localhost'\n[[host]]\ndomain = 'b.example'\n";
        let text = format!("{domains}{doors}[auth]\n{auth}");
        let mut config = Config::parse(&text, "the test").unwrap();
        data.clone_into(&mut config.data);
        config
    }

    /// A client with this certificate, with what it is offered.
    async fn connect(&self, client: Option<&Arc<CertifiedKey>>, how: &Way) -> (Client, String) {
        let (mut io, theirs) = tokio::io::duplex(1 << 16);
        self.server.connect(Box::new(theirs), if how.starttls { "starttls" } else { "direct_tls" });
        if how.starttls {
            io.write_all(HEADER.as_bytes()).await.unwrap();
            heard(&mut io, "</stream:features>").await;
            io.write_all(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await.unwrap();
            heard(&mut io, "<proceed").await;
        }
        let mut config = trust::config(how.tls12);
        if let Some(client) = client {
            let key = SingleCertAndKey::from(CertifiedKey::clone(client));
            config.client_auth_cert_resolver = Arc::new(key);
        }
        let name = ServerName::try_from("localhost").unwrap();
        let mut tls = TlsConnector::from(Arc::new(config)).connect(name, io).await.unwrap();
        tls.write_all(HEADER.as_bytes()).await.unwrap();
        let offered = heard(&mut tls, "</stream:features>").await;
        (Client(tls), offered)
    }

    /// The answer to a login by EXTERNAL.
    async fn login(&self, client: &Arc<CertifiedKey>, authzid: &str, how: &Way) -> String {
        let (mut client, offered) = self.connect(Some(client), how).await;
        assert!(offered.contains(EXTERNAL), "{offered}");
        client.external(authzid, how).await
    }

    async fn close(self) {
        assert_eq!(self.server.state().metrics.panics.get(), 0);
        self.tasks.stop(Duration::from_secs(5)).await;
    }
}

/// How a client connects and logs in.
#[derive(Debug)]
struct Way {
    starttls: bool,
    tls12: bool,
    sasl2: bool,
}

struct Client(TlsStream<DuplexStream>);

impl Client {
    async fn external(&mut self, authzid: &str, how: &Way) -> String {
        let data = STANDARD.encode(authzid);
        let login = match (how.sasl2, authzid) {
            (true, _) => format!(
                "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='EXTERNAL'>\
                 <initial-response>{data}</initial-response></authenticate>"
            ),
            (false, "") => format!("<auth xmlns='{SASL}' mechanism='EXTERNAL'>=</auth>"),
            (false, _) => format!("<auth xmlns='{SASL}' mechanism='EXTERNAL'>{data}</auth>"),
        };
        self.0.write_all(login.as_bytes()).await.unwrap();
        let end = |text: &str| {
            let is_empty = text.contains("<success") && text.ends_with("/>");
            is_empty || text.contains("</success>") || text.contains("</failure>")
        };
        heard_until(&mut self.0, end).await
    }
}

impl Client {
    /// Logs in by EXTERNAL, and has a session.
    async fn bind(&mut self, agent: Option<&str>) {
        let login = format!(
            "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='EXTERNAL'>\
             <initial-response>=</initial-response>{}<bind xmlns='urn:xmpp:bind:0'/></authenticate>",
            agent.unwrap_or_default()
        );
        self.0.write_all(login.as_bytes()).await.unwrap();
        heard(&mut self.0, "</stream:features>").await;
    }
}

/// What comes, up to a text.
async fn heard(io: &mut (impl AsyncReadExt + Unpin), end: &str) -> String {
    heard_until(io, |text| text.contains(end)).await
}

async fn heard_until(io: &mut (impl AsyncReadExt + Unpin), end: impl Fn(&str) -> bool) -> String {
    let reading = async {
        let mut all = Vec::new();
        while !end(&String::from_utf8_lossy(&all)) {
            let read = io.read_buf(&mut all).await.unwrap();
            assert!(read > 0, "the end after {}", String::from_utf8_lossy(&all));
        }
        String::from_utf8(all).unwrap()
    };
    tokio::time::timeout(Duration::from_secs(20), reading).await.expect("an answer")
}

const HEADER: &str = "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
                      xmlns:stream='http://etherx.jabber.org/streams'>";
const EXTERNAL: &str = "<mechanism>EXTERNAL</mechanism>";
const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
const DIRECT: Way = Way { starttls: false, tls12: false, sasl2: false };

#[tokio::test]
async fn a_client_logs_in_by_the_address_in_its_certificate() {
    let authority = Authority::new("Verona");
    let test_server = TestServer::new(Some(&authority)).await;
    let romeo = authority.certify(&["romeo@localhost"], |_| {});
    for starttls in [false, true] {
        for tls12 in [false, true] {
            for sasl2 in [false, true] {
                let how = Way { starttls, tls12, sasl2 };
                for authzid in ["", "romeo@localhost"] {
                    let answer = test_server.login(&romeo, authzid, &how).await;
                    assert!(answer.contains("<success"), "{how:?} {authzid}: {answer}");
                    assert!(!sasl2 || answer.contains(">romeo@localhost<"), "{how:?}: {answer}");
                }
            }
        }
    }
    test_server.close().await;
}

#[tokio::test]
async fn the_certificate_says_which_account_is_meant() {
    let authority = Authority::new("Verona");
    let test_server = TestServer::new(Some(&authority)).await;
    let (long, none, several) = (long_name(), "<not-authorized", "<invalid-authzid");
    for (addresses, authzid, expected) in [
        (vec!["romeo@localhost"], "juliet@localhost", several),
        (vec!["romeo@localhost"], "romeo", several),
        (vec!["romeo@localhost"], "a\0b", several),
        (vec!["romeo@localhost", "juliet@localhost"], "", several),
        (vec!["romeo@localhost", "juliet@localhost"], "juliet@localhost", "<success"),
        // Only one of them has an account at this domain.
        (vec!["romeo@b.example", "nobody@localhost", "romeo@localhost"], "", "<success"),
        (vec!["nobody@localhost"], "", none),
        (vec!["nobody@localhost"], "nobody@localhost", several),
        (vec!["romeo@b.example"], "", none),
        (vec![&long], "", "<success"),
    ] {
        let client = authority.certify(&addresses, |_| {});
        let answer = test_server.login(&client, authzid, &DIRECT).await;
        assert!(answer.contains(expected), "{addresses:?} {authzid}: {answer}");
    }
    test_server.close().await;
}

#[tokio::test]
async fn without_a_valid_certificate_there_is_no_such_login() {
    let (authority, other) = (Authority::new("Verona"), Authority::new("Mantua"));
    let test_server = TestServer::new(Some(&authority)).await;
    let romeo = &["romeo@localhost"];
    let clients = [
        ("no certificate", None),
        ("no address", Some(authority.certify(&[], |_| {}))),
        ("a domain", Some(authority.certify(&["localhost"], |_| {}))),
        ("a full address", Some(authority.certify(&["romeo@localhost/orchard"], |_| {}))),
        ("another authority", Some(other.certify(romeo, |_| {}))),
        (
            "expired",
            Some(authority.certify(romeo, |params| params.not_after = date_time_ymd(2020, 1, 1))),
        ),
        (
            "for a server",
            Some(authority.certify(romeo, |params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            })),
        ),
    ];
    for (what, client) in &clients {
        for how in [&DIRECT, &Way { starttls: true, tls12: true, sasl2: true }] {
            let (mut connected, offered) = test_server.connect(client.as_ref(), how).await;
            assert!(!offered.contains(EXTERNAL), "{what}: {offered}");
            let answer = connected.external("", how).await;
            assert!(answer.contains("<invalid-mechanism"), "{what}: {answer}");
            // The password does.
            let plain = STANDARD.encode("\0romeo\0secret");
            let login = format!("<auth xmlns='{SASL}' mechanism='PLAIN'>{plain}</auth>");
            connected.0.write_all(login.as_bytes()).await.unwrap();
            heard(&mut connected.0, "<success").await;
        }
    }
    test_server.close().await;
}

#[tokio::test]
async fn a_certificate_that_its_authority_has_revoked_is_refused_from_the_next_reload_on() {
    let (authority, other) = (Authority::new("Verona"), Authority::new("Mantua"));
    let test_server = TestServer::new(Some(&authority)).await;
    let certify = |by: &Authority, serial: u64| {
        let serial = SerialNumber::from(serial);
        by.certify(&["romeo@localhost"], |params| params.serial_number = Some(serial))
    };
    let (revoked, valid) = (certify(&authority, 7), certify(&authority, 8));
    let foreign = certify(&other, 8);
    let both = format!("{}{}", authority.pem, other.pem);
    // What the lists say, and which of the three certificates are taken.
    for (lists, expected) in [
        (None, [true, true, true]),
        (Some(authority.revokes(&[7], 4000)), [false, true, false]),
        (Some(authority.revokes(&[7], 4000) + &other.revokes(&[7], 4000)), [false, true, true]),
        // An old list does not say what was revoked since.
        (Some(authority.revokes(&[7], 2020) + &other.revokes(&[], 4000)), [false, false, true]),
        (Some(authority.revokes(&[], 4000) + &other.revokes(&[8], 4000)), [true, true, false]),
    ] {
        let config = TestServer::config(test_server.data.path(), Some(&both), lists.as_deref());
        test_server.server.reload(config).unwrap();
        for (client, is_taken) in [&revoked, &valid, &foreign].into_iter().zip(expected) {
            for how in [&DIRECT, &Way { starttls: true, tls12: true, sasl2: true }] {
                let (mut connected, offered) = test_server.connect(Some(client), how).await;
                assert_eq!(offered.contains(EXTERNAL), is_taken, "{lists:?}: {offered}");
                let answer = connected.external("", how).await;
                let expected = if is_taken { "<success" } else { "<invalid-mechanism" };
                assert!(answer.contains(expected), "{lists:?}: {answer}");
            }
        }
    }
    test_server.close().await;
}

#[tokio::test]
async fn lists_that_cannot_be_read_are_refused_and_the_old_ones_stay() {
    let authority = Authority::new("Verona");
    let test_server = TestServer::new(Some(&authority)).await;
    let romeo = authority.certify(&["romeo@localhost"], |params| {
        params.serial_number = Some(SerialNumber::from(7));
    });
    let load = |lists: &str| {
        test_server.server.reload(TestServer::config(
            test_server.data.path(),
            Some(&authority.pem),
            Some(lists),
        ))
    };
    load(&authority.revokes(&[7], 4000)).unwrap();
    let binary = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n";
    for (lists, why) in [
        (authority.pem.as_str(), "there is none"),
        (binary, "cannot be used"),
        ("0\u{3}", "it is in DER"),
        ("", "is empty"),
    ] {
        let error = load(lists).unwrap_err().to_string();
        assert!(error.contains(why) && error.contains("revocation_lists"), "{error}");
    }
    let (_, offered) = test_server.connect(Some(&romeo), &DIRECT).await;
    assert!(!offered.contains(EXTERNAL), "{offered}");
    test_server.close().await;
}

#[tokio::test]
async fn clients_are_asked_for_certificates_only_if_that_is_configured() {
    let authority = Authority::new("Verona");
    let test_server = TestServer::new(None).await;
    let romeo = authority.certify(&["romeo@localhost"], |_| {});
    let (_, offered) = test_server.connect(Some(&romeo), &DIRECT).await;
    assert!(!offered.contains(EXTERNAL), "{offered}");
    test_server.close().await;
}

#[tokio::test]
async fn a_certificate_whose_access_is_taken_away_is_refused() {
    let authority = Authority::new("Verona");
    let test_server = TestServer::new(Some(&authority)).await;
    let phone = authority.certify(&["romeo@localhost"], |_| {});
    let desk = authority.certify(&["romeo@localhost"], |_| {});
    for (agent, shared) in [(None, ""), (Some(AGENT), "/d4565fa7-4d72-4749-b3d3-740edbf87770")] {
        let phone = if agent.is_none() { &phone } else { &desk };
        let (mut client, _) = test_server.connect(Some(phone), &DIRECT).await;
        client.bind(agent).await;
        let list = "<iq type='get' id='1'><list xmlns='urn:xmpp:cam:0'/></iq>";
        client.0.write_all(list.as_bytes()).await.unwrap();
        let list = heard(&mut client.0, "</iq>").await;
        let external = "<auth><mechanism xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>EXTERNAL";
        assert!(list.contains(external), "{list}");
        let (_, id) = list.split_once(" id='client/certificate/").unwrap();
        let id = format!("client/certificate/{}", id.split('\'').next().unwrap());
        assert!(id.ends_with(shared) && id.len() == 83 + shared.len(), "{id}");
        let revoke =
            format!("<iq type='set' id='2'><revoke xmlns='urn:xmpp:cam:0' id='{id}'/></iq>");
        client.0.write_all(revoke.as_bytes()).await.unwrap();
        let answer = heard(&mut client.0, "</stream:stream>").await;
        assert!(answer.contains("type='result'"), "{answer}");
        // Whatever the client says of itself.
        for sasl2 in [false, true] {
            let how = Way { sasl2, ..DIRECT };
            let answer = test_server.login(phone, "", &how).await;
            assert!(answer.contains("<not-authorized"), "{answer}");
        }
        if agent.is_none() {
            let answer = test_server.login(&desk, "", &DIRECT).await;
            assert!(answer.contains("<success"), "another certificate: {answer}");
        }
    }
    test_server.close().await;
}

const AGENT: &str = "<user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'/>";
