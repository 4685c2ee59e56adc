//! Streams (RFC 6120 §4): how they are opened, negotiated and framed, whatever carries them.

pub mod features;
pub mod framing;
pub mod header;
pub mod input;
pub mod negotiation;
pub mod wire;
