//! The reading loop of a client with a session.

use std::io;

use tokio::time::Instant;

use super::connection_end::ConnectionEnd;
use super::incoming::{Incoming, ping};
use super::keepalive::{Elapsed, Keepalive};
use super::loop_shutdown::LoopShutdown;
use super::pending_acks::PendingAcks;
use super::read_rate::ReadRate;
use crate::config::LimitsConfig;
use crate::host::{Hosts, Origin};
use crate::ns;
use crate::session::Session;
use crate::stanza::StreamCondition;
use crate::stream::channel::SharedChannel;
use crate::stream::input::{Input, StreamEvent};

/// Reads until the end. Carries each stanza to the end before it reads the next one, so that order
/// holds (RFC 6120 §10.1). `None` if it was told to stop.
pub(super) async fn read(
    incoming: Incoming<'_>,
    channel: &SharedChannel,
    input: &mut Input,
    limits: &LimitsConfig,
    stop: &LoopShutdown,
) -> Option<ConnectionEnd> {
    let Incoming { hosts, session, pending } = incoming;
    let mut keepalive = Keepalive::new(limits);
    let mut pace = ReadRate::new(&incoming, limits);
    let origin = Origin::Client(session);
    let mut came = None;
    loop {
        let mut alive = false;
        while !stop.is_stopped() {
            match input.next_event() {
                Ok(None) => break,
                // The client ends its stream with an error. No error answers an error.
                Ok(Some(StreamEvent::Element(frame))) if frame.root().is(ns::STREAM, "error") => {
                    return Some(ConnectionEnd::Closed);
                }
                Ok(Some(StreamEvent::Element(frame))) => {
                    alive = true;
                    let size = frame.bytes().len();
                    // Boxed: what may happen to a stanza needs room, and only for a moment.
                    let steps = Box::pin(incoming.handle(&origin, frame, input.lang())).await;
                    if let Err(ended) = pace.carried(size, steps, stop).await {
                        return ended;
                    }
                }
                Ok(Some(StreamEvent::End)) => return Some(ConnectionEnd::Closed),
                Ok(Some(StreamEvent::Header(_))) => {
                    return Some(ConnectionEnd::Failed(StreamCondition::BadFormat.into()));
                }
                Err(error) => return Some(ConnectionEnd::Failed(error.into())),
            }
            // If the answers to the client pile up because it does not read, we do not read either.
            if !Box::pin(wait_for_capacity(session, pending, limits, stop)).await {
                return None;
            }
        }
        if let Some(count) = came.take() {
            keepalive.received(count, alive || !input.is_within());
        }
        tokio::select! {
            biased;
            () = stop.stopped() => return None,
            read = channel.receive(input.received()) => {
                let count = match bytes_came(hosts, read) {
                    Ok(count) => *came.insert(count),
                    Err(ended) => return Some(ended),
                };
                let before = Instant::now();
                if let Err(ended) = pace.read(count, stop).await {
                    return ended;
                }
                keepalive.did_not_read(before.elapsed());
            },
            () = keepalive.deadline(session.sm(|sm| sm.has_unacked())) => {
                match keepalive.elapsed() {
                    Elapsed::No => {}
                    Elapsed::Acknowledge => pending.send_ack(),
                    Elapsed::Ping => ping(hosts, session.handle()),
                    Elapsed::Dead => return Some(ConnectionEnd::Lost("no answer to a ping")),
                }
            }
        }
    }
}

/// How many bytes were read, or how the connection was lost.
fn bytes_came(hosts: &Hosts, read: io::Result<Option<usize>>) -> Result<usize, ConnectionEnd> {
    match read {
        Ok(None) => Err(ConnectionEnd::Lost("closed without a word")),
        Ok(Some(count)) => {
            hosts.metrics.bytes_in.inc_by(count as u64);
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
async fn wait_for_capacity(
    session: &Session,
    pending: &PendingAcks,
    limits: &LimitsConfig,
    stop: &LoopShutdown,
) -> bool {
    let room = async {
        session.mailbox().wait_for_capacity(limits.inbox_stanzas / 2).await;
        pending.wait_for_capacity(limits.unsettled).await;
    };
    tokio::select! {
        () = room => true,
        () = stop.stopped() => false,
    }
}
