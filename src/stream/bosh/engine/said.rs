//! What the stream says.

use bytes::Bytes;

use crate::stream::websocket::frames;

/// What the stream says, in documents.
#[derive(Debug, Default)]
pub struct Said {
    /// A header.
    pub open: Option<Bytes>,
    /// Elements, one after another.
    pub elements: Vec<u8>,
    /// There is a stream error among them.
    pub is_error: bool,
    /// The stream ends.
    pub is_close: bool,
}

impl Said {
    /// Reads frames of [`Framing::Bosh`](crate::stream::framing::Framing): as many as go into one answer, and one at least.
    /// Also returns how many bytes they are. `None` if there is no complete frame.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let (mut said, mut end) = (Self::default(), 0);
        // An error and the end of the stream are one answer (XEP-0206 §2).
        while end < bytes.len() && (said.is_error || said.elements.len() < AT_ONCE) {
            let (opcode, payload) = frames::first(&bytes[end..])?;
            let document = &bytes[end..][payload.clone()];
            end += payload.end;
            if opcode == frames::CLOSE || document.starts_with(b"<close ") {
                said.is_close = true;
            } else if document.starts_with(b"<open ") {
                said.open = Some(document.to_vec().into());
            } else {
                said.is_error |= document.starts_with(b"<stream:error");
                said.elements.extend_from_slice(document);
            }
        }
        Some((said, end))
    }
}

/// How many bytes of a write go into one answer.
const AT_ONCE: usize = 32 * 1024;
