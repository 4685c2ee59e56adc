//! A client with a session: one task, two loops side by side, one that reads and one that writes.
//!
//! Only three awaits may be dropped half-way: reading, writing, waiting for the mailbox. What a
//! stanza sets going is never dropped: half of it would be a message kept that nobody got.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use tokio::io::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::C2s;
use super::incoming::{Incoming, order_error, ping};
use super::keepalive::{Elapsed, Keepalive};
use super::loop_shutdown::LoopShutdown;
use super::pending_acks::{PendingAcks, keep_count};
use super::read_rate::ReadRate;
use super::socket::{Opened, end_tls, farewell, write_all};
use crate::config::LimitsConfig;
use crate::host::{Hosts, Origin};
use crate::ns;
use crate::router;
use crate::session::{Batch, CloseReason, Delivery, Order, Session, SmState};
use crate::stanza::{Condition, StreamCondition, StreamError};
use crate::storage::MessageId;
use crate::stream::input::{Input, StreamEvent};
use crate::stream::negotiation;
use crate::stream::wire::Wire;
use crate::xml::element;

/// How the life of a session on a connection has ended.
#[derive(Debug)]
pub(super) enum ConnectionEnd {
    /// The client has closed its stream: a logout.
    Closed,
    /// With a stream error.
    Failed(StreamError),
    /// The network, or the client, is gone.
    Lost(&'static str),
    /// The session goes on on another connection.
    HandedOver(oneshot::Sender<Session>),
    /// The server ends: the session is saved, and waits for the end without a connection.
    Detached(mpsc::Sender<()>),
    /// The server has ended but for this session: the next one goes on with it.
    Stopped,
}

/// Serves a session on a connection, until one of them ends.
pub(super) async fn run(c2s: &C2s, opened: &mut Opened, session: &Session) -> ConnectionEnd {
    let Opened { wire, input, first, delivered: markers } = opened;
    let Some(wire) = wire.take() else { return ConnectionEnd::Lost("connection lost") };
    let config = c2s.hosts.config.load_full();
    let limits = &config.limits;
    let (mut reader, mut writer) = tokio::io::split(wire);
    let (stop, pending) = (LoopShutdown::default(), PendingAcks::default());
    session.mailbox().set_writer(true);
    let incoming = Incoming { hosts: &c2s.hosts, session, pending: &pending };
    let reading = async {
        Box::pin(delivered(&c2s.hosts, session, &std::mem::take(markers))).await;
        let ended = read(incoming, &mut reader, input, limits, &stop).await;
        pending.close();
        stop.stop(matches!(ended, Some(ConnectionEnd::Lost(_))));
        ended
    };
    let writing = async {
        let first = std::mem::take(first);
        let said = Box::pin(write_all(&mut writer, &first, limits.write)).await;
        drop(first);
        let ended = match said {
            Ok(()) => write(incoming, &mut writer, limits, &stop).await,
            Err(_) => Some(ConnectionEnd::Lost("cannot write")),
        };
        // A reader that waits for room must not wait for ever.
        session.mailbox().set_writer(false);
        stop.stop(matches!(ended, Some(ConnectionEnd::Lost(_))));
        ended
    };
    let settling = pending.settle(&c2s.hosts, session);
    let catching_up = async {
        tokio::select! {
            () = router::catch_up(&c2s.hosts, session) => {}
            () = stop.stopped() => {}
        }
    };
    // What can be settled is settled before an answer is written: it says more then.
    let (read, (), written, ()) = tokio::join!(biased; reading, settling, writing, catching_up);
    // An order counts for more than what the reader saw at the same time.
    let ended = written.or(read).unwrap_or(ConnectionEnd::Lost("connection lost"));
    let wire = reader.unsplit(writer);
    // The client hears of this count now, or from whoever has the session next.
    Box::pin(keep_count(&c2s.hosts, session)).await;
    Box::pin(last_words(c2s, wire, session, &ended)).await;
    ended
}

/// What is said at the end, if anybody is there.
async fn last_words(c2s: &C2s, wire: Wire, session: &Session, ended: &ConnectionEnd) {
    match ended {
        // What was answered before the client closed still goes to it (RFC 6120 §4.4).
        ConnectionEnd::Closed => {
            let (left, _) = session.mailbox().take();
            let markers = markers_of(session, &left);
            let again = (!session.sm(|sm| sm.is_managed())).then(|| left.clone());
            session.sm(|sm| sm.has_unacked() && sm.acknowledge_due());
            let last = next_bytes(&c2s.hosts, session, left, true);
            match (farewell(wire, &last, None).await, again) {
                (Ok(()), _) => delivered(&c2s.hosts, session, &markers).await,
                (Err(_), Some(left)) => session.mailbox().put_back(left),
                (Err(_), None) => {}
            }
        }
        ConnectionEnd::Failed(error) => {
            c2s.note_end(error);
            let last = last_count(&c2s.hosts, session);
            drop(farewell(wire, &last, Some(error)).await);
        }
        // XEP-0198 §5: the old stream, if it is still there, ends with a conflict. The session
        // does not wait for that.
        ConnectionEnd::HandedOver(_) => {
            let error = StreamCondition::Conflict.text("resumed on another connection");
            let bye = async move { drop(farewell(wire, &[], Some(&error)).await) };
            drop(c2s.hosts.tasks.spawn("farewell", bye));
        }
        // To a client that can resume, the end of a server is a lost connection, and no more: it
        // says nothing, tells its user nothing, and comes back. A lost one may be there, too, and
        // only slow.
        ConnectionEnd::Detached(_) | ConnectionEnd::Stopped | ConnectionEnd::Lost(_) => {
            end_tls(wire).await
        }
    }
}

/// The reading loop. Carries each stanza to the end before it reads the next one, so that order
/// holds (RFC 6120 §10.1). `None` if it was told to stop.
async fn read(
    incoming: Incoming<'_>,
    reader: &mut ReadHalf<Wire>,
    input: &mut Input,
    limits: &LimitsConfig,
    stop: &LoopShutdown,
) -> Option<ConnectionEnd> {
    let Incoming { hosts, session, pending } = incoming;
    let mut silence = Keepalive::new(limits);
    let mut pace = ReadRate::new(&incoming, limits);
    let origin = Origin::Client(session);
    let mut came = 0;
    loop {
        let mut alive = false;
        while !stop.is_stopped() {
            match input.heard() {
                Ok(None) => break,
                // Its end of the stream is in error, so is ours: no error answers an error.
                Ok(Some(StreamEvent::Element(frame))) if frame.root().is(ns::STREAM, "error") => {
                    return Some(ConnectionEnd::Closed);
                }
                Ok(Some(StreamEvent::Element(frame))) => {
                    alive = true;
                    let size = frame.bytes().len();
                    // Boxed: all that may happen to a stanza needs room, for a moment.
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
            // Its own answers pile up: it does not read. Then we do not read either.
            if !Box::pin(wait_for_capacity(session, pending, limits, stop)).await {
                return None;
            }
        }
        if came > 0 {
            silence.broken(std::mem::take(&mut came), alive || !input.is_within());
        }
        tokio::select! {
            biased;
            () = stop.stopped() => return None,
            read = input.read(&mut *reader) => {
                came = match bytes_came(hosts, read) {
                    Ok(count) => count,
                    Err(ended) => return Some(ended),
                };
                let before = Instant::now();
                if let Err(ended) = pace.read(came, stop).await {
                    return ended;
                }
                silence.ours(before.elapsed());
            },
            () = silence.deadline(session.sm(|sm| sm.has_unacked())) => {
                match silence.elapsed() {
                    Elapsed::No => {}
                    Elapsed::Tell => pending.send_ack(),
                    Elapsed::Ping => ping(hosts, session.handle()),
                    Elapsed::Dead => return Some(ConnectionEnd::Lost("no answer to a ping")),
                }
            }
        }
    }
}

/// How many bytes were read; or how the connection was lost.
fn bytes_came(hosts: &Hosts, read: io::Result<usize>) -> Result<usize, ConnectionEnd> {
    match read {
        Ok(0) => Err(ConnectionEnd::Lost("closed without a word")),
        Ok(count) => {
            hosts.metrics.bytes_in.inc_by(count as u64);
            Ok(count)
        }
        Err(error) => {
            tracing::debug!(%error, "cannot read");
            Err(ConnectionEnd::Lost("connection lost"))
        }
    }
}

/// Waits until half of the mailbox is free, and not too much is on its way to the disk. `false` if it
/// is time to stop.
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

/// The writing loop: all that waits, in one write. `None` if it was told to stop.
async fn write(
    incoming: Incoming<'_>,
    writer: &mut WriteHalf<Wire>,
    limits: &LimitsConfig,
    stop: &LoopShutdown,
) -> Option<ConnectionEnd> {
    let session = incoming.session;
    let mailbox = session.mailbox();
    // A resumed stream begins with what was not acknowledged on the one before.
    if session.sm(|sm| sm.is_managed()) {
        mailbox.wake_writer();
    }
    loop {
        // Once it is time to stop, what is left is for the last words.
        tokio::select! {
            biased;
            () = stop.stopped() => return None,
            () = mailbox.filled() => {}
        }
        let (stanzas, order) = mailbox.take();
        match order {
            None => {}
            Some(order) => {
                mailbox.put_back(stanzas);
                return Some(ordered(session, order));
            }
        }
        // Boxed: a writer waits more often than it writes.
        let written = write_next(incoming, writer, stanzas, limits.write, stop);
        if let Err(error) = Box::pin(written).await {
            tracing::debug!(%error, "cannot write");
            let (stanzas, order) = mailbox.take();
            mailbox.put_back(stanzas);
            return Some(
                order.map_or(ConnectionEnd::Lost("cannot write"), |order| ordered(session, order)),
            );
        }
        let (most, size) = (limits.unacknowledged, limits.unacknowledged_bytes);
        if session.sm(|sm| sm.is_unresponsive(most, size)) {
            mailbox.note_overrun();
            let error = StreamCondition::PolicyViolation.text("the client acknowledges nothing");
            return Some(ConnectionEnd::Failed(error));
        }
    }
}

fn ordered(session: &Session, order: Order) -> ConnectionEnd {
    let outlives = || {
        let resumption = session.sm(|sm| sm.resumption());
        resumption.is_some_and(|resumption| resumption.number.is_some())
    };
    match order {
        Order::Close(CloseReason::Shutdown) if outlives() => ConnectionEnd::Stopped,
        Order::Detach(saving) if outlives() => ConnectionEnd::Detached(saving),
        Order::Detach(_) => ConnectionEnd::Failed(order_error(&CloseReason::Shutdown)),
        Order::Close(reason) => ConnectionEnd::Failed(order_error(&reason)),
        Order::HandOver(to) => ConnectionEnd::HandedOver(to),
    }
}

/// Writes what is due. Stanzas that were not written, and are not managed, are put back.
async fn write_next(
    incoming: Incoming<'_>,
    writer: &mut WriteHalf<Wire>,
    stanzas: VecDeque<Delivery>,
    limit: Duration,
    stop: &LoopShutdown,
) -> io::Result<()> {
    let Incoming { hosts, session, pending } = incoming;
    let again = (!session.sm(|sm| sm.is_managed())).then(|| stanzas.clone());
    let markers = markers_of(session, &stanzas);
    let bytes = next_bytes(hosts, session, stanzas, false);
    pending.answered();
    session.mailbox().set_writing(bytes.len());
    let written = tokio::select! {
        written = write_all(writer, &bytes, limit) => written,
        () = stop.lost() => Err(io::ErrorKind::NotConnected.into()),
        // Its client is on another connection already and waits there (XEP-0198 §5), or it is
        // told to close and does not read.
        () = session.mailbox().interrupted() => Err(io::ErrorKind::Interrupted.into()),
    };
    session.mailbox().set_writing(0);
    match written {
        Ok(()) => {
            hosts.metrics.bytes_out.inc_by(bytes.len() as u64);
            delivered(hosts, session, &markers).await;
            Ok(())
        }
        Err(error) => {
            if let Some(stanzas) = again {
                session.mailbox().put_back(stanzas);
            }
            Err(error)
        }
    }
}

/// How many stanzas were handled, for a client that is cut off: else it sends them a second time. Not
/// if it has yet to hear that one came to nothing.
fn last_count(hosts: &Hosts, session: &Session) -> Vec<u8> {
    let (left, _) = session.mailbox().take();
    let knows = !left.iter().any(|delivery| delivery.stanza.is_error());
    session.mailbox().put_back(left);
    let is_due = |sm: &mut SmState| sm.has_asked() || sm.has_unacked() && sm.acknowledge_due();
    if knows && session.sm(is_due) {
        next_bytes(hosts, session, VecDeque::new(), true)
    } else {
        Vec::new()
    }
}

/// The bytes of these stanzas, with what stream management adds. Who hears that a stanza was handled
/// has heard before if it came to nothing; and last of all, if this is the last (XEP-0198 §4).
fn next_bytes(
    hosts: &Hosts,
    session: &Session,
    stanzas: VecDeque<Delivery>,
    is_last: bool,
) -> Vec<u8> {
    let (batch, stanzas) = session.sm(|sm| sm.write(stanzas));
    let Batch { enabled, refused, acknowledge, request } = batch;
    let mut out = Vec::with_capacity(stanzas.iter().map(|d| d.stanza.size()).sum::<usize>() + 64);
    if let Some(resumption) = enabled {
        let mut node = element("enabled").ns(ns::SM);
        if let Some(resumption) = resumption {
            let location = hosts.config.load().listen.location.clone();
            node = node.attr("id", resumption.id).attr("resume", "true");
            node = node.attr("max", resumption.max.as_secs().to_string());
            node = node.maybe_attr("location", location);
        }
        node.write(&mut out);
    }
    for _ in 0..refused {
        out.extend(negotiation::sm_failed(Condition::UnexpectedRequest, None));
    }
    let error = stanzas.iter().rposition(|delivery| delivery.stanza.is_error());
    let count_at = if is_last { stanzas.len() } else { error.map_or(0, |error| error + 1) };
    let count = acknowledge.map(|(h, times)| {
        let count = element("a").ns(ns::SM).attr("h", h.to_string()).to_bytes();
        count.repeat(times as usize)
    });
    for (i, delivery) in stanzas.iter().enumerate() {
        if let Some(count) = count.as_ref().filter(|_| i == count_at) {
            out.extend_from_slice(count);
        }
        hosts.metrics.stanzas_out.of(delivery.stanza.name()).inc();
        delivery.stanza.write(delivery.to.as_ref(), &mut out);
    }
    if let Some(count) = count.filter(|_| count_at == stanzas.len()) {
        out.extend_from_slice(&count);
    }
    if request && !is_last {
        element("r").ns(ns::SM).write(&mut out);
    }
    out
}

/// The markers of messages that a client has when they are written: without stream management, nobody
/// says more.
fn markers_of(session: &Session, stanzas: &VecDeque<Delivery>) -> Vec<MessageId> {
    if session.sm(|sm| sm.is_managed()) {
        return Vec::new();
    }
    stanzas.iter().flat_map(Delivery::markers).collect()
}

/// The client has these: their markers fall. If they do not, it gets them again, with the same ids.
pub(super) async fn delivered(hosts: &Hosts, session: &Session, markers: &[MessageId]) {
    if markers.is_empty() {
        return;
    }
    let user = session.handle().jid().to_bare();
    if let Err(error) = hosts.storage.archive().delivered(&user, markers).await {
        tracing::warn!(%error, "cannot record a delivery: the messages will be delivered again");
    }
    session.mailbox().release(markers);
}
