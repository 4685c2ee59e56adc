//! The reading loop of a client with a session.

use std::io;

use smol_str::SmolStr;
use tokio::time::Instant;

use super::connection_end::ConnectionEnd;
use super::keepalive::{Elapsed, Keepalive, ping};
use super::loops::Loops;
use super::read_rate::{ReadRate, wait};
use crate::host::{Origin, ServerState, stanza_log};
use crate::log::redact;
use crate::session::Session;
use crate::stanza::{Refusal, Stanza, StreamCondition, StreamError};
use crate::stream::input::{Input, StreamEvent};
use crate::xml::{ElementRef, Frame};
use crate::{ns, router};

/// Reads until the connection ends. Carries each stanza to the end before it reads the next one, so that their
/// order is kept (RFC 6120 §10.1). `None` if another loop has stopped this one.
pub(super) async fn read(loops: &Loops<'_>, input: &mut Input) -> Option<ConnectionEnd> {
    let mut keepalive = Keepalive::new(loops.limits);
    let mut rate = ReadRate::new(loops);
    let mut came = None;
    loop {
        // Boxed: a stanza needs much memory, and only while it is carried.
        let heard = match Box::pin(handle(loops, input, &mut rate)).await {
            Ok(heard) => heard,
            Err(ended) => return ended,
        };
        if let Some(count) = came.take() {
            keepalive.received(count, heard || !input.is_within());
        }
        let has_unacked = loops.session.sm(|sm| sm.has_unacked());
        tokio::select! {
            biased;
            () = loops.stop.stopped() => return None,
            read = loops.channel.receive(input.received()) => {
                let count = match bytes_came(loops.server, read) {
                    Ok(count) => *came.insert(count),
                    Err(ended) => return Some(ended),
                };
                if let Some(pause) = rate.read(count) {
                    let before = Instant::now();
                    if let Err(ended) = Box::pin(wait(pause, loops.stop)).await {
                        return ended;
                    }
                    keepalive.did_not_read(before.elapsed());
                }
            },
            () = keepalive.deadline(has_unacked) => {
                match keepalive.elapsed() {
                    Elapsed::No => {}
                    Elapsed::Acknowledge => loops.pending.send_ack(),
                    // Nobody can answer now. For this the channel has a limit of its own (XEP-0124 §10).
                    Elapsed::Ping | Elapsed::Dead if loops.channel.is_away() => {
                        keepalive.received(0, true);
                    }
                    // RFC 7395 §3.8: over WebSocket its own pings do. A browser answers them by itself.
                    Elapsed::Ping if loops.channel.ping() => {}
                    Elapsed::Ping => ping(loops.server, loops.session.handle()),
                    Elapsed::Dead => return Some(ConnectionEnd::Lost("no answer to a ping")),
                }
            }
        }
    }
}

/// Handles all whole elements that were read. Returns whether there was any.
///
/// # Errors
/// How the session ends; `None` if it is time to stop.
async fn handle(
    loops: &Loops<'_>,
    input: &mut Input,
    rate: &mut ReadRate,
) -> Result<bool, Option<ConnectionEnd>> {
    let mut heard = false;
    let origin = Origin::Client(loops.session);
    while !loops.stop.is_stopped() {
        match input.next_event() {
            Ok(None) => break,
            // The client ends its stream with an error. No error answers an error.
            Ok(Some(StreamEvent::Element(frame))) if frame.root().is(ns::STREAM, "error") => {
                return Err(Some(ConnectionEnd::Closed));
            }
            Ok(Some(StreamEvent::Element(frame))) => {
                heard = true;
                let size = frame.bytes().len();
                let steps = carry(loops, &origin, frame, input.lang()).await;
                let steps = steps.map_err(|error| Some(ConnectionEnd::Failed(error)))?;
                rate.carried(size, steps, loops.stop).await?;
            }
            Ok(Some(StreamEvent::End)) => return Err(Some(ConnectionEnd::Closed)),
            Ok(Some(StreamEvent::Header(_))) => {
                return Err(Some(ConnectionEnd::Failed(StreamCondition::BadFormat.into())));
            }
            Err(error) => {
                let condition = StreamError::from(error).condition;
                let from = loops.session.handle().jid().as_str();
                stanza_log::note_refused(Some(from), None, condition, Some(&error));
                return Err(Some(ConnectionEnd::Failed(condition.into())));
            }
        }
        // If a client does not read its answers, nothing more is read from it.
        if !wait_for_capacity(loops).await {
            return Err(None);
        }
    }
    Ok(heard)
}

/// Carries one element of the client to the end. Returns what that has cost, in steps of the budget `work`.
///
/// # Errors
/// The error with which the stream is to end.
async fn carry(
    loops: &Loops<'_>,
    origin: &Origin<'_>,
    frame: Frame,
    lang: Option<&SmolStr>,
) -> Result<u32, StreamError> {
    tracing::trace!(xml = redact(frame.bytes()), "received");
    let Loops { router, server, session, .. } = *loops;
    let root = frame.root();
    if root.ns() == ns::SM {
        return loops.manage(&root).await.map(|()| 1);
    }
    if root.ns() == ns::CSI {
        return loops.set_client_state(&root).map(|()| 1);
    }
    let client = session.handle().jid();
    let refused = |root: Option<&ElementRef<'_>>, condition: StreamCondition| {
        stanza_log::note_refused(Some(client.as_str()), root, condition, None);
        condition
    };
    router::check_claim(root.attr("from").as_deref(), client)
        .map_err(|condition| refused(Some(&root), condition))?;
    let stanza = match Stanza::read(frame) {
        Ok(stanza) => Ok(stanza),
        Err(Refusal::NotAStanza) => {
            return Err(refused(None, StreamCondition::UnsupportedStanzaType).into());
        }
        Err(Refusal::Faulty(stanza, error)) => Err((*stanza, error)),
    };
    let (counts, handled) = session.sm(|sm| (sm.is_managed(), sm.receive()));
    let processed = match stanza {
        Ok(mut stanza) => {
            let head = stanza.head_mut();
            if head.lang.is_none() {
                head.lang = lang.cloned(); // RFC 6120 §8.1.5
            }
            server.metrics.stanzas_in.of(stanza.name()).inc();
            note_answer(session, &stanza);
            router.from_client(session, origin, stanza, handled).await
        }
        Err((stanza, error)) => router::refuse(server, session, origin, stanza, &error),
    };
    let steps = processed.steps;
    loops.pending.add(session, processed, counts);
    Ok(steps)
}

/// Notes that the client has answered a request. Each request is answered once (RFC 6120 §8.2.3): by the
/// client, or by the server when the client is gone.
fn note_answer(session: &Session, stanza: &Stanza) {
    if let Stanza::Iq(iq) = stanza
        && !iq.is_request()
        && let (Some(to), Some(id)) = (&iq.head.to, &iq.head.id)
    {
        session.sm(|sm| sm.note_answer(to, id));
    }
}

/// Returns how many bytes were read.
///
/// # Errors
/// How the connection was lost.
fn bytes_came(
    server: &ServerState,
    read: io::Result<Option<usize>>,
) -> Result<usize, ConnectionEnd> {
    match read {
        Ok(None) => Err(ConnectionEnd::Lost("closed without a word")),
        Ok(Some(count)) => {
            server.metrics.bytes_in.inc_by(count as u64);
            Ok(count)
        }
        Err(error) => {
            tracing::debug!(%error, "cannot read");
            Err(ConnectionEnd::Lost("connection lost"))
        }
    }
}

/// Waits until half of the mailbox is free, and not too many stanzas are on their way to the disk. `false`
/// if it is time to stop.
async fn wait_for_capacity(loops: &Loops<'_>) -> bool {
    let capacity = async {
        loops.session.mailbox().wait_for_capacity(loops.limits.inbox_stanzas / 2).await;
        loops.pending.wait_for_capacity(loops.limits.unsettled).await;
    };
    tokio::select! {
        () = capacity => true,
        () = loops.stop.stopped() => false,
    }
}
