//! Offers, names, base64 and passwords.

use proptest::prelude::*;

use super::{config, tls13};
use crate::auth::password::keys;
use crate::auth::plain::Plain;
use crate::auth::scram::{ClientFirst, Scram};
use crate::auth::{MechanismName, Offer, PasswordError, SaslError, TlsFacts, TlsVersion};
use crate::auth::{decode, derive_keys, encode};
use crate::storage::ScramHash;

fn names(offer: &Offer) -> String {
    offer.mechanisms().iter().map(|m| m.as_str()).collect::<Vec<_>>().join(" ")
}

const PLUS: &str = "SCRAM-SHA-512-PLUS SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS ";
const SCRAM: &str = "SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1";

#[test]
fn nothing_is_offered_without_tls() {
    let offer = Offer::new(&config(), None);
    assert_eq!(names(&offer), "");
    assert!(offer.channel_bindings().is_empty());
}

#[test]
fn the_strongest_mechanism_is_offered_first() {
    let mut config = config();
    let offer = Offer::new(&config, Some(&tls13()));
    assert_eq!(names(&offer), format!("{PLUS}{SCRAM} PLAIN ANONYMOUS"));
    assert_eq!(offer.channel_bindings(), ["tls-exporter", "tls-server-end-point"]);
    config.plain = false;
    config.anonymous = false;
    assert_eq!(names(&Offer::new(&config, Some(&tls13()))), format!("{PLUS}{SCRAM}"));
}

#[test]
fn an_account_is_offered_what_it_has_keys_for_and_the_hash_follows() {
    let mut config = config();
    config.anonymous = false;
    let all = Offer::new(&config, Some(&tls13()));
    let some = all.with_hashes(&[ScramHash::Sha1, ScramHash::Sha512]);
    let left = "SCRAM-SHA-512-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-512 SCRAM-SHA-1 PLAIN";
    assert_eq!(names(&some), left);
    assert_eq!(some.channel_bindings(), all.channel_bindings());
    assert!(all.downgrade_text().contains("SCRAM-SHA-256"));
    assert!(!some.downgrade_text().contains("SCRAM-SHA-256"));
    let hashes = [ScramHash::Sha1, ScramHash::Sha256, ScramHash::Sha512];
    assert_eq!(names(&all.with_hashes(&hashes)), names(&all));
}

#[test]
fn nothing_is_bound_on_tls_1_2() {
    let tls = TlsFacts { version: Some(TlsVersion::V1_2), ..tls13() };
    let offer = Offer::new(&config(), Some(&tls));
    assert!(offer.channel_bindings().is_empty());
    assert_eq!(names(&offer), format!("{SCRAM} PLAIN ANONYMOUS"));
    // But for tokens, to the certificate.
    let tokens: Vec<_> = offer.token_mechanisms().map(|token| token.as_str()).collect();
    assert_eq!(tokens, ["HT-SHA-256-ENDP", "HT-SHA-256-NONE"]);
    let tls = TlsFacts { server_end_point: None, ..tls13() };
    assert_eq!(Offer::new(&config(), Some(&tls)).channel_bindings(), ["tls-exporter"]);
}

#[test]
fn names_of_mechanisms_are_read_as_they_are_written() {
    for name in MechanismName::ALL {
        assert_eq!(name.as_str().parse(), Ok(name));
    }
    for name in ["", "plain", "DIGEST-MD5", "SCRAM-SHA-1-PLUS ", "external"] {
        assert_eq!(name.parse::<MechanismName>(), Err(SaslError::InvalidMechanism), "{name}");
    }
}

#[test]
fn only_canonical_base64_is_read() {
    assert_eq!(decode("="), Ok(Vec::new()));
    assert_eq!(decode(""), Ok(Vec::new()));
    assert_eq!(decode("AGE="), Ok(b"\0a".to_vec()));
    for text in ["AGE", "AGE==", "A GE=", "AGE=\n", "AGF=", "AG-_", "==", "=AGE", "AGE=AGE="] {
        assert_eq!(decode(text), Err(SaslError::IncorrectEncoding), "{text:?}");
    }
    assert_eq!(encode(b""), "=");
    assert_eq!(encode(b"\0a"), "AGE=");
}

#[test]
fn passwords_that_clients_could_not_send_are_refused() {
    assert_eq!(derive_keys("", 1).err(), Some(PasswordError::Empty));
    assert_eq!(derive_keys("\u{ad}", 1).err(), Some(PasswordError::Empty));
    assert_eq!(derive_keys("a\nb", 1).err(), Some(PasswordError::Prohibited('\n')));
    assert_eq!(derive_keys("a\0b", 1).err(), Some(PasswordError::Prohibited('\0')));
    assert_eq!(derive_keys("a\u{32ff}", 1).err(), Some(PasswordError::Ambiguous('\u{32ff}')));
    assert_eq!(derive_keys("\u{5d0}1", 1).err(), Some(PasswordError::Direction));
    assert_eq!(derive_keys(&"x".repeat(1024), 1).err(), Some(PasswordError::TooLong));
    assert!(derive_keys(&"x".repeat(1023), 1).is_ok());
}

#[test]
fn keys_are_made_for_each_hash_with_a_salt_of_its_own() {
    let keys = derive_keys("secret", 1).unwrap();
    let again = derive_keys("secret", 1).unwrap();
    assert_eq!(keys.len(), 3);
    for (a, b) in keys.iter().zip(&again) {
        assert_eq!(a.hash, b.hash);
        assert_eq!(a.salt.len(), 16);
        assert_ne!(a.salt, b.salt);
        assert_ne!(a.stored_key, b.stored_key);
        assert_ne!(a.stored_key, a.server_key);
    }
    assert_ne!(keys[0].salt, keys[1].salt);
}

#[test]
fn errors_that_are_not_the_peers_fault_do_not_count() {
    assert!(SaslError::NotAuthorized.counts_as_failure());
    assert!(SaslError::MalformedRequest.counts_as_failure());
    assert!(!SaslError::TemporaryAuthFailure.counts_as_failure());
    assert!(!SaslError::Aborted.counts_as_failure());
}

proptest! {
    #[test]
    fn no_bytes_make_a_parser_panic(bytes in any::<Vec<u8>>(), text in any::<String>()) {
        drop(Plain::parse(&bytes));
        drop(ClientFirst::parse(&bytes));
        drop(decode(&text));
        drop(Plain::parse(text.as_bytes()));
    }

    #[test]
    fn near_messages_do_not_make_a_parser_panic(
        text in "([nyp]|p=[a-z-]{0,3}),(a=[a=2C3D]{0,5})?,[nm]=[a=2C3D,]{0,8},r=[ -~é]{0,6}"
    ) {
        if let Ok(first) = ClientFirst::parse(text.as_bytes()) {
            prop_assert!(!first.user.is_empty());
        }
    }

    #[test]
    fn no_second_message_makes_a_parser_panic_or_lets_anybody_in(
        bytes in any::<Vec<u8>>(),
        text in "c=[biws=]{0,6},r=[abcx]{0,4}(,[a-z]=[a-z,=]{0,4})?,p=[A-Za-z0-9+/=]{0,90}"
    ) {
        let first = ClientFirst::parse(b"n,,n=juliet,r=abc").unwrap();
        for message in [&bytes[..], text.as_bytes()] {
            let keys = keys(ScramHash::Sha256, "secret", vec![1; 16], 1);
            let (scram, _) = Scram::begin(&first, &[], (keys, true), "x", None);
            prop_assert!(scram.finish(message).is_err());
        }
    }

    #[test]
    fn payloads_come_back(bytes in any::<Vec<u8>>()) {
        prop_assert_eq!(decode(&encode(&bytes)), Ok(bytes));
    }
}
