//! Message ids as clients see them.
//!
//! Nobody may guess the id of an archive (XEP-0313 §3), but an id that grows with time can be guessed. So
//! clients get a keyed permutation of it: a Feistel network of two halves of 32 bits, with HMAC-SHA256 as
//! its round function. It needs no table: the server reads the id back with its key.
//!
//! DEPARTS: XEP-0359 §2.1 – not a UUID. 16 digits of a keyed permutation cannot be guessed either, and
//! need no column and no index.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::MessageId;

/// Writes and reads ids. A server has one, made from its secret, which never changes.
#[derive(Clone)]
pub struct WireIds {
    key: Hmac<Sha256>,
}

impl WireIds {
    /// Uses a key that is derived from the server's secret.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        // A key for this alone: what else is derived from the secret reveals nothing about it.
        let own = keyed(secret).chain_update("archive ids").finalize().into_bytes();
        Self { key: keyed(&own) }
    }

    /// The text of an id: 16 hexadecimal digits.
    #[must_use]
    pub fn write(&self, id: MessageId) -> String {
        let mut halves = split(id.get() as u64);
        for round in 0..ROUNDS {
            halves = (halves.1, halves.0 ^ self.scramble(round, halves.1));
        }
        format!("{:08x}{:08x}", halves.0, halves.1)
    }

    /// The id of a text. `None` if the server cannot have written it. Even if it can, such a message need
    /// not exist.
    #[must_use]
    pub fn read(&self, text: &str) -> Option<MessageId> {
        let is_ours = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != 16 || !text.bytes().all(is_ours) {
            return None;
        }
        let mut halves = split(u64::from_str_radix(text, 16).ok()?);
        for round in (0..ROUNDS).rev() {
            halves = (halves.1 ^ self.scramble(round, halves.0), halves.0);
        }
        let number = u64::from(halves.0) << 32 | u64::from(halves.1);
        MessageId::new(i64::try_from(number).ok()?)
    }

    fn scramble(&self, round: u8, half: u32) -> u32 {
        let mut mac = self.key.clone();
        mac.update(&[round]);
        mac.update(&half.to_be_bytes());
        let bytes = mac.finalize().into_bytes();
        u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }
}

fn split(number: u64) -> (u32, u32) {
    ((number >> 32) as u32, number as u32)
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// Four rounds look random to somebody who sees some ids (Luby and Rackoff). Two are added for safety.
const ROUNDS: u8 = 6;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_can_be_read(number in 1..i64::MAX, secret: [u8; 32]) {
            let ids = WireIds::new(&secret);
            let id = MessageId::new(number).unwrap();
            let text = ids.write(id);
            prop_assert_eq!(text.len(), 16);
            prop_assert_eq!(ids.read(&text), Some(id));
        }

        #[test]
        fn no_text_panics(text: String, bytes in "[0-9a-fA-F+ ]{14,18}") {
            let ids = WireIds::new(&[1; 32]);
            for text in [text, bytes] {
                if let Some(id) = ids.read(&text) {
                    prop_assert_eq!(ids.write(id), text);
                }
            }
        }
    }

    #[test]
    fn neighbours_have_nothing_in_common() {
        let ids = WireIds::new(&[7; 32]);
        let texts: Vec<String> =
            (1..=2_000).map(|n| ids.write(MessageId::new(n).unwrap())).collect();
        assert_eq!(texts.iter().collect::<HashSet<_>>().len(), 2_000);
        let halves = texts.iter().map(|t| &t[..8]).collect::<HashSet<_>>();
        assert!(halves.len() > 1_990, "{}", halves.len());
        let last = texts.iter().map(|t| &t[8..]).collect::<HashSet<_>>();
        assert!(last.len() > 1_990, "{}", last.len());
    }

    #[test]
    fn the_key_decides_and_the_text_stays_the_same() {
        let id = MessageId::new(1_795_161_600_123_000).unwrap();
        let text = WireIds::new(&[7; 32]).write(id);
        assert_ne!(WireIds::new(&[8; 32]).read(&text), Some(id));
        // Clients keep ids for years: another text for the same number would be a loss.
        assert_eq!(text, "b35a544df63c33bb");
    }
}
