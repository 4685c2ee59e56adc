//! Documents of POSH (RFC 7711 §3): fingerprints, or where they are.

use std::time::Duration;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;

use crate::tls::Fingerprint;

/// A document, with the time for which it holds.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Document {
    /// Fingerprints of certificates (§3.1).
    Fingerprints(Vec<Fingerprint>, Duration),
    /// The address of such a document (§3.2).
    Elsewhere(String, Duration),
}

/// Reads a document.
///
/// # Errors
/// Why it names nothing, in words.
pub(super) fn read(bytes: &[u8]) -> Result<Document, &'static str> {
    let document: Value =
        serde_json::from_slice(bytes).map_err(|_| "the document of the web site is not JSON")?;
    // Without it, or with 0, nothing holds.
    let expires = document.get("expires").and_then(Value::as_u64).filter(|seconds| *seconds > 0);
    let expires = expires.ok_or("the document of the web site does not say how long it holds")?;
    let expires = Duration::from_secs(expires.min(MOST_SECONDS));
    if let Some(named) = document.get("fingerprints") {
        let named = named.as_array().map(Vec::as_slice).unwrap_or_default();
        let named: Vec<_> = named.iter().take(MOST).filter_map(fingerprint).collect();
        return match named.is_empty() {
            true => Err("the web site names no fingerprint by SHA-256 or SHA-512"),
            false => Ok(Document::Fingerprints(named, expires)),
        };
    }
    match document.get("url").and_then(Value::as_str) {
        Some(url) => Ok(Document::Elsewhere(url.to_owned(), expires)),
        None => Err("the document of the web site has no fingerprints"),
    }
}

/// One certificate, by the strongest of the hashes that stand there and that we know.
fn fingerprint(of: &Value) -> Option<Fingerprint> {
    let hash = |name| BASE64.decode(of.get(name)?.as_str()?).ok();
    match hash("sha-512") {
        Some(long) => long.try_into().ok().map(Fingerprint::Sha512),
        None => hash("sha-256")?.try_into().ok().map(Fingerprint::Sha256),
    }
}

/// With or without padding: publishers do both.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Certificates of one document.
const MOST: usize = 64;
/// A year: more is not told apart.
const MOST_SECONDS: u64 = 366 * 24 * 60 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(length: usize) -> String {
        BASE64.encode(vec![7; length])
    }

    #[test]
    fn fingerprints_are_read() {
        let (short, long) = (hash(32), hash(64));
        let one = Fingerprint::Sha256([7; 32]);
        let other = Fingerprint::Sha512([7; 64]);
        let of =
            |list: &str| read(format!("{{\"fingerprints\":[{list}],\"expires\":60}}").as_bytes());
        let found = |named: &[&Fingerprint]| {
            let named = named.iter().map(|one| (*one).clone()).collect();
            Ok(Document::Fingerprints(named, Duration::from_secs(60)))
        };
        assert_eq!(of(&format!("{{\"sha-256\":\"{short}\"}}")), found(&[&one]));
        let unpadded = short.trim_end_matches('=');
        assert_eq!(of(&format!("{{\"sha-256\":\"{unpadded}\"}}")), found(&[&one]));
        let both = format!("{{\"sha-1\":\"AA==\",\"sha-256\":\"{short}\",\"sha-512\":\"{long}\"}}");
        assert_eq!(of(&both), found(&[&other]));
        assert_eq!(
            of(&format!("1,{{}},{both},{{\"sha-256\":\"{short}\"}}")),
            found(&[&other, &one])
        );
        for bad in [
            "",
            "null",
            "{\"sha-1\":\"AA==\"}",
            "{\"sha-256\":\"AA==\"}",
            "{\"sha-256\":\"!\"}",
            "{\"sha-256\":7}",
            &format!("{{\"sha-256\":\"{long}\"}}"),
            // What stands for the stronger hash is wrong: the weaker one does not save it.
            &format!("{{\"sha-512\":\"{short}\",\"sha-256\":\"{short}\"}}"),
        ] {
            assert!(of(bad).is_err(), "{bad}");
        }
        let many = vec![format!("{{\"sha-256\":\"{short}\"}}"); 100].join(",");
        assert!(matches!(of(&many), Ok(Document::Fingerprints(named, _)) if named.len() == MOST));
    }

    #[test]
    fn a_document_says_how_long_it_holds() {
        let of = |expires: &str| read(format!("{{\"url\":\"x\"{expires}}}").as_bytes());
        let holds = |seconds| Ok(Document::Elsewhere("x".into(), Duration::from_secs(seconds)));
        assert_eq!(of(",\"expires\":86400"), holds(86_400));
        assert_eq!(of(",\"expires\":18446744073709551615"), holds(MOST_SECONDS));
        for bad in
            ["", ",\"expires\":0", ",\"expires\":-1", ",\"expires\":\"60\"", ",\"expires\":1e99"]
        {
            assert!(of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_document_names_nothing() {
        let deep = "[".repeat(100_000);
        for bad in ["", "7", "[]", "{", "{\"expires\":60}", "{\"expires\":60,\"url\":7}", &deep] {
            assert!(read(bad.as_bytes()).is_err());
        }
    }
}
