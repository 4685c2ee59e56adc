//! Examples of the specifications.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::auth::hash::hash;
use crate::auth::offer::downgrade_text;
use crate::auth::password::keys;
use crate::auth::scram::{ClientFirst, Scram};
use crate::storage::ScramHash;

#[test]
fn the_example_of_rfc_5802_section_5_comes_out() {
    check(&Example {
        hash: ScramHash::Sha1,
        salt: "QSXCR+Q6sek8bf92",
        client_first: "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
        nonce: "3rfcNHYJY1ZVvWVs7j",
        server_first: "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        client_final: "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,\
                       p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        server_final: "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    });
}

#[test]
fn the_example_of_rfc_7677_section_3_comes_out() {
    check(&Example {
        hash: ScramHash::Sha256,
        salt: "W22ZaJ0SNY7soEsUEjb6gQ==",
        client_first: "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        server_first: "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                       s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        client_final: "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                       p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        server_final: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    });
}

struct Example {
    hash: ScramHash,
    salt: &'static str,
    client_first: &'static str,
    nonce: &'static str,
    server_first: &'static str,
    client_final: &'static str,
    server_final: &'static str,
}

fn check(example: &Example) {
    let keys = keys(example.hash, "pencil", STANDARD.decode(example.salt).unwrap(), 4096);
    let first = ClientFirst::parse(example.client_first.as_bytes()).unwrap();
    assert_eq!(first.user, "user");
    let (scram, answer) = Scram::begin(&first, &[], (keys, true), example.nonce, None);
    assert_eq!(String::from_utf8(answer).unwrap(), example.server_first);
    let answer = scram.finish(example.client_final.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(answer).unwrap(), example.server_final);
}

#[test]
fn the_hash_of_xep_0474_comes_out() {
    let text = downgrade_text(
        vec!["SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"],
        vec!["tls-server-end-point", "tls-exporter"],
    );
    assert_eq!(text, "SCRAM-SHA-1\x1eSCRAM-SHA-1-PLUS\x1ftls-exporter\x1etls-server-end-point");
    let hash = STANDARD.encode(hash(ScramHash::Sha1, text.as_bytes()));
    assert_eq!(hash, "G6k/rBLDqgOhRRaCuuatSDFkJ08=");
    assert_eq!(downgrade_text(vec!["PLAIN"], vec![]), "PLAIN");
}
