//! Random identifiers.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use smol_str::SmolStr;

/// A new identifier of 128 random bits, as 22 characters of base64url: nobody guesses it, and no two are
/// alike. For streams (RFC 6120 §4.7.3), stanzas, resources, and sessions that can be resumed.
///
/// # Panics
/// If the operating system gives no random bytes.
#[must_use]
pub fn random_id() -> SmolStr {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    let mut text = [0; 22];
    let length =
        URL_SAFE_NO_PAD.encode_slice(bytes, &mut text).expect("16 bytes are 22 characters");
    // Short enough to need no allocation.
    SmolStr::new(str::from_utf8(&text[..length]).expect("base64 is ASCII"))
}

/// A new secret of 100 random bits for a link that people may read aloud or type: 20 characters of 32, without those
/// that look alike.
///
/// # Panics
/// If the operating system gives no random bytes.
#[must_use]
pub fn random_token() -> String {
    let mut bytes = [0; 20];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
}

const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

#[cfg(test)]
mod tests {
    use super::{random_id, random_token};

    #[test]
    fn tokens_are_20_letters_and_digits_and_never_the_same() {
        let (one, other) = (random_token(), random_token());
        assert_ne!(one, other);
        assert!(one.len() == 20 && one.bytes().all(|byte| super::LETTERS.contains(&byte)), "{one}");
    }

    #[test]
    fn identifiers_are_22_characters_of_base64url_and_never_the_same() {
        let (one, other) = (random_id(), random_id());
        assert_ne!(one, other);
        assert_eq!(one.len(), 22);
        assert!(one.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'), "{one}");
        assert!(!one.is_heap_allocated());
    }
}
