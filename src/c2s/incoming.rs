//! What a client with a session says: stanzas, and the elements of stream management (XEP-0198).

use std::sync::Arc;

use smol_str::SmolStr;

use crate::host::{Hosts, Origin};
use crate::jid::Jid;
use crate::log::redact;
use crate::ns;
use crate::router;
use crate::session::{CloseReason, Session, SessionHandle};
use crate::stanza::{
    Content, Detail, Head, Iq, IqKind, Refusal, Stanza, StreamCondition, StreamError,
};
use crate::stream::header;
use crate::xml::{ElementRef, Frame, element};

/// A whole child of the stream, carried to the end.
pub(super) async fn handle(
    hosts: &Hosts,
    origin: &Origin,
    session: &Session,
    frame: Frame,
    lang: Option<&SmolStr>,
) -> Result<(), StreamError> {
    tracing::trace!(xml = redact(frame.bytes()), "received");
    if frame.root().ns() == ns::SM {
        return manage(hosts, session, &frame.root());
    }
    let handle = session.handle();
    check_from(&frame, handle)?;
    match Stanza::read(frame) {
        Ok(mut stanza) => {
            let head = stanza.head_mut();
            if head.lang.is_none() {
                head.lang = lang.cloned(); // RFC 6120 §8.1.5
            }
            hosts.metrics.stanzas_in.of(stanza.name()).inc();
            router::from_client(hosts, origin, stanza).await;
        }
        Err(Refusal::NotAStanza) => return Err(StreamCondition::UnsupportedStanzaType.into()),
        Err(Refusal::Faulty(stanza, error)) => {
            hosts.metrics.stanzas_bounced.inc([error.condition.as_str()]);
            if let Some(mut answer) = error.answer(&stanza) {
                let head = answer.head_mut();
                head.to = Some(handle.jid().clone().into_jid());
                if head.from.is_none() {
                    head.from = hosts.get(handle.jid().domain()).map(|host| host.jid.clone());
                }
                offer(handle, answer);
            }
        }
    }
    // Only now have we taken it over (XEP-0198 §4).
    if session.link(|link| link.handled()) {
        handle.prompt();
    }
    Ok(())
}

/// XEP-0198: `<enable/>`, `<r/>` and `<a/>` of a client with a session.
fn manage(hosts: &Hosts, session: &Session, root: &ElementRef<'_>) -> Result<(), StreamError> {
    match root.name() {
        "enable" => {
            let limits = &hosts.config.load().limits;
            let wished = root.attr("max").and_then(|max| max.parse().ok());
            let max = wished.map_or(limits.resume, |secs| {
                limits.resume.min(std::time::Duration::from_secs(secs))
            });
            let wants = root.attr("resume").is_some_and(|r| matches!(&*r, "true" | "1"));
            if !session.manage((wants && !max.is_zero()).then_some(max)) {
                return Err(StreamCondition::PolicyViolation.text("enabled already"));
            }
        }
        "r" => {
            if !session.link(|link| link.acknowledge_due()) {
                return Ok(()); // it has not enabled what it asks about
            }
        }
        "a" => {
            let h = root.attr("h").and_then(|h| h.parse().ok());
            let h = h.ok_or(StreamCondition::InvalidXml.text("h is a number below 2^32"))?;
            acknowledged(session, h)?;
        }
        // There is a session already (XEP-0198 §5).
        "resume" => return Err(StreamCondition::PolicyViolation.text("resume comes before bind")),
        _ => return Err(StreamCondition::UnsupportedStanzaType.into()),
    }
    session.handle().prompt();
    Ok(())
}

/// The client has handled `h` stanzas in all.
fn acknowledged(session: &Session, h: u32) -> Result<(), StreamError> {
    match session.link(|link| link.acknowledged(h)) {
        Ok(_) => Ok(()),
        Err(error) => Err(too_high(error)),
    }
}

/// XEP-0198 §5: a client that acknowledges what it was not sent is confused.
pub(super) fn too_high(error: crate::session::stream_management::TooHigh) -> StreamError {
    let detail = Detail::HandledCountTooHigh { h: error.h, sent: error.sent };
    StreamError { detail: Some(detail), ..StreamCondition::UndefinedCondition.into() }
}

/// RFC 6120 §8.1.2.1: no `from`, or one's own, full or bare.
fn check_from(frame: &Frame, handle: &SessionHandle) -> Result<(), StreamError> {
    let root = frame.root();
    let Some(from) = root.attr("from") else { return Ok(()) };
    if from == handle.jid().as_str() {
        return Ok(());
    }
    match Jid::parse(&from) {
        Ok(from) if from == **handle.jid() || from == *handle.jid().to_bare() => Ok(()),
        _ => Err(StreamCondition::InvalidFrom.into()),
    }
}

/// XEP-0199 §4.1: server to client.
pub(super) fn ping(hosts: &Hosts, handle: &SessionHandle) {
    let Some(host) = hosts.get(handle.jid().domain()) else { return };
    let mut head = Head::between(host.jid.clone(), handle.jid().clone());
    head.id = Some(header::new_id().into());
    let content = Content::from(element("ping").ns(ns::PING));
    offer(handle, Stanza::Iq(Iq { head, kind: IqKind::Get, content }));
}

/// To the client itself. If it does not take it, it is being closed already.
fn offer(handle: &SessionHandle, stanza: Stanza) {
    if handle.deliver(Arc::new(stanza)).is_err() {
        tracing::debug!("a client that does not read misses an answer");
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
            StreamCondition::PolicyViolation.text("does not read what it is sent")
        }
        CloseReason::Revoked => StreamCondition::NotAuthorized.text("the login is no longer valid"),
        CloseReason::Shutdown => StreamCondition::SystemShutdown.into(),
    }
}
