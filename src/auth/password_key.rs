//! Which password a client has proven to know.

use crate::storage::ScramHash;

/// The key of the password with which a client has logged in (RFC 5802 §3: StoredKey).
#[derive(Clone, Eq, PartialEq)]
pub struct PasswordKey {
    pub(super) hash: ScramHash,
    pub(super) stored_key: Vec<u8>,
}

#[cfg(test)]
impl PasswordKey {
    pub(crate) fn for_tests(hash: ScramHash, stored_key: Vec<u8>) -> Self {
        Self { hash, stored_key }
    }
}
