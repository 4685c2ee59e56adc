//! Which password a client has proven to know.

use crate::storage::ScramHash;

/// The key of the password with which a client has logged in (RFC 5802 §3: StoredKey).
#[derive(Clone, Eq, PartialEq)]
pub struct PasswordKey {
    pub(super) hash: ScramHash,
    pub(super) stored_key: Vec<u8>,
}
