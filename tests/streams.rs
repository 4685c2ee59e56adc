//! Streams as a conformance suite and a hostile peer would have them: raw bytes over real sockets
//! against a server in this process (RFC 6120 §4 to §8). Nothing here parses XML: the tests say
//! which bytes they wait for.

#![expect(clippy::unwrap_used, reason = "the helpers of a test stand outside of its functions")]

#[path = "support/faulty.rs"]
#[expect(dead_code, reason = "conversations use the rest of it")]
mod faulty;
#[path = "streams/headers.rs"]
mod headers;
#[path = "streams/many.rs"]
mod many;
#[path = "streams/negotiation.rs"]
mod negotiation;
#[path = "streams/panicking_storage.rs"]
mod panicking_storage;
#[path = "support/peer.rs"]
mod peer;
#[path = "support/recorder.rs"]
mod recorder;
#[path = "streams/records.rs"]
mod records;
#[path = "streams/resumption.rs"]
mod resumption;
#[path = "streams/stanzas.rs"]
mod stanzas;
#[path = "streams/test_server.rs"]
mod test_server;
#[path = "support/trust.rs"]
mod trust;
