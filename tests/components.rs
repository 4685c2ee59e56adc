//! External components: their streams (XEP-0114), and what they may do for users (XEP-0356).

#![expect(clippy::unwrap_used, reason = "the helpers of a test stand outside of its functions")]

#[path = "components/house.rs"]
mod house;
#[path = "support/peer.rs"]
mod peer;
#[path = "components/privileges.rs"]
mod privileges;
#[path = "components/streams.rs"]
mod streams;
#[path = "support/trust.rs"]
mod trust;
