//! PLAIN (RFC 4616): `authzid NUL authcid NUL password`, with exactly two NULs.

use super::SaslError;

/// The message of the client. It has no `Debug`, which would show the password.
pub(super) struct Plain<'a> {
    /// The authorization identity; usually empty.
    pub authzid: Option<&'a str>,
    /// The name of the account.
    pub user: &'a str,
    /// The password as typed.
    pub password: &'a str,
}

impl<'a> Plain<'a> {
    /// # Errors
    /// `malformed-request` if it is not UTF-8, does not have exactly two NULs, or has no name or password.
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
