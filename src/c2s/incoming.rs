//! What a client with a session says: stanzas, and the elements of stream management (XEP-0198).

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use smol_str::SmolStr;

use super::connection::delivered;
use super::pending_acks::PendingAcks;

use crate::host::{Hosts, Origin};
use crate::log::redact;
use crate::ns;
use crate::random::random_id;
use crate::router::{self, Processed};
use crate::session::{self, CloseReason, Delivery, Resumption, Session, SessionRef, TooHigh};
use crate::stanza::{
    Condition, Content, Detail, Head, Iq, IqKind, Refusal, Stanza, StanzaError, StreamCondition,
    StreamError,
};
use crate::storage::SessionNumber;
use crate::xml::{ElementRef, Frame, element};

/// The half of a connection that hears its client.
#[derive(Clone, Copy)]
pub(super) struct Incoming<'a> {
    pub(super) hosts: &'a Hosts,
    pub(super) session: &'a Session,
    pub(super) pending: &'a PendingAcks,
}

impl Incoming<'_> {
    /// A whole child of the stream, carried to the end. Answers what it has cost, in steps of the budget
    /// `work`.
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
        let Self { hosts, session, .. } = *self;
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
                hosts.metrics.stanzas_in.of(stanza.name()).inc();
                self.note_answer(&stanza);
                router::from_client(hosts, session, origin, stanza, handled).await
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

    /// A stanza with a fault: its sender learns of it.
    fn refuse(&self, stanza: &Stanza, error: &StanzaError) {
        let handle = self.session.handle();
        self.hosts.metrics.stanzas_bounced.inc([error.condition.as_str()]);
        if let Some(mut answer) = error.answer(stanza) {
            let head = answer.head_mut();
            head.to = Some(handle.jid().clone().into_jid());
            if head.from.is_none() {
                // For nobody in particular means for the account (RFC 6120 §10.3); for what is no
                // address we can only speak ourselves.
                head.from = match error.condition {
                    Condition::JidMalformed => {
                        self.hosts.host(handle.jid().domain()).map(|host| host.jid.clone())
                    }
                    _ => Some(handle.jid().to_bare().into()),
                };
            }
            offer(handle, answer);
        }
    }

    /// Each request is answered once (RFC 6120 §8.2.3): by the client, or by us when it is gone.
    fn note_answer(&self, stanza: &Stanza) {
        if let Stanza::Iq(iq) = stanza
            && !iq.is_request()
            && let (Some(to), Some(id)) = (&iq.head.to, &iq.head.id)
        {
            self.session.sm(|sm| sm.answered(to, id));
        }
    }

    /// XEP-0198: `<enable/>`, `<r/>` and `<a/>` of a client with a session.
    async fn manage(&self, root: &ElementRef<'_>) -> Result<(), StreamError> {
        match root.name() {
            "enable" => self.enable(root).await?,
            // To one who has not enabled what he asks about, there is nothing to say.
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
                // Who counts too few is asked for the rest when there is more, and not again and again.
                if !self.acknowledged(h).await? {
                    return Ok(());
                }
            }
            // There is a session already (XEP-0198 §6). Who does not learn that is confused.
            "resume" if self.session.sm(session::SmState::refuse) => {}
            "resume" => {
                return Err(StreamCondition::PolicyViolation.text("resume must come before bind"));
            }
            _ => return Err(StreamCondition::UnsupportedStanzaType.into()),
        }
        self.session.mailbox().wake_writer();
        Ok(())
    }

    /// XEP-0198 §3. A session that can be resumed outlives the server, too. One of a user without an
    /// account cannot: nobody can log in as her again.
    async fn enable(&self, root: &ElementRef<'_>) -> Result<(), StreamError> {
        let Self { hosts, session, .. } = *self;
        let again =
            || StreamCondition::PolicyViolation.text("stream management is already enabled");
        if session.sm(|sm| sm.is_managed()) {
            return Err(again());
        }
        let most = hosts.config.load().limits.resume;
        let wished = root.attr("max").and_then(|max| max.parse().ok());
        let max = wished.map_or(most, |seconds| most.min(Duration::from_secs(seconds)));
        let wants = root.attr("resume").is_some_and(|r| matches!(&*r, "true" | "1"));
        let handle = session.handle();
        let mut resumption = None;
        // What is told as `max` are whole seconds, and one at least.
        if wants && max.as_secs() > 0 && !handle.is_anonymous() {
            let id = random_id();
            let number = begin(hosts, handle, &id).await;
            resumption = Some(Resumption { id, max, number });
        }
        if session.manage(resumption) { Ok(()) } else { Err(again()) }
    }

    /// The client has handled `h` stanzas in all. `false` if that is nothing new.
    async fn acknowledged(&self, h: u32) -> Result<bool, StreamError> {
        let gone = self.session.sm(|sm| sm.acknowledged(h)).map_err(too_high)?;
        let markers: Vec<_> = gone.iter().flat_map(Delivery::markers).collect();
        delivered(self.hosts, self.session, &markers).await;
        Ok(!gone.is_empty())
    }
}

/// Enters a session among those that can be resumed. No need to wait for it to be durable: so is
/// what is kept of the session later.
async fn begin(hosts: &Hosts, handle: &SessionRef, id: &str) -> Option<SessionNumber> {
    let user = handle.jid().to_bare();
    let resource = handle.jid().resource_part();
    match hosts.storage.resumption().begin(&user, resource, id).await {
        Ok((number, receipt)) => {
            drop(receipt);
            Some(number)
        }
        Err(error) => {
            tracing::error!(%error, "cannot register a session for resumption: it ends with the server");
            None
        }
    }
}

/// XEP-0198 §6: a client that acknowledges what it was not sent is confused.
pub(super) fn too_high(error: TooHigh) -> StreamError {
    let detail = Detail::HandledCountTooHigh { h: error.h, sent: error.sent };
    StreamError { detail: Some(detail), ..StreamCondition::UndefinedCondition.into() }
}

/// XEP-0199 §4.1: server to client.
pub(super) fn ping(hosts: &Hosts, handle: &SessionRef) {
    let Some(host) = hosts.host(handle.jid().domain()) else { return };
    let mut head = Head::between(host.jid.clone(), handle.jid().clone());
    head.id = Some(random_id());
    let content = Content::from(element("ping").ns(ns::PING));
    offer(handle, Stanza::Iq(Iq { head, kind: IqKind::Get, content }));
}

/// To the client itself. If it does not take it, it is being closed already.
fn offer(handle: &SessionRef, stanza: Stanza) {
    if handle.deliver(Arc::new(stanza)).is_err() {
        tracing::debug!("answer dropped: the client does not read");
    }
}

pub(super) fn order_error(order: &CloseReason) -> StreamError {
    match order {
        CloseReason::Conflict => StreamCondition::Conflict.text("replaced by a newer session"),
        CloseReason::Kicked(None) => {
            StreamCondition::PolicyViolation.text("closed by the operator")
        }
        CloseReason::Kicked(Some(text)) => {
            StreamError { text: Some(text.clone()), ..StreamCondition::PolicyViolation.into() }
        }
        CloseReason::Overrun => {
            StreamCondition::PolicyViolation.text("the client does not read what it is sent")
        }
        CloseReason::Revoked => StreamCondition::NotAuthorized.text("the login is no longer valid"),
        CloseReason::Shutdown => StreamCondition::SystemShutdown.into(),
    }
}
