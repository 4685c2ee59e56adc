//! Passwords: how they are prepared, turned into keys, and checked against keys.

use subtle::ConstantTimeEq;

use super::hash::{HASHES, hash, hmac, salted_password};
use super::saslprep::{Unfit, saslprep};
use crate::storage::{ScramHash, ScramKeys};

/// Why a text cannot be a password. The messages are for the person who chose it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PasswordError {
    /// It contains a character that is newer than Unicode 3.2 and that only some programs normalise.
    #[error(
        "the password has the character U+{:04X}, which clients send in different ways: it is newer \
         than Unicode 3.2, and only newer programs normalize it", u32::from(*.0)
    )]
    Ambiguous(char),
    /// It mixes text from right to left with other text.
    #[error(
        "the password mixes text from right to left with other text, which SASLprep forbids \
         (RFC 4013 §2.4)"
    )]
    Direction,
    /// It is empty or has no visible character.
    #[error("the password is empty")]
    Empty,
    /// It contains a control character or a similar one.
    #[error(
        "the password has the character U+{:04X}, which clients cannot send (RFC 4013 §2.3)",
        u32::from(*.0)
    )]
    Prohibited(char),
    /// The operating system provides no random bytes.
    #[error("no random bytes: {0}")]
    Random(getrandom::Error),
    /// It has more than 1023 bytes.
    #[error("the password has over 1023 bytes")]
    TooLong,
    /// The process ends, or a thread panicked.
    #[error("the keys of the password were not derived")]
    Unfinished,
}

impl PasswordError {
    /// Whether the server has failed, so that the password may be valid.
    #[must_use]
    pub fn is_internal(self) -> bool {
        matches!(self, Self::Random(_) | Self::Unfinished)
    }
}

/// Checks whether a text can be a password, without deriving keys.
///
/// # Errors
/// If the password is empty after SASLprep (RFC 4013), or SASLprep refuses it.
pub fn check_password(password: &str) -> Result<(), PasswordError> {
    prepare(password).map(drop)
}

/// Derives keys from a password, for all three hash functions and with new salts. They are stored in
/// place of the password.
///
/// It takes 5 ms of CPU time with 10,000 rounds. The server calls it through
/// [`Derivations`](super::Derivations), which limits how many run at once.
///
/// # Errors
/// If the password is empty after SASLprep (RFC 4013), or SASLprep refuses it.
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

/// SASLprep of a password: the same for stored and received passwords.
pub(super) fn prepare(password: &str) -> Result<String, PasswordError> {
    if password.len() > PASSWORD_MAX {
        return Err(PasswordError::TooLong);
    }
    let prepared = saslprep(password).map_err(|unfit| match unfit {
        Unfit::Ambiguous(c) => PasswordError::Ambiguous(c),
        Unfit::Direction => PasswordError::Direction,
        Unfit::Prohibited(c) => PasswordError::Prohibited(c),
    })?;
    match prepared.len() {
        0 => Err(PasswordError::Empty),
        1..=PASSWORD_MAX => Ok(prepared.into_owned()),
        _ => Err(PasswordError::TooLong),
    }
}

/// The keys of a prepared password (RFC 5802 §3).
pub(super) fn keys(h: ScramHash, password: &str, salt: Vec<u8>, iterations: u32) -> ScramKeys {
    let salted = salted_password(h, password, &salt, iterations);
    keys_of_salted(h, &salted, salt, iterations)
}

/// The keys of a password that is salted already (RFC 5802 §3: SaltedPassword).
pub(super) fn keys_of_salted(
    h: ScramHash,
    salted: &[u8],
    salt: Vec<u8>,
    iterations: u32,
) -> ScramKeys {
    let stored_key = hash(h, &hmac(h, salted, b"Client Key"));
    let server_key = hmac(h, salted, b"Server Key");
    ScramKeys { hash: h, salt, iterations, stored_key, server_key }
}

/// Whether the prepared password belongs to these keys. One derivation, whatever the answer is.
pub(super) fn fits(stored: &ScramKeys, password: &str) -> bool {
    let salted = salted_password(stored.hash, password, &stored.salt, stored.iterations);
    let stored_key = hash(stored.hash, &hmac(stored.hash, &salted, b"Client Key"));
    stored_key.ct_eq(&stored.stored_key).into()
}

/// The number of bytes of a salt.
pub(super) const SALT_BYTES: usize = 16;
/// The largest number of bytes of a password. PLAIN must be able to carry it.
const PASSWORD_MAX: usize = 1023;
