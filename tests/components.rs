//! External components: their streams (XEP-0114), what they may do for users (XEP-0356), and what they answer
//! instead of the server (XEP-0355).

#![expect(clippy::unwrap_used, reason = "the helpers of a test stand outside of its functions")]

#[path = "components/delegation.rs"]
mod delegation;
#[path = "support/peer.rs"]
mod peer;
#[path = "components/presence.rs"]
mod presence;
#[path = "components/privileges.rs"]
mod privileges;
#[path = "support/recorder.rs"]
mod recorder;
#[path = "components/streams.rs"]
mod streams;
#[path = "components/test_server.rs"]
mod test_server;
#[path = "support/trust.rs"]
mod trust;
