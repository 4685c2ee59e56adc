//! The SASL mechanisms and their names.

use std::fmt;
use std::str::FromStr;

use super::SaslError;
use crate::storage::ScramHash;

/// A mechanism that this server implements.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum MechanismName {
    /// RFC 4505: a login without an account.
    Anonymous,
    /// RFC 4422 appendix A, XEP-0178 §2: the certificate of the client has its address.
    External,
    /// RFC 4616: the client sends the password.
    Plain,
    /// HT-SHA-256 (draft-schmaus-kitten-sasl-ht): client and server prove to each other that they know a token
    /// (XEP-0484).
    Token(Binding),
    /// RFC 5802: client and server prove to each other that they know the password.
    Scram(ScramHash),
    /// RFC 5802 with channel binding: the proof is valid on this TLS connection only.
    ScramPlus(ScramHash),
}

/// What a proof by token is bound to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Binding {
    /// `tls-server-end-point`.
    EndPoint,
    /// `tls-exporter`.
    Exporter,
    /// Nothing.
    None,
}

impl MechanismName {
    /// All mechanisms that need no token, the strongest first.
    pub(super) const ALL: [Self; 9] = [
        Self::External,
        Self::ScramPlus(ScramHash::Sha512),
        Self::ScramPlus(ScramHash::Sha256),
        Self::ScramPlus(ScramHash::Sha1),
        Self::Scram(ScramHash::Sha512),
        Self::Scram(ScramHash::Sha256),
        Self::Scram(ScramHash::Sha1),
        Self::Plain,
        Self::Anonymous,
    ];

    /// Those that need a token, the strongest first.
    pub(super) const TOKENS: [Self; 3] = [
        Self::Token(Binding::Exporter),
        Self::Token(Binding::EndPoint),
        Self::Token(Binding::None),
    ];

    /// Whether the client proves that it knows the password.
    #[must_use]
    pub fn is_by_password(self) -> bool {
        matches!(self, Self::Plain | Self::Scram(_) | Self::ScramPlus(_))
    }

    /// The registered name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "ANONYMOUS",
            Self::External => "EXTERNAL",
            Self::Plain => "PLAIN",
            Self::Scram(ScramHash::Sha1) => "SCRAM-SHA-1",
            Self::Scram(ScramHash::Sha256) => "SCRAM-SHA-256",
            Self::Scram(ScramHash::Sha512) => "SCRAM-SHA-512",
            Self::ScramPlus(ScramHash::Sha1) => "SCRAM-SHA-1-PLUS",
            Self::ScramPlus(ScramHash::Sha256) => "SCRAM-SHA-256-PLUS",
            Self::ScramPlus(ScramHash::Sha512) => "SCRAM-SHA-512-PLUS",
            Self::Token(Binding::EndPoint) => "HT-SHA-256-ENDP",
            Self::Token(Binding::Exporter) => "HT-SHA-256-EXPR",
            Self::Token(Binding::None) => "HT-SHA-256-NONE",
        }
    }
}

impl fmt::Display for MechanismName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Names have upper case letters only (RFC 4422 §3.1).
impl FromStr for MechanismName {
    type Err = SaslError;
    fn from_str(name: &str) -> Result<Self, SaslError> {
        let mut all = Self::ALL.into_iter().chain(Self::TOKENS);
        all.find(|m| m.as_str() == name).ok_or(SaslError::InvalidMechanism)
    }
}
