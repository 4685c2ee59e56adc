//! The elements that a client with a session sends and that are no stanzas: stream management (XEP-0198)
//! and the state of the client (XEP-0352).

use super::loops::Loops;
use super::markers::delivered;
use super::stream_management::resumption;
use crate::session::{self, Delivery, Spared, TooHigh};
use crate::stanza::{Detail, StreamCondition, StreamError};
use crate::xml::ElementRef;

impl Loops<'_> {
    /// Handles `<enable/>`, `<r/>`, `<a/>` or `<resume/>`.
    ///
    /// # Errors
    /// The error with which the stream is to end.
    pub(super) async fn manage(&self, root: &ElementRef<'_>) -> Result<(), StreamError> {
        match root.name() {
            "enable" => self.enable(root).await?,
            // A client that has not enabled stream management gets no answer.
            "r" => {
                if self.session.sm(|sm| sm.is_managed()) {
                    self.pending.answer(self.session);
                }
                return Ok(());
            }
            "a" => {
                let h = root.attr("h").and_then(|h| h.parse().ok());
                let h =
                    h.ok_or(StreamCondition::InvalidXml.text("h must be a number below 2^32"))?;
                // If `h` is nothing new, ask the client again when there is more to acknowledge, not at once: otherwise client and
                // server would ask and answer for ever.
                if !self.acknowledged(h).await? {
                    return Ok(());
                }
            }
            // There is a session already (XEP-0198 §6). A client that tries again is confused, and its
            // stream ends.
            "resume" if self.session.sm(session::SmState::refuse) => {}
            "resume" => {
                return Err(StreamCondition::PolicyViolation.text("resume must come before bind"));
            }
            _ => return Err(StreamCondition::UnsupportedStanzaType.into()),
        }
        self.session.mailbox().wake_writer();
        Ok(())
    }

    /// Handles `<active/>` or `<inactive/>` (XEP-0352 §4.2). Neither is answered.
    ///
    /// # Errors
    /// The error with which the stream is to end.
    pub(super) fn set_client_state(&self, root: &ElementRef<'_>) -> Result<(), StreamError> {
        match root.name() {
            "active" => self.session.mailbox().set_active(),
            "inactive" => {
                let spared = Spared::from(&self.server.config.load().client_state);
                self.session.mailbox().set_inactive(spared);
            }
            _ => return Err(StreamCondition::UnsupportedStanzaType.into()),
        }
        Ok(())
    }

    /// Enables stream management (XEP-0198 §3).
    async fn enable(&self, root: &ElementRef<'_>) -> Result<(), StreamError> {
        let Self { server, session, .. } = *self;
        let again =
            || StreamCondition::PolicyViolation.text("stream management is already enabled");
        if session.sm(|sm| sm.is_managed()) {
            return Err(again());
        }
        let resumption = resumption(server, session.handle(), root).await;
        if session.manage(resumption) { Ok(()) } else { Err(again()) }
    }

    /// The client has handled `h` stanzas in all. `false` if it has said so before.
    async fn acknowledged(&self, h: u32) -> Result<bool, StreamError> {
        let gone = self.session.sm(|sm| sm.acknowledge(h)).map_err(too_high)?;
        let markers: Vec<_> = gone.iter().flat_map(Delivery::markers).collect();
        delivered(self.server, self.session, &markers).await;
        Ok(!gone.is_empty())
    }
}

/// The error for a client that acknowledges more stanzas than it was sent (XEP-0198 §6).
pub(super) fn too_high(error: TooHigh) -> StreamError {
    let detail = Detail::HandledCountTooHigh { h: error.h, sent: error.sent };
    StreamError { detail: Some(detail), ..StreamCondition::UndefinedCondition.into() }
}
