//! Checks passwords that somebody has typed on a web page, outside of SASL.

use super::password_key::PasswordKey;
use super::{SaslError, Verifier, password};
use crate::jid::BareJid;
use crate::storage;

impl Verifier {
    /// Checks a password as somebody has typed it, outside of an exchange. The key of it, if it is that of the account. The
    /// caller throttles wrong ones.
    ///
    /// # Errors
    /// `temporary-auth-failure` if the store fails, or the server ends.
    pub async fn prove(
        &self,
        user: &BareJid,
        password: &str,
    ) -> Result<Option<PasswordKey>, SaslError> {
        match password::prepare(password) {
            Ok(password) => self.check_password(user, password).await,
            Err(_) => Ok(None),
        }
    }

    /// Whether the password of an account is still the one that was proven.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn is_current(&self, user: &BareJid, proven: &PasswordKey) -> storage::Result<bool> {
        let keys = self.storage.accounts().keys(user, proven.hash).await?;
        Ok(keys.is_some_and(|keys| keys.stored_key == proven.stored_key))
    }
}
