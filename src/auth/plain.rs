//! PLAIN (RFC 4616): `authzid NUL authcid NUL password`, and two NULs only.

use super::SaslError;

/// The message of the client. A `Debug` would show the password, so there is none.
pub(super) struct Plain<'a> {
    /// For whom to act; mostly empty.
    pub authzid: Option<&'a str>,
    /// The name of the account.
    pub user: &'a str,
    /// As typed.
    pub password: &'a str,
}

impl<'a> Plain<'a> {
    /// # Errors
    /// `malformed-request` if it is no UTF-8, has not two NULs, or no name or password.
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, SaslError> {
        let text = std::str::from_utf8(message).map_err(|_| SaslError::MalformedRequest)?;
        let mut parts = text.split('\0');
        let (Some(authzid), Some(user), Some(password), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(SaslError::MalformedRequest);
        };
        if user.is_empty() || password.is_empty() {
            return Err(SaslError::MalformedRequest);
        }
        Ok(Self { authzid: (!authzid.is_empty()).then_some(authzid), user, password })
    }
}
