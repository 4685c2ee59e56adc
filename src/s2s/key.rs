//! Keys for dialback (XEP-0185).

use std::fmt::Write as _;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

use super::pair::Pair;

/// Makes and checks keys. All servers with one database have the same one, so each can answer for all.
#[derive(Clone)]
pub(super) struct DialbackKey(Hmac<Sha256>);

impl DialbackKey {
    /// Derives the secret for keys from the server's secret.
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        // A separate secret for this purpose: other values that are derived from the server's secret reveal nothing about it.
        let own = keyed(secret).chain_update("dialback").finalize().into_bytes();
        Self::of_secret(&own)
    }

    /// XEP-0185 §3: the hash of the secret, as text, is the key of the HMAC.
    fn of_secret(secret: &[u8]) -> Self {
        Self(keyed(hex(&Sha256::digest(secret)).as_bytes()))
    }

    /// The key with which we prove this pair on the stream with this id.
    pub(super) fn make(&self, pair: &Pair, stream: &str) -> String {
        let mut mac = self.0.clone();
        for part in [pair.remote.as_str(), " ", &pair.local, " ", stream] {
            mac.update(part.as_bytes());
        }
        hex(&mac.finalize().into_bytes())
    }

    /// Whether we have made this key.
    pub(super) fn is_ours(&self, pair: &Pair, stream: &str, key: &str) -> bool {
        self.make(pair, stream).as_bytes().ct_eq(key.trim().as_bytes()).into()
    }
}

fn keyed(secret: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(secret).expect("HMAC takes a secret of any length")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_the_specification_is_made() {
        // XEP-0185 §3; XEP-0220, example 1.
        let key = DialbackKey::of_secret(b"s3cr3tf0rd14lb4ck");
        let pair = Pair { local: "capulet.example".into(), remote: "montague.example".into() };
        let made = key.make(&pair, "D60000229F");
        assert_eq!(made, "b4835385f37fe2895af6c196b59097b16862406db80559900d96bf6fa7d23df3");
        assert!(key.is_ours(&pair, "D60000229F", &format!("\n {made}\n")));
        assert!(!key.is_ours(&pair, "D60000229E", &made));
        assert!(!key.is_ours(&pair, "D60000229F", ""));
        let turned = Pair { local: pair.remote.clone(), remote: pair.local.clone() };
        assert!(!key.is_ours(&turned, "D60000229F", &made));
        assert!(!DialbackKey::new(&[1; 32]).is_ours(&pair, "D60000229F", &made));
    }
}
