//! The negotiation of a client's stream, from the first byte to the bound session, as a pure
//! state machine: events in, actions out (RFC 6120 §4.3, §5, §6, §7).
//!
//! It does no I/O and holds no clock, so every path through it can be tested in a table. The driver
//! (`negotiate`) carries out the actions in order. What is easy to get wrong: what arrives before
//! TLS or before authentication must not be taken for what arrives after.

mod action;
mod bind;
mod feature_cache;
mod features;
mod header;
mod machine;
mod profile;
mod register;
mod resume;
mod sasl;
mod sasl2;
mod settings;
#[cfg(test)]
mod tests;
mod upgrade;

pub(super) use action::{Action, Actions, Stage};
pub(super) use feature_cache::FeatureCache;
pub(super) use machine::Negotiation;
pub(super) use profile::{Inline, NS_FAST};
pub(super) use resume::sm_failed;
pub(super) use settings::{Limits, Settings, SettingsCache};
