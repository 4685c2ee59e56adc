//! What a peer has sent and was not parsed yet.

use std::collections::VecDeque;

use bytes::BytesMut;

/// Bytes that were read. Over WebSocket they come in messages; where one ends is known here, not by
/// anything in the bytes.
#[derive(Debug, Default)]
pub struct Received {
    /// What was read.
    pub bytes: BytesMut,
    /// The lengths of the whole messages at the front of `bytes`. Behind them stands what has come of the
    /// next one. Always empty over TCP.
    pub messages: VecDeque<usize>,
}

impl Received {
    /// Frees the buffers if they are empty: most connections are idle.
    pub(super) fn shrink(&mut self) {
        if self.bytes.is_empty() {
            *self = Self::default();
        }
    }
}
