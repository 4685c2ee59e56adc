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

#[cfg(test)]
mod tests {
    use super::random_id;

    #[test]
    fn identifiers_are_22_characters_of_base64url_and_never_the_same() {
        let (one, other) = (random_id(), random_id());
        assert_ne!(one, other);
        assert_eq!(one.len(), 22);
        assert!(one.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'), "{one}");
        assert!(!one.is_heap_allocated());
    }
}
