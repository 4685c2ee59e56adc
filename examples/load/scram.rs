//! The client's side of SCRAM-SHA-1 (RFC 5802) without channel binding.
//!
//! Keys are cached by salt: deriving them is the client's cost, not what is measured here.

use std::collections::HashMap;

use anyhow::{Context, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha1::{Digest as _, Sha1};

/// Salted passwords by salt and iteration count.
pub(crate) type Cache = HashMap<(Vec<u8>, u32), [u8; 20]>;

/// The client's first message.
pub(crate) struct First {
    bare: String,
    nonce: String,
}

impl First {
    pub(crate) fn new(user: &str) -> anyhow::Result<Self> {
        let mut random = [0; 18];
        getrandom::fill(&mut random)?;
        let nonce = base64(&random);
        Ok(Self { bare: format!("n={user},r={nonce}"), nonce })
    }

    pub(crate) fn message(&self) -> String {
        format!("n,,{}", self.bare)
    }

    /// Answers the server's first message.
    pub(crate) fn answer(
        &self,
        challenge: &str,
        password: &str,
        cache: &mut Cache,
    ) -> anyhow::Result<Last> {
        let field = |name: &str| {
            challenge
                .split(',')
                .find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
                .with_context(|| format!("no {name} in the challenge {challenge}"))
        };
        let nonce = field("r")?;
        ensure!(nonce.starts_with(&self.nonce), "the server does not repeat our nonce");
        let salt = STANDARD.decode(field("s")?)?;
        let iterations = field("i")?.parse()?;
        let salted = *cache.entry((salt, iterations)).or_insert_with_key(|(salt, iterations)| {
            pbkdf2::pbkdf2_hmac_array::<Sha1, 20>(password.as_bytes(), salt, *iterations)
        });
        let without_proof = format!("c=biws,r={nonce}");
        let signed = format!("{},{challenge},{without_proof}", self.bare);
        let client_key = mac(&salted, b"Client Key");
        let mut proof = mac(&Sha1::digest(client_key), signed.as_bytes());
        for (byte, key) in proof.iter_mut().zip(client_key) {
            *byte ^= key;
        }
        Ok(Last {
            message: format!("{without_proof},p={}", base64(&proof)),
            signature: base64(&mac(&mac(&salted, b"Server Key"), signed.as_bytes())),
        })
    }
}

/// The client's last message, and the signature by which the server must answer it.
pub(crate) struct Last {
    pub(crate) message: String,
    signature: String,
}

impl Last {
    pub(crate) fn check(&self, success: &str) -> anyhow::Result<()> {
        ensure!(
            success.strip_prefix("v=") == Some(&self.signature),
            "the server does not know the password"
        );
        Ok(())
    }
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn from_base64(text: &str) -> anyhow::Result<String> {
    Ok(String::from_utf8(STANDARD.decode(text.trim())?)?)
}

fn mac(key: &[u8], message: &[u8]) -> [u8; 20] {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 5802 §5.
    #[test]
    fn the_example_of_the_specification_holds() {
        let nonce = "fyko+d2lbbFgONRv9qkxdawL".to_owned();
        let first = First { bare: format!("n=user,r={nonce}"), nonce };
        let challenge = "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096";
        let last = first.answer(challenge, "pencil", &mut Cache::new()).unwrap();
        assert!(last.message.ends_with(",p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="), "{}", last.message);
        last.check("v=rmF9pqV8S7suAoZWja4dJRkFsKQ=").unwrap();
        last.check("v=AAAApqV8S7suAoZWja4dJRkFsKQ=").unwrap_err();
    }
}
