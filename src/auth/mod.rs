//! Logging in: SASL as RFC 6120 §6 uses it. Knows accounts, but no stream and no XML.
//!
//! The mechanisms are ours (`docs/decisions/0004-own-scram.md`). The one thing to keep in mind when
//! touching them: who tries names must learn nothing from the answers, neither from their text nor
//! from their time.
//!
//! [`Offer`] says what a connection offers, [`Verifier::begin`] starts an [`Exchange`], and
//! [`Exchange::step`] takes one message of the client after the other.

mod anonymous;
mod derivations;
mod error;
mod exchange;
mod hash;
mod mechanism;
mod offer;
mod password;
mod plain;
mod saslprep;
mod scram;
#[cfg(test)]
mod tests;
mod verifier;

pub use derivations::Derivations;
pub use error::{SaslError, decode, encode};
pub use exchange::{Exchange, Step};
pub use mechanism::MechanismName;
pub use offer::{Offer, TlsFacts};
pub use password::{PasswordError, check_password, derive_keys};
pub use verifier::Verifier;
