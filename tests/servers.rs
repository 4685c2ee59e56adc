//! Two servers and raw peers talk over sockets: streams between servers, as certificates and dialback prove them.

#![expect(clippy::unwrap_used, reason = "the helpers of a test stand outside of its functions")]

#[path = "servers/after_a_cut.rs"]
mod after_a_cut;
#[path = "support/authority.rs"]
mod authority;
#[path = "servers/chat.rs"]
mod chat;
#[path = "servers/denied.rs"]
mod denied;
#[path = "servers/forged.rs"]
mod forged;
#[path = "servers/greedy.rs"]
mod greedy;
#[path = "servers/last_items.rs"]
mod last_items;
#[path = "servers/look.rs"]
mod look;
#[path = "servers/managed.rs"]
mod managed;
#[path = "support/peer.rs"]
mod peer;
#[path = "servers/posh.rs"]
mod posh;
#[path = "support/recorder.rs"]
#[expect(dead_code, reason = "other tests wait for records")]
mod recorder;
#[path = "servers/remote.rs"]
mod remote;
#[path = "servers/test_server.rs"]
mod test_server;
#[path = "support/trust.rs"]
mod trust;
#[path = "servers/unreachable.rs"]
mod unreachable;
