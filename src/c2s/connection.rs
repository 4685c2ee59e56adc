//! A client with a session: one task, two loops side by side, one that reads and one that writes.
//!
//! Only three awaits may be dropped half-way: reading, writing, waiting for the mailbox. What a
//! stanza sets going is never dropped: half of it would be a message kept that nobody got.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use tokio::io::{ReadHalf, WriteHalf};
use tokio::sync::oneshot;

use super::C2s;
use super::incoming::{handle, order_error, ping};
use super::silence::{Elapsed, Silence};
use super::socket::{Opened, farewell, write_all};
use super::stop::Stop;
use super::turn::Turn;
use crate::config::LimitsConfig;
use crate::host::{Hosts, Origin};
use crate::ns;
use crate::session::{Batch, Delivery, Order, Session};
use crate::stanza::{StreamCondition, StreamError};
use crate::stream::input::{Heard, Input};
use crate::stream::wire::Wire;
use crate::xml::element;

/// How the life of a session on a connection has ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The client has closed its stream: a logout.
    Closed,
    /// With a stream error.
    Failed(StreamError),
    /// The network, or the client, is gone.
    Lost(&'static str),
    /// The session goes on on another connection.
    HandedOver(oneshot::Sender<Session>),
}

/// Serves a session on a connection, until one of them ends.
pub(super) async fn run(c2s: &C2s, opened: &mut Opened, session: &Session) -> Ended {
    let Opened { wire, input, first } = opened;
    let Some(wire) = wire.take() else { return Ended::Lost("connection lost") };
    let config = c2s.hosts.config.load_full();
    let limits = &config.limits;
    let (mut reader, mut writer) = tokio::io::split(wire);
    let stop = Stop::default();
    let handle = session.handle();
    handle.set_writer(true);
    let reading = async {
        let ended = read(&c2s.hosts, &mut reader, input, session, limits, &stop).await;
        stop.stop(matches!(ended, Some(Ended::Lost(_))));
        ended
    };
    let writing = async {
        let first = std::mem::take(first);
        let said = Box::pin(write_all(&mut writer, &first, limits.write)).await;
        drop(first);
        let ended = match said {
            Ok(()) => write(&c2s.hosts, &mut writer, session, limits, &stop).await,
            Err(_) => Some(Ended::Lost("cannot write")),
        };
        // A reader that waits for room must not wait for ever.
        handle.set_writer(false);
        stop.stop(matches!(ended, Some(Ended::Lost(_))));
        ended
    };
    let (read, written) = tokio::join!(reading, writing);
    // An order counts for more than what the reader saw at the same time.
    let ended = written.or(read).unwrap_or(Ended::Lost("connection lost"));
    let wire = reader.unsplit(writer);
    Box::pin(last_words(c2s, wire, session, &ended)).await;
    ended
}

/// What is said at the end, if anybody is there.
async fn last_words(c2s: &C2s, wire: Wire, session: &Session, ended: &Ended) {
    match ended {
        // What was answered before the client closed still goes to it (RFC 6120 §4.4).
        Ended::Closed => {
            let (left, _) = session.handle().take();
            let last = next_bytes(&c2s.hosts, session, left);
            farewell(wire, &last, None).await;
        }
        Ended::Failed(error) => {
            c2s.note_end(Some(error));
            farewell(wire, &[], Some(error)).await;
        }
        // XEP-0198 §5: the old stream, if it is still there, ends with a conflict. The session
        // does not wait for that.
        Ended::HandedOver(_) => {
            let error = StreamCondition::Conflict.text("resumed on another connection");
            let bye = async move { farewell(wire, &[], Some(&error)).await };
            drop(c2s.hosts.tasks.spawn("farewell", bye));
        }
        Ended::Lost(_) => drop(wire),
    }
}

/// The reading loop. Carries each stanza to the end before it reads the next one, so that order
/// holds (RFC 6120 §10.1). `None` if it was told to stop.
async fn read(
    hosts: &Hosts,
    reader: &mut ReadHalf<Wire>,
    input: &mut Input,
    session: &Session,
    limits: &LimitsConfig,
    stop: &Stop,
) -> Option<Ended> {
    let mut silence = Silence::new(limits);
    let mut turn = Turn::new(limits);
    let origin = Origin::Client(session.handle().clone());
    loop {
        while !stop.is_stopped() {
            match input.heard() {
                Ok(None) => break,
                // Its end of the stream is in error, so is ours: no error answers an error.
                Ok(Some(Heard::Element(frame))) if frame.root().is(ns::STREAM, "error") => {
                    return Some(Ended::Closed);
                }
                Ok(Some(Heard::Element(frame))) => {
                    let size = frame.bytes().len();
                    // Boxed: all that may happen to a stanza needs room, for a moment.
                    let handled =
                        Box::pin(handle(hosts, &origin, session, frame, input.lang())).await;
                    if let Err(error) = handled {
                        return Some(Ended::Failed(error));
                    }
                    turn.spend(size).await;
                }
                Ok(Some(Heard::End)) => return Some(Ended::Closed),
                Ok(Some(Heard::Header(_))) => {
                    return Some(Ended::Failed(StreamCondition::BadFormat.into()));
                }
                Err(error) => return Some(Ended::Failed(error.into())),
            }
            // Its own answers pile up: it does not read. Then we do not read either.
            if !Box::pin(room(session, limits, stop)).await {
                return None;
            }
        }
        tokio::select! {
            biased;
            () = stop.stopped() => return None,
            read = input.read(&mut *reader) => match read {
                Ok(0) => return Some(Ended::Lost("closed without a word")),
                Ok(count) => {
                    hosts.metrics.bytes_in.inc_by(count as u64);
                    silence.broken();
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot read");
                    return Some(Ended::Lost("connection lost"));
                }
            },
            () = silence.deadline(session.link(|link| link.has_untold())) => {
                match silence.elapsed() {
                    Elapsed::No => {}
                    Elapsed::Tell => {
                        if session.link(|link| link.acknowledge_due()) {
                            session.handle().prompt();
                        }
                    }
                    Elapsed::Ping => ping(hosts, session.handle()),
                    Elapsed::Dead => return Some(Ended::Lost("no answer to a ping")),
                }
            }
        }
    }
}

/// Waits until half of the mailbox is free. `false` if it is time to stop.
async fn room(session: &Session, limits: &LimitsConfig, stop: &Stop) -> bool {
    tokio::select! {
        () = session.handle().below(limits.inbox_stanzas / 2) => true,
        () = stop.stopped() => false,
    }
}

/// The writing loop: all that waits, in one write. `None` if it was told to stop.
async fn write(
    hosts: &Hosts,
    writer: &mut WriteHalf<Wire>,
    session: &Session,
    limits: &LimitsConfig,
    stop: &Stop,
) -> Option<Ended> {
    let handle = session.handle();
    // A resumed stream begins with what was not acknowledged on the one before.
    if session.link(|link| link.is_managed()) {
        handle.prompt();
    }
    loop {
        tokio::select! {
            () = handle.filled() => {}
            () = stop.stopped() => return None,
        }
        let (stanzas, order) = handle.take();
        match order {
            None => {}
            Some(order) => {
                handle.put_back(stanzas);
                return Some(match order {
                    Order::Close(reason) => Ended::Failed(order_error(&reason)),
                    Order::HandOver(to) => Ended::HandedOver(to),
                });
            }
        }
        // Boxed: a writer waits more often than it writes.
        let written = write_next(hosts, writer, session, stanzas, limits.write, stop);
        if let Err(error) = Box::pin(written).await {
            tracing::debug!(%error, "cannot write");
            let (stanzas, order) = handle.take();
            handle.put_back(stanzas);
            return Some(match order {
                Some(Order::Close(reason)) => Ended::Failed(order_error(&reason)),
                Some(Order::HandOver(to)) => Ended::HandedOver(to),
                None => Ended::Lost("cannot write"),
            });
        }
        let (stanzas, bytes) = session.link(|link| link.unacknowledged());
        if stanzas > limits.unacknowledged || bytes > limits.unacknowledged_bytes {
            let error = StreamCondition::PolicyViolation.text("acknowledges nothing");
            return Some(Ended::Failed(error));
        }
    }
}

/// Writes what is due. Stanzas that were not written, and are not managed, are put back.
async fn write_next(
    hosts: &Hosts,
    writer: &mut WriteHalf<Wire>,
    session: &Session,
    stanzas: VecDeque<Delivery>,
    limit: Duration,
    stop: &Stop,
) -> io::Result<()> {
    let again = (!session.link(|link| link.is_managed())).then(|| stanzas.clone());
    let bytes = next_bytes(hosts, session, stanzas);
    let written = tokio::select! {
        written = write_all(writer, &bytes, limit) => written,
        () = stop.lost() => Err(io::ErrorKind::NotConnected.into()),
        // Its client is on another connection already and waits there (XEP-0198 §5), or it is
        // told to close and does not read.
        () = session.handle().interrupted() => Err(io::ErrorKind::Interrupted.into()),
    };
    match written {
        Ok(()) => {
            hosts.metrics.bytes_out.inc_by(bytes.len() as u64);
            Ok(())
        }
        Err(error) => {
            if let Some(stanzas) = again {
                session.handle().put_back(stanzas);
            }
            Err(error)
        }
    }
}

/// The bytes of these stanzas, with what stream management adds.
fn next_bytes(hosts: &Hosts, session: &Session, stanzas: VecDeque<Delivery>) -> Vec<u8> {
    let (batch, stanzas) = session.link(|link| link.write(stanzas));
    let Batch { enabled, acknowledge, request } = batch;
    let mut out = Vec::with_capacity(stanzas.iter().map(|d| d.stanza.size()).sum::<usize>() + 64);
    if let Some(resumable) = enabled {
        let mut node = element("enabled").ns(ns::SM);
        if let Some((id, max)) = resumable {
            node = node.attr("id", id).attr("resume", "true");
            node = node.attr("max", max.as_secs().to_string());
        }
        node.write(&mut out);
    }
    if let Some(h) = acknowledge {
        element("a").ns(ns::SM).attr("h", h.to_string()).write(&mut out);
    }
    for delivery in &stanzas {
        hosts.metrics.stanzas_out.of(delivery.stanza.name()).inc();
        delivery.stanza.write(delivery.to.as_ref(), &mut out);
    }
    if request {
        element("r").ns(ns::SM).write(&mut out);
    }
    out
}
