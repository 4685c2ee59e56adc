//! Streams (RFC 6120 §4): what all peers share, whatever carries them.

pub mod bosh;
pub mod channel;
pub mod connection;
pub mod exchange;
pub mod framing;
pub mod handshake;
pub mod header;
pub mod input;
pub mod received;
pub mod websocket;
pub mod wire;
