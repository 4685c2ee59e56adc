//! What a client with a session says: stanzas, and the elements of stream management (XEP-0198).

use std::sync::Arc;

use smallvec::SmallVec;
use smol_str::SmolStr;

use super::loops::Loops;
use super::markers::delivered;
use super::stream_management::resumption;

use crate::host::{Origin, ServerState};
use crate::log::redact;
use crate::ns;
use crate::random::random_id;
use crate::router::{self, Processed};
use crate::session::{self, Delivery, SessionRef, TooHigh};
use crate::stanza::{
    Condition, Content, Detail, Head, Iq, IqKind, Refusal, Stanza, StanzaError, StreamCondition,
    StreamError,
};
use crate::xml::{ElementRef, Frame, element};

impl Loops<'_> {
    /// Handles one element of the client, and carries it to the end. Returns what that has cost, in steps
    /// of the budget `work`.
    ///
    /// # Errors
    /// The error with which the stream is to end.
    pub(super) async fn handle(
        &self,
        origin: &Origin<'_>,
        frame: Frame,
        lang: Option<&SmolStr>,
    ) -> Result<u32, StreamError> {
        tracing::trace!(xml = redact(frame.bytes()), "received");
        if frame.root().ns() == ns::SM {
            return self.manage(&frame.root()).await.map(|()| 1);
        }
        let Self { router, server, session, .. } = *self;
        let handle = session.handle();
        router::check_claim(frame.root().attr("from").as_deref(), handle.jid())?;
        let stanza = match Stanza::read(frame) {
            Ok(stanza) => Ok(stanza),
            Err(Refusal::NotAStanza) => return Err(StreamCondition::UnsupportedStanzaType.into()),
            Err(Refusal::Faulty(stanza, error)) => Err((stanza, error)),
        };
        let (counts, handled) = session.sm(|sm| (sm.is_managed(), sm.receive()));
        let taken = match stanza {
            Ok(mut stanza) => {
                let head = stanza.head_mut();
                if head.lang.is_none() {
                    head.lang = lang.cloned(); // RFC 6120 §8.1.5
                }
                server.metrics.stanzas_in.of(stanza.name()).inc();
                self.note_answer(&stanza);
                router.from_client(session, origin, stanza, handled).await
            }
            Err((stanza, error)) => {
                self.refuse(&stanza, &error);
                Processed {
                    stanza: *stanza,
                    receipts: SmallVec::new(),
                    is_counted: false,
                    steps: 1,
                }
            }
        };
        let steps = taken.steps;
        self.pending.add(session, taken, counts);
        Ok(steps)
    }

    /// Answers a faulty stanza with an error.
    fn refuse(&self, stanza: &Stanza, error: &StanzaError) {
        let handle = self.session.handle();
        self.server.metrics.stanzas_bounced.inc([error.condition.as_str()]);
        if let Some(mut answer) = error.answer(stanza) {
            let head = answer.head_mut();
            head.to = Some(handle.jid().clone().into_jid());
            if head.from.is_none() {
                // A stanza without `to` is for the account (RFC 6120 §10.3). Of a `to` that is no
                // address, the host speaks.
                head.from = match error.condition {
                    Condition::JidMalformed => {
                        self.server.host(handle.jid().domain()).map(|host| host.jid.clone())
                    }
                    _ => Some(handle.jid().to_bare().into()),
                };
            }
            offer(handle, answer);
        }
    }

    /// Notes that the client has answered a request. Each request is answered once (RFC 6120 §8.2.3): by
    /// the client, or by us when the client is gone.
    fn note_answer(&self, stanza: &Stanza) {
        if let Stanza::Iq(iq) = stanza
            && !iq.is_request()
            && let (Some(to), Some(id)) = (&iq.head.to, &iq.head.id)
        {
            self.session.sm(|sm| sm.answered(to, id));
        }
    }

    /// Handles `<enable/>`, `<r/>`, `<a/>` and `<resume/>` (XEP-0198) of a client with a session.
    async fn manage(&self, root: &ElementRef<'_>) -> Result<(), StreamError> {
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
                // If `h` is nothing new, the client is asked again when there is more to acknowledge, not
                // at once: else the two would ask and answer for ever.
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
        let gone = self.session.sm(|sm| sm.acknowledged(h)).map_err(too_high)?;
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

/// Sends the client a ping of the server (XEP-0199 §4.1).
pub(super) fn ping(server: &ServerState, handle: &SessionRef) {
    let Some(host) = server.host(handle.jid().domain()) else { return };
    let mut head = Head::between(host.jid.clone(), handle.jid().clone());
    head.id = Some(random_id());
    let content = Content::from(element("ping").ns(ns::PING));
    offer(handle, Stanza::Iq(Iq { head, kind: IqKind::Get, content }));
}

/// Delivers a stanza to the client itself. If its mailbox is full, the client is being closed already.
fn offer(handle: &SessionRef, stanza: Stanza) {
    if handle.deliver(Arc::new(stanza)).is_err() {
        tracing::debug!("answer dropped: the client does not read");
    }
}
