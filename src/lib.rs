//! Waxwing, an XMPP server.
//!
//! The modules are on nine floors. A module uses only floors below its own (`tests/layering.rs`).
//! `docs/architecture.md` is the map: it says where to find things.

// 9 the whole
pub mod admin;
pub mod cli;
pub mod server;
// 8 streams
pub mod bytestream;
pub mod c2s;
pub mod component;
pub mod http;
pub mod listen;
pub mod s2s;
pub mod stream;
// 7 what happens
pub mod router;
// 6 features
pub mod modules;
// 5 engines: pure
pub mod archive;
pub mod muc;
pub mod pubsub;
pub mod roster;
// 4 contracts
pub mod host;
pub mod session;
// 3 keeping
pub mod auth;
pub mod storage;
pub mod upload;
// 2 ground
pub mod clock;
pub mod config;
pub mod files;
pub mod limit;
pub mod log;
pub mod metrics;
pub mod random;
pub mod tasks;
pub mod tls;
// 1 words: pure, in this order
pub mod jid;
pub mod ns;
pub mod payload;
pub mod stanza;
pub mod xml;
