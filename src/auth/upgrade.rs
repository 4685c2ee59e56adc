//! Upgrades of accounts to more hash functions of SCRAM (XEP-0480 §3).
//!
//! An account that was imported may have keys for SHA-1 only, and the server cannot derive others from them. So a
//! client that knows the password derives the salted password, and the server makes keys of it. The server cannot
//! check that it follows from the same password. So only a client that has just proven the password may do this: it
//! could set a new password, too. A new password replaces all keys, those that were added, too.

use super::hash::digest_length;
use super::password::{SALT_BYTES, keys_of_salted};
use super::{PasswordKey, SaslError, Verifier};
use crate::jid::BareJid;
use crate::storage::ScramHash;

/// An upgrade that an account needs: how the client is to derive the salted password.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Upgrade {
    /// The hash function for which the account has no keys.
    pub hash: ScramHash,
    /// The salt: 16 new random bytes.
    pub salt: Vec<u8>,
    /// The rounds of PBKDF2, as for a new password.
    pub iterations: u32,
}

/// The upgrades that are offered. Which of them an account needs is looked up after its login.
pub const UPGRADES: [ScramHash; 2] = [ScramHash::Sha256, ScramHash::Sha512];

/// The name of the upgrade to a hash function (XEP-0480 §2.1).
#[must_use]
pub fn upgrade_name(hash: ScramHash) -> &'static str {
    match hash {
        ScramHash::Sha1 => "UPGR-SCRAM-SHA-1",
        ScramHash::Sha256 => "UPGR-SCRAM-SHA-256",
        ScramHash::Sha512 => "UPGR-SCRAM-SHA-512",
    }
}

impl Verifier {
    /// The upgrades among `wanted` that an account needs: those to hash functions that are stronger than the one
    /// with which the client has proven its password, and for which the account has no keys.
    ///
    /// # Errors
    /// `temporary-auth-failure` if the storage fails, or the system gives no random numbers.
    pub async fn needed_upgrades(
        &self,
        user: &BareJid,
        proven: &PasswordKey,
        wanted: &[ScramHash],
    ) -> Result<Vec<Upgrade>, SaslError> {
        let mut needed = Vec::new();
        for hash in wanted.iter().copied().filter(|hash| *hash > proven.hash) {
            let (_, is_there) = self.keys(user, hash).await?;
            if !is_there {
                let mut salt = vec![0; SALT_BYTES];
                getrandom::fill(&mut salt).map_err(|error| {
                    tracing::error!(%error, "the system gives no random numbers");
                    SaslError::TemporaryAuthFailure
                })?;
                needed.push(Upgrade { hash, salt, iterations: self.iterations() });
            }
        }
        Ok(needed)
    }

    /// Adds keys to an account. If another client was faster, its keys stay.
    ///
    /// # Errors
    /// `malformed-request` if the salted password does not have the length of the hash; `not-authorized` if the
    /// account has another password by now, or is gone; `temporary-auth-failure` if the storage fails.
    pub async fn upgrade(
        &self,
        user: &BareJid,
        proven: &PasswordKey,
        upgrade: &Upgrade,
        salted_password: &[u8],
    ) -> Result<(), SaslError> {
        let Upgrade { hash, salt, iterations } = upgrade;
        if salted_password.len() != digest_length(*hash) {
            return Err(SaslError::MalformedRequest);
        }
        let keys = keys_of_salted(*hash, salted_password, salt.clone(), *iterations);
        let accounts = self.storage.accounts();
        match accounts.add_keys(user, (proven.hash, &proven.stored_key), &keys).await {
            Ok(true) => {
                tracing::info!(jid = %user, task = upgrade_name(*hash), "the account has keys for one more hash");
                Ok(())
            }
            Ok(false) => Err(SaslError::NotAuthorized),
            Err(error) => {
                tracing::error!(jid = %user, %error, "storage failed");
                Err(SaslError::TemporaryAuthFailure)
            }
        }
    }
}
