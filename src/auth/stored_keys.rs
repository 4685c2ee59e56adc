//! Finds the keys of an account, or invents keys for accounts that do not exist.

use super::hash::{HASHES, digest_length, hmac};
use super::password::SALT_BYTES;
use super::{SaslError, Verifier};
use crate::jid::BareJid;
use crate::storage::{self, ScramHash, ScramKeys};

impl Verifier {
    /// The keys of an account, and whether they are real. If there is no such account, or it has no keys
    /// for this hash function, the keys are invented: always the same ones, so that nobody can tell, and no
    /// password fits.
    pub(super) async fn keys(
        &self,
        user: &BareJid,
        hash: ScramHash,
    ) -> Result<(ScramKeys, bool), SaslError> {
        // They are computed even if they are not needed, so that both cases take the same time.
        let made_up = self.made_up(user, hash);
        let found = self.storage.accounts().keys(user, hash).await;
        real_or(made_up, found, user)
    }

    /// The same for the hash function that is cheapest to derive, of those for which the account has keys: one
    /// look-up, whether there is an account or not.
    pub(super) async fn cheapest_keys(
        &self,
        user: &BareJid,
    ) -> Result<(ScramKeys, bool), SaslError> {
        let made_up = self.made_up(user, HASHES[0]);
        let found = self.storage.accounts().cheapest_keys(user).await;
        real_or(made_up, found, user)
    }

    /// The same, with a document of the account: one look-up for both.
    pub(super) async fn cheapest_keys_and_document(
        &self,
        user: &BareJid,
        kind: &str,
        key: &str,
    ) -> Result<((ScramKeys, bool), Option<String>), SaslError> {
        let made_up = self.made_up(user, HASHES[0]);
        let (found, document) = match self.storage.keys_and_document(user, kind, key).await {
            Ok((keys, document)) => (Ok(keys), document),
            Err(error) => (Err(error), None),
        };
        Ok((real_or(made_up, found, user)?, document))
    }

    /// The keys of an account that does not exist. They follow from the server's secret.
    fn made_up(&self, user: &BareJid, hash: ScramHash) -> ScramKeys {
        let derive =
            |what: &str| hmac(hash, &self.secret, format!("{what}\0{hash:?}\0{user}").as_bytes());
        let mut salt = derive("salt");
        salt.truncate(SALT_BYTES);
        ScramKeys {
            hash,
            salt,
            iterations: self.iterations(),
            stored_key: derive("stored"),
            server_key: derive("server"),
        }
    }
}

/// The keys that were found, and whether they are real: else those that were made up.
fn real_or(
    made_up: ScramKeys,
    found: storage::Result<Option<ScramKeys>>,
    user: &BareJid,
) -> Result<(ScramKeys, bool), SaslError> {
    let found = found.map_err(|error| {
        tracing::error!(jid = %user, %error, "storage failed");
        SaslError::TemporaryAuthFailure
    })?;
    match found {
        Some(keys) if is_whole(&keys) => Ok((keys, true)),
        Some(_) => {
            tracing::error!(jid = %user, "stored keys are damaged");
            Ok((made_up, false))
        }
        None => Ok((made_up, false)),
    }
}

fn is_whole(keys: &ScramKeys) -> bool {
    let length = digest_length(keys.hash);
    !keys.salt.is_empty()
        && keys.iterations > 0
        && keys.stored_key.len() == length
        && keys.server_key.len() == length
}
