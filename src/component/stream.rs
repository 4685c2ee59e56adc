//! The stream of a component that has authenticated: two loops of one task, one reads and one writes.

use std::time::Duration;

use smol_str::SmolStr;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::host::components::ComponentQueue;
use crate::host::{Origin, stanza_log};
use crate::log::redact;
use crate::ns;
use crate::router::{self, Router, Unsettled};
use crate::stanza::{Refusal, Stanza, StreamCondition, StreamError};
use crate::storage::Receipts;
use crate::stream::channel::SharedChannel;
use crate::stream::input::{Input, StreamEvent};
use crate::xml::Frame;

/// What both loops know.
pub(super) struct Link<'a> {
    pub(super) router: &'a Router,
    /// The configured domain of the component, for which it has authenticated.
    pub(super) domain: &'a SmolStr,
    pub(super) channel: &'a SharedChannel,
    /// Cancelled when the configuration of the component has changed.
    pub(super) closing: &'a CancellationToken,
    /// Cancelled when one of the loops ends.
    pub(super) ended: &'a CancellationToken,
}

/// Reads until the connection ends. Carries each stanza before it reads the next one, so that their order is kept (RFC 6120
/// §10.1). A slow store slows the component when much is not on the disk yet. Returns the error with which the stream is to end, if any.
pub(super) async fn read(link: &Link<'_>, input: &mut Input) -> Option<StreamError> {
    let stopping = link.router.server.tasks.stopping();
    let mut unsettled = Unsettled::default();
    let error = loop {
        match handle(link, input, &mut unsettled).await {
            Ok(true) => {}
            Ok(false) => break None,
            Err(error) => break Some(error),
        }
        tokio::select! {
            biased;
            () = link.ended.cancelled() => break None,
            () = link.closing.cancelled() => {
                break Some(StreamCondition::Reset.text("the component was changed or removed"));
            }
            () = stopping.cancelled() => break Some(StreamCondition::SystemShutdown.into()),
            () = unsettled.next(), if !unsettled.is_empty() => {}
            read = link.channel.receive(input.received()) => match read {
                Ok(Some(count)) => {
                    link.router.server.metrics.bytes_in.inc_by(count as u64);
                }
                Ok(None) | Err(_) => break None,
            }
        }
    };
    link.ended.cancel();
    unsettled.finish().await;
    error
}

/// Handles all whole elements that were read. `false` if the component has ended its stream.
async fn handle(
    link: &Link<'_>,
    input: &mut Input,
    unsettled: &mut Unsettled,
) -> Result<bool, StreamError> {
    while !link.ended.is_cancelled() {
        let event = input.next_event().inspect_err(|error| {
            let condition = StreamError::from(*error).condition;
            stanza_log::note_refused(Some(link.domain), None, condition, Some(error));
        });
        match event? {
            None => break,
            Some(StreamEvent::Element(frame)) if frame.root().is(ns::STREAM, "error") => {
                return Ok(false);
            }
            Some(StreamEvent::Element(frame)) => {
                let receipts = Box::pin(carry(link, frame)).await?;
                unsettled.add(receipts, ()).await;
            }
            Some(StreamEvent::End) => return Ok(false),
            Some(StreamEvent::Header(_)) => return Err(StreamCondition::BadFormat.into()),
        }
    }
    Ok(true)
}

/// Carries one stanza. The receipts say when it is stored.
async fn carry(link: &Link<'_>, frame: Frame) -> Result<Receipts, StreamError> {
    tracing::trace!(xml = redact(frame.bytes()), "received");
    let (router, server) = (link.router, &link.router.server);
    let origin = Origin::Component(link.domain.clone());
    let (mut stanza, fault) = match Stanza::read(frame) {
        Ok(stanza) => return router.from_domain(&origin, stanza).await.map_err(StreamError::from),
        Err(Refusal::NotAStanza) => {
            let condition = StreamCondition::UnsupportedStanzaType;
            stanza_log::note_refused(Some(link.domain), None, condition, None);
            return Err(condition.into());
        }
        Err(Refusal::Faulty(stanza, error)) => (*stanza, error),
    };
    router::check_from(server, &origin, &stanza).inspect_err(|&condition| {
        stanza_log::note_refused_stanza(&stanza, &origin, condition);
    })?;
    // RFC 6120 §8.3: the component is told. The address that is the fault cannot answer, so the server does.
    let host = server.hosts().first().map(|host| host.jid.clone());
    let head = stanza.head_mut();
    head.to = head.to.take().or(host);
    let answer = fault.answer(&stanza);
    stanza_log::note_returned(&stanza, &fault, answer.is_some());
    if let Some(answer) = answer {
        crate::host::Route::route(router, answer).await;
    }
    Ok(Receipts::new())
}

/// Writes what is queued, as much as there is at once. Ends when the reading loop has ended. Returns what was taken out
/// of the queue and not written to its end.
pub(super) async fn write(
    link: &Link<'_>,
    queue: &mut ComponentQueue,
    limit: Duration,
) -> Vec<Stanza> {
    let unwritten = loop {
        let first = tokio::select! {
            biased;
            () = link.ended.cancelled() => break Vec::new(),
            first = queue.next() => first,
        };
        let Some(first) = first else { break Vec::new() };
        let (mut out, mut batch) = (Vec::new(), Vec::new());
        let mut next = Some(first);
        while let Some(stanza) = next {
            stanza.write(None, &mut out);
            batch.push((out.len(), stanza));
            next = if out.len() < MOST_AT_ONCE { queue.try_next() } else { None };
        }
        let (written, is_whole) = write_some(link.channel, &out, limit).await;
        if !is_whole {
            batch.retain(|(end, _)| *end > written);
            break batch.into_iter().map(|(_, stanza)| stanza).collect();
        }
    };
    link.ended.cancel();
    unwritten
}

/// Writes all, as long as there is progress within `limit`. Returns how many bytes were written, and whether all were.
async fn write_some(
    mut channel: impl AsyncWrite + Unpin,
    bytes: &[u8],
    limit: Duration,
) -> (usize, bool) {
    let mut written = 0;
    while written < bytes.len() {
        match timeout(limit, channel.write(&bytes[written..])).await {
            Ok(Ok(count)) if count > 0 => written += count,
            _ => return (written, false),
        }
    }
    (written, matches!(timeout(limit, channel.flush()).await, Ok(Ok(()))))
}

/// Bytes of one write, but for its last stanza.
const MOST_AT_ONCE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn how_much_was_written_is_known_when_the_connection_breaks() {
        let (ours, mut theirs) = tokio::io::duplex(4);
        // Nobody reads.
        let done = write_some(ours, b"abcdefgh", Duration::from_secs(1)).await;
        assert_eq!(done, (4, false));
        let mut read = Vec::new();
        theirs.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"abcd");
        let (ours, _theirs) = tokio::io::duplex(9);
        assert_eq!(write_some(ours, b"abcdefgh", Duration::from_secs(1)).await, (8, true));
    }
}
