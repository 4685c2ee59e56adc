//! Why a login failed (RFC 6120 §6.5), and the base64 in which payloads travel (RFC 6120 §6.4.2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The conditions of RFC 6120 §6.5.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SaslError {
    /// The client gave up.
    #[error("aborted by the client")]
    Aborted,
    /// The account is closed for the time being.
    #[error("the account is disabled")]
    AccountDisabled,
    /// The client chose a mechanism with channel binding, and binds to nothing.
    #[error("a mechanism with channel binding was chosen, without channel binding")]
    BindingMissing,
    /// The client wants to bind the login to its connection in a way that is not offered.
    #[error("the type of channel binding is not offered")]
    BindingUnknown,
    /// The password is too old.
    #[error("the credentials have expired")]
    CredentialsExpired,
    /// The client says that it saw no channel binding, where it was offered (RFC 5802 §6): somebody
    /// in between has taken it from the list, or a library knows no better.
    #[error("channel binding was offered, and the client says that it was not")]
    Downgrade,
    /// Nothing is offered without TLS.
    #[error("logins need encryption")]
    EncryptionRequired,
    /// No strict base64.
    #[error("the base64 is not correct")]
    IncorrectEncoding,
    /// The wish to act for somebody else.
    #[error("the authorization identity is not that of the account")]
    InvalidAuthzid,
    /// Not offered on this connection.
    #[error("the mechanism is not offered")]
    InvalidMechanism,
    /// Against the grammar of the mechanism.
    #[error("the message is malformed")]
    MalformedRequest,
    /// Refused for this account.
    #[error("the mechanism is too weak")]
    MechanismTooWeak,
    /// Wrong password, no such account, another TLS session: the peer never learns which.
    #[error("not authorized")]
    NotAuthorized,
    /// The fault is ours.
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

    /// It counts against its address and its account. What the client broke off, and what we
    /// could not check, does not. (A connection has so many attempts, however they end.)
    #[must_use]
    pub fn counts_as_failure(&self) -> bool {
        !matches!(self, Self::Aborted | Self::TemporaryAuthFailure) && !self.is_about_binding()
    }

    /// No password was tried: the login could not even begin, because of channel binding. It does
    /// not count on its connection either, so that a client can go through its whole list.
    ///
    /// COMPAT: slixmpp 1.8 (2022) tries each -PLUS in turn before it goes on: with tls-unique on
    /// TLS 1.2, without any binding on TLS 1.3.
    #[must_use]
    pub fn is_about_binding(&self) -> bool {
        matches!(self, Self::BindingMissing | Self::BindingUnknown | Self::Downgrade)
    }
}

/// Reads a payload. `=` is an empty one, and so is no text at all; whether `<auth/>` without text
/// has a payload is for the caller to decide (it has none, RFC 6120 §6.4.2).
///
/// # Errors
/// `incorrect-encoding` for everything that is no canonical base64: white space, missing or
/// superfluous padding, other characters (RFC 6120 §13.9.1), bits behind the end.
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
