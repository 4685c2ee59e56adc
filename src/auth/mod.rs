//! Logins: SASL as RFC 6120 §6 uses it. This module knows accounts, but neither streams nor XML.
//!
//! The mechanisms are our own code (`docs/decisions/0004-own-scram.md`). A change must keep this rule: a
//! client that tries names learns nothing about accounts, neither from the text of an answer nor from its
//! time.
//!
//! [`Offer`] is the list of mechanisms of a connection, [`Verifier::begin`] starts an [`Exchange`], and
//! [`Exchange::step`] processes the messages of the client one by one.

mod anonymous;
mod client_revocation;
mod derivations;
mod error;
mod exchange;
mod external;
mod hash;
mod mechanism;
mod new_clients;
mod offer;
mod password;
mod password_key;
mod plain;
mod revocations;
mod saslprep;
mod scram;
mod stored_keys;
#[cfg(test)]
mod tests;
mod token;
mod token_clients;
mod token_key;
mod typed_password;
mod upgrade;
mod user_agent;
mod verifier;

pub use client_revocation::revoke_client;
pub use derivations::Derivations;
pub use error::{SaslError, decode, encode};
pub use exchange::{Exchange, Step};
pub use external::{certificate_client, certificate_of};
pub use mechanism::{Binding, MechanismName};
pub use new_clients::NewClients;
pub use offer::{Offer, TlsFacts, TlsVersion};
pub use password::{PasswordError, check_password, derive_keys};
pub use password_key::PasswordKey;
pub use revocations::{Revocations, is_same_client};
pub use token::{NewToken, TokenLogin};
pub use token_clients::clients_with_tokens;
pub use token_key::token_key;
pub use upgrade::{UPGRADES, Upgrade, upgrade_name};
pub use user_agent::UserAgent;
pub use verifier::Verifier;
