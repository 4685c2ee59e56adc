//! `waxwing config check`: what no server would start with, and what no client would be glad of.

#![expect(clippy::unwrap_used, reason = "the helpers of a test stand outside of its functions")]

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;

#[expect(dead_code, reason = "other tests use the rest of it")]
#[path = "support/program.rs"]
mod program;

use program::Place;

const DOORS: &str = "[listen]\nc2s = []\nc2s_tls = []\nhttp = []\nhttps = []\nproxy65 = []\n";

/// A place whose host has these files.
fn place(certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Place {
    let place = Place::new();
    std::fs::set_permissions(place.path().join("waxwing-data"), Permissions::from_mode(0o700))
        .unwrap();
    std::fs::write(place.path().join("c.pem"), certificate).unwrap();
    std::fs::write(place.path().join("k.pem"), key).unwrap();
    std::fs::set_permissions(place.path().join("k.pem"), Permissions::from_mode(0o600)).unwrap();
    configure(&place, "certificate = 'c.pem'\nkey = 'k.pem'\n");
    place
}

fn configure(place: &Place, files: &str) {
    // An address of the loopback interface as a domain would need no DNS; a name shows more.
    place.write("waxwing.toml", &format!("[[host]]\ndomain = 'a.example'\n{files}{DOORS}"));
}

fn params(name: &str) -> CertificateParams {
    CertificateParams::new([name.to_owned()]).unwrap()
}

/// A certificate of itself, and its key.
fn pair(change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = params("a.example");
    change(&mut params);
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// What is said of the host, with the exit code.
#[track_caller]
fn refused(place: &Place, code: i32) -> String {
    let ran = place.run("config check").ends_with(code);
    let said = if code == 0 { ran.out } else { ran.err };
    let wanted = if code == 0 { "warning: host a.example: " } else { "error: host a.example: " };
    let line = said.lines().find_map(|line| line.strip_prefix(wanted));
    line.unwrap_or_else(|| panic!("no line with {wanted:?} in\n{said}")).to_owned()
}

#[track_caller]
fn clean(place: &Place) {
    let ran = place.run("config check --json").ends_with(0).json();
    assert_eq!(ran["ok"], true);
    assert_eq!(ran["warnings"], Value::Array(Vec::new()), "{ran}");
}

#[test]
fn files_that_no_server_starts_with_are_told_each_with_its_reason() {
    let (certificate, key) = pair(|_| {});
    let (_, foreign) = pair(|_| {});
    let (der, der_key) = (der_of(&certificate), der_of(&key));
    let cut = |text: &str| text.as_bytes()[..text.len() / 2].to_vec();
    let (half, half_key) = (cut(&certificate), cut(&key));
    let utf16: Vec<u8> = "\u{feff}"
        .encode_utf16()
        .chain(certificate.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let legacy = key
        .replace(
            "-----BEGIN PRIVATE KEY-----\n",
            "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n",
        )
        .replace("END PRIVATE", "END EC PRIVATE");
    let damaged = certificate.replacen("MII", "MIJ", 1);
    let request = "-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n";
    let ok = certificate.as_bytes();
    let cases: &[(&[u8], &[u8], &str)] = &[
        (b"", key.as_bytes(), "c.pem is empty"),
        (ok, b" \n", "k.pem is empty"),
        (&der, key.as_bytes(), "c.pem is in DER"),
        (ok, &der_key, "openssl pkey -inform DER"),
        (&utf16, key.as_bytes(), "UTF-16"),
        (&half, key.as_bytes(), "c.pem is cut off"),
        (ok, &half_key, "k.pem is cut off"),
        (damaged.as_bytes(), key.as_bytes(), "the certificate in c.pem cannot be read"),
        (b"hello", key.as_bytes(), "no certificate in c.pem"),
        (request.as_bytes(), key.as_bytes(), "no certificate in c.pem"),
        (ok, b"hello", "no private key in k.pem"),
        (ok, ok, "but \"CERTIFICATE\""),
        (key.as_bytes(), ok, "exchange the two"),
        (ok, foreign.as_bytes(), "does not belong to the first certificate"),
        (ok, encrypted.as_bytes(), "protected by a password"),
        (ok, legacy.as_bytes(), "protected by a password"),
        (RSA_1024.as_bytes(), RSA_1024_KEY.as_bytes(), "an RSA key of 1024 bits"),
        (SECP256K1.as_bytes(), SECP256K1_KEY.as_bytes(), "secp256k1"),
    ];
    for (certificate, key, reason) in cases {
        let place = place(certificate, key);
        let said = refused(&place, 6);
        assert!(said.contains(reason), "{reason:?} is not what is said: {said}");
        // The same words, by the same code.
        let served = place.run("serve").ends_with(1);
        assert!(served.err.contains(&said), "{said}\nserve says\n{}", served.err);
    }
    let place = place(ok, &key);
    std::fs::remove_file(place.path().join("k.pem")).unwrap();
    assert!(refused(&place, 6).contains("cannot read k.pem"));
}

#[test]
fn certificates_that_clients_refuse_are_errors_too() {
    let (old, key) = pair(|params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
    assert!(refused(&place(old, key), 6).contains("has expired on 2020-01-01"));
    let (new, key) = pair(|params| params.not_before = rcgen::date_time_ymd(2199, 1, 1));
    assert!(refused(&place(new, key), 6).contains("valid only from 2199-01-01"));
    let (other, key) = pair(|changed| *changed = params("b.example"));
    assert!(refused(&place(other, key), 6).contains("does not name a.example but b.example"));
}

#[test]
fn chains_are_looked_at() {
    let issuer = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(rcgen::DnType::CommonName, "Verona");
    let root = authority.self_signed(&issuer).unwrap().pem();
    let issuer = Issuer::new(authority, issuer);
    let key = KeyPair::generate().unwrap();
    let leaf = params("a.example").signed_by(&key, &issuer).unwrap().pem();
    let (stranger, _) = pair(|_| {});
    let key = key.serialize_pem();
    clean(&place(format!("{leaf}{root}"), &key));
    assert!(refused(&place(&leaf, &key), 0).contains("not that of its issuer (CN=Verona)"));
    assert!(refused(&place(format!("{root}{leaf}"), &key), 6).contains("certificate number 2"));
    let said = refused(&place(format!("{leaf}{stranger}"), &key), 0);
    assert!(said.contains("number 2 in c.pem has not issued the one before it"), "{said}");
}

#[test]
fn what_can_be_used_is_right_with_a_warning_or_without() {
    let (certificate, key) = pair(|_| {});
    clean(&place(&certificate, &key));
    clean(&place(certificate.replace('\n', "\r\n"), key.replace('\n', "\r\n")));
    clean(&place(format!("Subject: CN=a.example\n{certificate}"), &key));
    let marked = place(format!("\u{feff}{certificate}"), &key);
    assert!(refused(&marked, 0).contains("byte order mark"));

    // The key beside the certificate, in either order.
    for both in [format!("{certificate}{key}"), format!("{key}{certificate}")] {
        let place = place(both, "");
        std::fs::set_permissions(place.path().join("c.pem"), Permissions::from_mode(0o600))
            .unwrap();
        configure(&place, "certificate = 'c.pem'\n");
        clean(&place);
    }
    let alone = place(&certificate, "");
    configure(&alone, "certificate = 'c.pem'\n");
    assert!(refused(&alone, 6).contains("c.pem has a certificate and no key"));

    let open = place(&certificate, &key);
    std::fs::set_permissions(open.path().join("k.pem"), Permissions::from_mode(0o644)).unwrap();
    assert!(refused(&open, 0).contains("can be read by all users"));
}

#[test]
fn a_port_that_somebody_has_is_an_error_and_nothing_is_made() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let doors = DOORS.replace("c2s = []", &format!("c2s = '{address}'"));
    place.write("waxwing.toml", &format!("data = 'new'\n{doors}"));
    let ran = place.run("config check --json").ends_with(6).json();
    let details = ran["error"]["details"].as_array().unwrap();
    let port = details.iter().find(|finding| finding["about"] == "listen.c2s").unwrap();
    assert_eq!(port["severity"], "error");
    assert!(!place.path().join("new").exists());
    drop(taken);
    place.run("config check").ends_with(0);
    assert!(!place.path().join("new").exists());

    place.write("file", "");
    place.write("waxwing.toml", &format!("data = 'file/below'\n{DOORS}"));
    let ran = place.run("config check").ends_with(6);
    assert!(ran.err.contains("error: data: file is not a directory"), "{}", ran.err);
}

/// The bytes of the first section of a PEM file.
fn der_of(pem: &str) -> Vec<u8> {
    use base64::Engine as _;
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    base64::engine::general_purpose::STANDARD.decode(body).unwrap()
}

// Made for this test by OpenSSL; rcgen makes neither.
const RSA_1024: &str = "\
-----BEGIN CERTIFICATE-----
MIICGjCCAYOgAwIBAgIUR9kbd7aEa4K//xvWtXsPRCtBZpYwDQYJKoZIhvcNAQEL
BQAwFDESMBAGA1UEAwwJYS5leGFtcGxlMB4XDTI2MTEyOTA4NDgwN1oXDTM2MTEy
NjA4NDgwN1owFDESMBAGA1UEAwwJYS5leGFtcGxlMIGfMA0GCSqGSIb3DQEBAQUA
A4GNADCBiQKBgQDNzvLSWouEVKcqoqkAvLkCI3HUFPFDE7gaSDbAzqeEuQth9Ar5
QJiDhlC42e7Fu4LChpHPZCiV8YYmj30nHEyKAJ8ENvzuLvrVLUGLvUZFfcgMRjVa
u1PBoioIW+oteT7wOQ4teWIKSAYU/L1LcheZt5cZpbTzk2Ye2R8q4EDg8QIDAQAB
o2kwZzAdBgNVHQ4EFgQUsF0csjJhqeQiQvsHRfJ9yZ2bJa0wHwYDVR0jBBgwFoAU
sF0csjJhqeQiQvsHRfJ9yZ2bJa0wDwYDVR0TAQH/BAUwAwEB/zAUBgNVHREEDTAL
gglhLmV4YW1wbGUwDQYJKoZIhvcNAQELBQADgYEAS4mYsv2pFjtFgQG1zFogiDiy
8F0pDhMnGv4rQCXGIVTaZy137fw9yInyKroOjB1P+/oj88LPA67P2feTPFPqu+3I
YGKYX2nAXV2VzF8F2vV7UZm+MFhhLxy7vqcUkC4ee3KXp60QCFFM9Tlbjz6mPcvv
/mH6gbW8aoKuwfdO2Mo=
-----END CERTIFICATE-----
";
const RSA_1024_KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIICdwIBADANBgkqhkiG9w0BAQEFAASCAmEwggJdAgEAAoGBAM3O8tJai4RUpyqi
qQC8uQIjcdQU8UMTuBpINsDOp4S5C2H0CvlAmIOGULjZ7sW7gsKGkc9kKJXxhiaP
fSccTIoAnwQ2/O4u+tUtQYu9RkV9yAxGNVq7U8GiKghb6i15PvA5Di15YgpIBhT8
vUtyF5m3lxmltPOTZh7ZHyrgQODxAgMBAAECgYBje5iWo9vy0HSpwEzPJWqMpRN9
v83Lbbm9QpDs7De/iS7+X1f6mgXe9csJP5cSj4wqeZ/7zt9rc380HoIRqLU51TvU
hqQIVB/4ItVbp9KdMnSrqj0DmUrBDOZ7XuONL+0R2WCm9b4csgCMCofkFuGyYc2D
ugVsDycS/PsH9dt8DQJBAPsUalFjIKjwANivPkDAnPrt+35Obq4kpI+pWnN0VOdY
Pt/nh7KJ5NnhzgmzSUKpHEzENWqXo3WkbAQx9ihQKyMCQQDR12vzxT0hQLxvrfGt
DgapvSy9+RbxfMUSgaWZBBq5yYWeNSqgUC/WdUwrSruba6rglwfjaNaB/Cfkwdn8
OL7bAkEAxUWRE0kzTAjmYVmvK+kqbe21/9NYGvMnaMjDDJuGag5nuDyN3bWCXb6Q
yAZZtUpxtc8juRBTmgcJ53Hp2lrCyQJBAIH2BlDirnqCynHsbAp+7ld/5079D12e
pbtReksrhJXeHpgeW3kQUKBk4zjIvyqB40HXqDYKvxegIOEHwkb4qhMCQHAcUyl6
mT0fytwxFQ0n1PwaIbe9qrk5xNgRnlM2zk0Rna6RTPvdc1m89Dxd67mxQHSnoAps
2xGihLzR+J40rNs=
-----END PRIVATE KEY-----
";
const SECP256K1: &str = "\
-----BEGIN CERTIFICATE-----
MIIBjzCCATagAwIBAgIUHKqy8Owo3gikXuzSGb909/Gf3vgwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJYS5leGFtcGxlMB4XDTI2MTEyOTA4NDgwN1oXDTM2MTEyNjA4
NDgwN1owFDESMBAGA1UEAwwJYS5leGFtcGxlMFYwEAYHKoZIzj0CAQYFK4EEAAoD
QgAEYXWbWCEHwoYVIB48Ecgt+NAAyfSD0ugFaR1o8gMR3fUzV+uDY7uokudu8fbR
8dGNCnUExFj7YyUAL0Pv3NSZZaNpMGcwHQYDVR0OBBYEFP6gqchpf26cbixmV6JT
l/Gqh8oyMB8GA1UdIwQYMBaAFP6gqchpf26cbixmV6JTl/Gqh8oyMA8GA1UdEwEB
/wQFMAMBAf8wFAYDVR0RBA0wC4IJYS5leGFtcGxlMAoGCCqGSM49BAMCA0cAMEQC
ICqjWO8BYsKZ/VP8SBYYXA708rTmIaYhoQtfp6zte4mUAiA5/h6DvIbroVMPlnFx
Y+tCGQcu4Pib9W2F+gLGVP2jhQ==
-----END CERTIFICATE-----
";
const SECP256K1_KEY: &str = "\
-----BEGIN EC PRIVATE KEY-----
MHQCAQEEIFI5DU0PCJqTDWBh9d6HkBkE+3NVJ9uzLOlRNdgXhGc8oAcGBSuBBAAK
oUQDQgAEYXWbWCEHwoYVIB48Ecgt+NAAyfSD0ugFaR1o8gMR3fUzV+uDY7uokudu
8fbR8dGNCnUExFj7YyUAL0Pv3NSZZQ==
-----END EC PRIVATE KEY-----
";
