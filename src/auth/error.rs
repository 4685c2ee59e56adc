//! Why a login failed (RFC 6120 §6.5), and the base64 encoding of payloads (RFC 6120 §6.4.2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The conditions of RFC 6120 §6.5.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SaslError {
    /// The client aborted the login.
    #[error("aborted by the client")]
    Aborted,
    /// The account is disabled at the moment.
    #[error("the account is disabled")]
    AccountDisabled,
    /// The client chose a mechanism with channel binding but sent no binding.
    #[error("a mechanism with channel binding was chosen, without channel binding")]
    BindingMissing,
    /// The client asks for a type of channel binding that is not offered.
    #[error("the type of channel binding is not offered")]
    BindingUnknown,
    /// The password is too old.
    #[error("the credentials have expired")]
    CredentialsExpired,
    /// The client says that the server offered no channel binding, although it did (RFC 5802 §6).
    /// Somebody in between removed it from the list, or the client's library is wrong.
    #[error("channel binding was offered, and the client says that it was not")]
    Downgrade,
    /// The server offers no mechanism without TLS.
    #[error("logins need encryption")]
    EncryptionRequired,
    /// The payload is not strict base64.
    #[error("the base64 is not correct")]
    IncorrectEncoding,
    /// The client asks to act for another account.
    #[error("the authorization identity is not that of the account")]
    InvalidAuthzid,
    /// The mechanism is not offered on this connection.
    #[error("the mechanism is not offered")]
    InvalidMechanism,
    /// The message breaks the grammar of the mechanism.
    #[error("the message is malformed")]
    MalformedRequest,
    /// The mechanism is too weak for this account.
    #[error("the mechanism is too weak")]
    MechanismTooWeak,
    /// A wrong password, no such account, or another TLS connection. The client does not learn which.
    #[error("not authorized")]
    NotAuthorized,
    /// The server has failed.
    #[error("cannot check credentials at present")]
    TemporaryAuthFailure,
}

impl SaslError {
    /// The name of the element in `<failure/>`.
    #[must_use]
    pub fn condition(self) -> &'static str {
        match self {
            Self::Aborted => "aborted",
            Self::AccountDisabled => "account-disabled",
            Self::BindingMissing | Self::BindingUnknown | Self::MalformedRequest => {
                "malformed-request"
            }
            Self::CredentialsExpired => "credentials-expired",
            Self::Downgrade | Self::NotAuthorized => "not-authorized",
            Self::EncryptionRequired => "encryption-required",
            Self::IncorrectEncoding => "incorrect-encoding",
            Self::InvalidAuthzid => "invalid-authzid",
            Self::InvalidMechanism => "invalid-mechanism",
            Self::MechanismTooWeak => "mechanism-too-weak",
            Self::TemporaryAuthFailure => "temporary-auth-failure",
        }
    }

    /// Whether the failure counts against the address and the account. An aborted login, and one that the
    /// server could not check, does not count. (Each connection has a number of attempts, however they
    /// end.)
    #[must_use]
    pub fn counts_as_failure(&self) -> bool {
        !matches!(self, Self::Aborted | Self::TemporaryAuthFailure) && !self.is_about_binding()
    }

    /// Whether the login failed because of channel binding, before a password was tried. Such a failure
    /// does not count on its connection, either, so that a client can try its whole list.
    ///
    /// COMPAT: slixmpp 1.8 (2022) tries each -PLUS in turn before it goes on: with tls-unique on
    /// TLS 1.2, without any binding on TLS 1.3.
    #[must_use]
    pub fn is_about_binding(&self) -> bool {
        matches!(self, Self::BindingMissing | Self::BindingUnknown | Self::Downgrade)
    }
}

/// Reads a payload. `=` and no text are an empty one. The caller decides whether `<auth/>` without text
/// has a payload (it has none, RFC 6120 §6.4.2).
///
/// # Errors
/// `incorrect-encoding` for everything that is not canonical base64: white space, missing or superfluous
/// padding, other characters (RFC 6120 §13.9.1), bits after the end.
pub fn decode(text: &str) -> Result<Vec<u8>, SaslError> {
    match text {
        "" | "=" => Ok(Vec::new()),
        _ => STANDARD.decode(text).map_err(|_| SaslError::IncorrectEncoding),
    }
}

/// Writes a payload; an empty one is `=`.
#[must_use]
pub fn encode(payload: &[u8]) -> String {
    if payload.is_empty() { "=".to_owned() } else { STANDARD.encode(payload) }
}
