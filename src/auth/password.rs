//! Passwords: preparing them, making keys of them, and checking one against keys.

use subtle::ConstantTimeEq;

use super::hash::{HASHES, hash, hmac, salted_password};
use crate::storage::{ScramHash, ScramKeys};

/// Why a text is no password.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PasswordError {
    /// Nothing, or nothing visible.
    #[error("the password is empty")]
    Empty,
    /// A control character, or one that is newer than the tables of SASLprep (Unicode 3.2).
    #[error("the password has a character that clients could not send")]
    Forbidden,
    /// The machine gives no random bytes.
    #[error("no random bytes: {0}")]
    Random(getrandom::Error),
    /// Over 1023 bytes.
    #[error("the password has over 1023 bytes")]
    TooLong,
}

/// Keys from a password: all three hashes, fresh salts. What is stored in place of the password.
///
/// Takes 5 ms of CPU with 10,000 rounds: call it off the async workers.
///
/// # Errors
/// If SASLprep (RFC 4013) leaves nothing of the password or refuses it.
pub fn derive_keys(password: &str, iterations: u32) -> Result<Vec<ScramKeys>, PasswordError> {
    let password = prepare(password)?;
    HASHES
        .into_iter()
        .map(|hash| {
            let mut salt = vec![0; SALT_BYTES];
            getrandom::fill(&mut salt).map_err(PasswordError::Random)?;
            Ok(keys(hash, &password, salt, iterations.max(1)))
        })
        .collect()
}

/// SASLprep of a password that is to be stored, hence without characters that Unicode 3.2 did not
/// know (RFC 4013 §2.5): clients disagree on them.
pub(super) fn prepare(password: &str) -> Result<String, PasswordError> {
    if password.len() > PASSWORD_MAX {
        return Err(PasswordError::TooLong);
    }
    let prepared = stringprep::saslprep(password).map_err(|_| PasswordError::Forbidden)?;
    match prepared.len() {
        0 => Err(PasswordError::Empty),
        1..=PASSWORD_MAX => Ok(prepared.into_owned()),
        _ => Err(PasswordError::TooLong),
    }
}

/// RFC 5802 §3. The password is prepared.
pub(super) fn keys(h: ScramHash, password: &str, salt: Vec<u8>, iterations: u32) -> ScramKeys {
    let salted = salted_password(h, password, &salt, iterations);
    let stored_key = hash(h, &hmac(h, &salted, b"Client Key"));
    let server_key = hmac(h, &salted, b"Server Key");
    ScramKeys { hash: h, salt, iterations, stored_key, server_key }
}

/// The prepared password belongs to these keys. One derivation, whatever the answer.
pub(super) fn fits(stored: &ScramKeys, password: &str) -> bool {
    let salted = salted_password(stored.hash, password, &stored.salt, stored.iterations);
    let stored_key = hash(stored.hash, &hmac(stored.hash, &salted, b"Client Key"));
    stored_key.ct_eq(&stored.stored_key).into()
}

/// Bytes of a salt.
pub(super) const SALT_BYTES: usize = 16;
/// Bytes of a password; PLAIN must be able to carry it.
const PASSWORD_MAX: usize = 1023;
