//! The signature in the address of an upload: only the server makes one, and it is for one slot.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::storage::StoredFile;

/// The key with which slots are signed.
#[derive(Clone)]
pub struct SlotKey([u8; 32]);

impl SlotKey {
    /// The key that follows from the secret of the server.
    #[must_use]
    pub fn of_secret(secret: &[u8; 32]) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect(ANY_LENGTH);
        mac.update(b"waxwing: slots of files");
        Self(mac.finalize().into_bytes().into())
    }

    /// The signature of a slot. It covers the path (id and name), the size, the type, the account and the time of the
    /// slot. Until when the slot may be used stands in its row, which a signature cannot change.
    #[must_use]
    pub fn sign(&self, slot: &StoredFile) -> String {
        URL_SAFE_NO_PAD.encode(self.mac(slot).finalize().into_bytes())
    }

    /// Whether this is the signature of this slot. Takes the same time for all that are not.
    #[must_use]
    pub fn is_of(&self, slot: &StoredFile, signature: &str) -> bool {
        let signature = URL_SAFE_NO_PAD.decode(signature);
        signature.is_ok_and(|signature| self.mac(slot).verify_slice(&signature).is_ok())
    }

    fn mac(&self, slot: &StoredFile) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect(ANY_LENGTH);
        let texts =
            [slot.owner.as_str(), &slot.name, slot.media_type.as_deref().unwrap_or_default()];
        for text in texts {
            mac.update(&(text.len() as u64).to_be_bytes());
            mac.update(text.as_bytes());
        }
        mac.update(slot.id.bytes());
        mac.update(&slot.size.to_be_bytes());
        mac.update(&slot.created.as_micros().to_be_bytes());
        mac
    }
}

const ANY_LENGTH: &str = "HMAC takes keys of any length";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jid::BareJid;
    use crate::payload::datetime::Timestamp;
    use crate::storage::{FileId, Purpose};

    #[test]
    fn a_signature_is_of_one_slot_and_of_one_key() {
        let at = Timestamp::from_micros;
        let slot = StoredFile {
            id: FileId::random(),
            owner: BareJid::parse("romeo@montague.lit").unwrap(),
            name: "a.jpg".into(),
            size: 10,
            media_type: Some("image/jpeg".into()),
            purpose: Purpose::Message,
            created: at(1),
            slot_until: at(2),
            expires: None,
            content: None,
        };
        let key = SlotKey::of_secret(&[1; 32]);
        let signature = key.sign(&slot);
        assert_eq!(signature.len(), 43);
        assert!(key.is_of(&slot, &signature));
        // It may be continued later.
        assert!(key.is_of(&StoredFile { slot_until: at(9), ..slot.clone() }, &signature));
        let juliet = BareJid::parse("juliet@montague.lit").unwrap();
        for other in [
            StoredFile { id: FileId::random(), ..slot.clone() },
            StoredFile { owner: juliet, ..slot.clone() },
            StoredFile { name: "b.jpg".into(), ..slot.clone() },
            StoredFile { size: 11, ..slot.clone() },
            StoredFile { media_type: None, ..slot.clone() },
            StoredFile { created: at(2), ..slot.clone() },
        ] {
            assert!(!key.is_of(&other, &signature), "{other:?}");
        }
        assert!(!SlotKey::of_secret(&[2; 32]).is_of(&slot, &signature));
        for wrong in ["", "é", &signature[1..], &format!("{signature}A"), &"A".repeat(43)] {
            assert!(!key.is_of(&slot, wrong), "{wrong}");
        }
    }
}
