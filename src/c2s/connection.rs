//! A client with a session: one task, two loops side by side, one that reads and one that writes.
//!
//! Only three awaits may be dropped half-way: reading, writing, waiting for the mailbox. What a
//! stanza sets going is never dropped: half of it would be a message kept that nobody got.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};

use super::C2s;
use crate::config::LimitsConfig;
use crate::host::{Hosts, Origin};
use crate::jid::Jid;
use crate::log::redact;
use crate::ns;
use crate::router;
use crate::session::{CloseReason, Delivery, Session, SessionHandle};
use crate::stanza::{Content, Head, Iq, IqKind, Refusal, Stanza, StreamCondition, StreamError};
use crate::stream::header;
use crate::stream::input::{Heard, Input};
use crate::stream::wire::{Io, Wire};
use crate::xml::{self, Frame, element};

/// A connection while it is negotiated, and the parts of it that go on.
pub(super) struct Connection {
    /// `None` once it is lost.
    pub(super) wire: Option<Wire>,
    pub(super) input: Input,
    pub(super) peer: SocketAddr,
    pub(super) limits_before_auth: xml::Limits,
    pub(super) limits: xml::Limits,
    write_limit: Duration,
}

/// How a session has ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The client has closed its stream: a logout.
    Closed,
    /// With a stream error.
    Failed(StreamError),
    /// The network, or the client, is gone.
    Lost(&'static str),
}

impl Connection {
    pub(super) fn new(io: Box<dyn Io>, peer: SocketAddr, limits: &LimitsConfig) -> Self {
        let after = xml::Limits {
            bytes: limits.stanza,
            depth: limits.depth,
            attributes: limits.attributes,
            nodes: limits.nodes,
        };
        let before = xml::Limits {
            bytes: limits.stanza_before_auth,
            nodes: after.nodes.min(NODES_BEFORE_AUTH),
            ..after
        };
        Self {
            wire: Some(Wire::Plain(io)),
            input: Input::new(before),
            peer,
            limits_before_auth: before,
            limits: after,
            write_limit: limits.write,
        }
    }

    pub(super) async fn read(&mut self) -> io::Result<usize> {
        let wire = self.wire.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        self.input.read(wire).await
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let wire = self.wire.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        write_all(wire, bytes, self.write_limit).await
    }

    /// The TLS handshake. The connection is lost if it fails or is dropped.
    pub(super) async fn secure(&mut self, config: Arc<rustls::ServerConfig>) -> io::Result<()> {
        let wire = self.wire.take().ok_or(io::ErrorKind::NotConnected)?;
        self.wire = Some(Box::pin(wire.secure(config)).await?);
        Ok(())
    }

    /// Nobody is there any more.
    pub(super) fn abandon(&mut self) {
        self.wire = None;
    }

    /// Ends the stream in good order, as far as the peer plays along.
    pub(super) async fn close(self, error: Option<StreamError>) {
        if let Some(wire) = self.wire {
            farewell(wire, &[], error).await;
        }
    }
}

/// Serves a session on a connection, until one of them ends.
pub(super) async fn run(c2s: &C2s, connection: Connection, session: &Session) -> Ended {
    let Some(wire) = connection.wire else { return Ended::Lost("connection lost") };
    let limits = c2s.hosts.config.load().limits.clone();
    let (mut reader, mut writer) = tokio::io::split(wire);
    let stop = Stop::default();
    let handle = session.handle();
    let mut input = connection.input;
    let reading = async {
        let ended = read(&c2s.hosts, &mut reader, &mut input, handle, &limits, &stop).await;
        stop.stop(matches!(ended, Some(Ended::Lost(_))));
        ended
    };
    let writing = async {
        let ended = write(&c2s.hosts, &mut writer, handle, limits.write, &stop).await;
        // Nobody writes any more: a reader that waits for room must not wait for ever.
        handle.seal();
        stop.stop(matches!(ended, Some(Ended::Lost(_))));
        ended
    };
    let stopping = async {
        tokio::select! {
            () = stop.stopped() => {}
            () = c2s.hosts.tasks.stopping().cancelled_owned() => handle.close(CloseReason::Shutdown),
        }
    };
    let (read, written, ()) = tokio::join!(reading, writing, stopping);
    let ended = read.or(written).unwrap_or(Ended::Lost("connection lost"));
    let wire = reader.unsplit(writer);
    match &ended {
        // What was answered before the client closed still goes to it (RFC 6120 §4.4).
        Ended::Closed => {
            let (left, _) = handle.take();
            farewell(wire, &serialise(&c2s.hosts, &left), None).await;
        }
        Ended::Failed(error) => {
            c2s.note_end(Some(*error));
            farewell(wire, &[], Some(*error)).await;
        }
        Ended::Lost(_) => drop(wire),
    }
    ended
}

/// The reading loop. Carries each stanza to the end before it reads the next one, so that order
/// holds (RFC 6120 §10.1). `None` if it was told to stop.
async fn read(
    hosts: &Hosts,
    reader: &mut ReadHalf<Wire>,
    input: &mut Input,
    handle: &SessionHandle,
    limits: &LimitsConfig,
    stop: &Stop,
) -> Option<Ended> {
    let mut silence = Silence::new(limits);
    let origin = Origin::Client(handle.clone());
    loop {
        while !stop.is_stopped() {
            match input.heard() {
                Ok(None) => break,
                Ok(Some(Heard::Element(frame))) => {
                    if let Err(error) = handle_frame(hosts, &origin, handle, frame).await {
                        return Some(Ended::Failed(error));
                    }
                }
                Ok(Some(Heard::End)) => return Some(Ended::Closed),
                Ok(Some(Heard::Header(_))) => {
                    return Some(Ended::Failed(StreamCondition::BadFormat.into()));
                }
                Err(error) => return Some(Ended::Failed(error.into())),
            }
            // Its own answers pile up: it does not read. Then we do not read either.
            tokio::select! {
                () = handle.below(limits.inbox_stanzas / 2) => {}
                () = stop.stopped() => return None,
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
            () = silence.deadline() => match silence.elapsed() {
                Elapsed::No => {}
                Elapsed::Ping => ping(hosts, handle),
                Elapsed::Dead => return Some(Ended::Lost("no answer to a ping")),
            },
        }
    }
}

/// The writing loop: all that waits, in one write. `None` if it was told to stop.
async fn write(
    hosts: &Hosts,
    writer: &mut WriteHalf<Wire>,
    handle: &SessionHandle,
    limit: Duration,
    stop: &Stop,
) -> Option<Ended> {
    loop {
        tokio::select! {
            () = handle.filled() => {}
            () = stop.stopped() => return None,
        }
        let (batch, order) = handle.take();
        if let Some(order) = order {
            handle.put_back(batch);
            return Some(Ended::Failed(order_error(&order)));
        }
        let bytes = serialise(hosts, &batch);
        let written = tokio::select! {
            written = write_all(writer, &bytes, limit) => written,
            () = stop.lost() => Err(io::ErrorKind::NotConnected.into()),
        };
        if let Err(error) = written {
            handle.put_back(batch);
            tracing::debug!(%error, "cannot write");
            return Some(Ended::Lost("cannot write"));
        }
        hosts.metrics.bytes_out.inc_by(bytes.len() as u64);
    }
}

fn serialise(hosts: &Hosts, batch: &VecDeque<Delivery>) -> Vec<u8> {
    let mut out = Vec::with_capacity(batch.iter().map(|d| d.stanza.size()).sum());
    for delivery in batch {
        hosts.metrics.stanzas_out.of(delivery.stanza.name()).inc();
        delivery.stanza.write(delivery.to.as_ref(), &mut out);
    }
    out
}

/// A whole child of the stream.
async fn handle_frame(
    hosts: &Hosts,
    origin: &Origin,
    handle: &SessionHandle,
    frame: Frame,
) -> Result<(), StreamError> {
    tracing::trace!(xml = redact(frame.bytes()), "received");
    check_from(&frame, handle)?;
    match Stanza::read(frame) {
        Ok(stanza) => {
            hosts.metrics.stanzas_in.of(stanza.name()).inc();
            router::from_client(hosts, origin, stanza).await;
            Ok(())
        }
        Err(Refusal::NotAStanza) => Err(StreamCondition::UnsupportedStanzaType.into()),
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
            Ok(())
        }
    }
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
fn ping(hosts: &Hosts, handle: &SessionHandle) {
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

fn order_error(order: &CloseReason) -> StreamError {
    match order {
        CloseReason::Conflict => StreamCondition::Conflict.text("replaced by a newer session"),
        CloseReason::Kicked(_) => StreamCondition::PolicyViolation.text("closed by the operator"),
        CloseReason::Overrun => {
            StreamCondition::PolicyViolation.text("does not read what it is sent")
        }
        CloseReason::Revoked => StreamCondition::NotAuthorized.text("the login is no longer valid"),
        CloseReason::Shutdown => StreamCondition::SystemShutdown.into(),
    }
}

/// Writes all, as long as there is progress.
async fn write_all(
    wire: &mut (impl AsyncWriteExt + Unpin),
    mut bytes: &[u8],
    limit: Duration,
) -> io::Result<()> {
    while !bytes.is_empty() {
        let n = timeout(limit, wire.write(bytes)).await??;
        if n == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[n..];
    }
    timeout(limit, wire.flush()).await?
}

/// The last words, the end of the stream, the end of TLS; then we listen for a moment, since a
/// socket closed with unread bytes takes our last words with it (RFC 6120 §4.4).
async fn farewell(mut wire: Wire, last: &[u8], error: Option<StreamError>) {
    let mut out = last.to_vec();
    if let Some(error) = error {
        error.to_node().write(&mut out);
    }
    out.extend_from_slice(header::END);
    let deadline = Instant::now() + FAREWELL;
    let said = async {
        wire.write_all(&out).await?;
        wire.shutdown().await?;
        let mut rest = bytes::BytesMut::new();
        while crate::stream::wire::read(&mut wire, &mut rest).await? > 0 {
            rest.clear();
        }
        io::Result::Ok(())
    };
    // A peer that does not listen misses it.
    drop(tokio::time::timeout_at(deadline, said).await);
}

/// Tells both loops to stop: between two stanzas, or at once if the connection is lost.
#[derive(Debug, Default)]
struct Stop {
    how: AtomicU8,
    changed: Notify,
}

impl Stop {
    fn stop(&self, lost: bool) {
        self.how.fetch_max(if lost { LOST } else { STOPPED }, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    fn is_stopped(&self) -> bool {
        self.how.load(Ordering::Relaxed) >= STOPPED
    }

    async fn stopped(&self) {
        self.reaches(STOPPED).await;
    }

    async fn lost(&self) {
        self.reaches(LOST).await;
    }

    async fn reaches(&self, how: u8) {
        loop {
            let changed = self.changed.notified();
            if self.how.load(Ordering::Relaxed) >= how {
                return;
            }
            changed.await;
        }
    }
}

/// How long a client has been silent, and what is due.
struct Silence {
    after: Duration,
    answer: Duration,
    heard: Instant,
    pinged: Option<Instant>,
}

enum Elapsed {
    Dead,
    No,
    Ping,
}

impl Silence {
    fn new(limits: &LimitsConfig) -> Self {
        Self {
            after: limits.silence,
            answer: limits.ping_answer,
            heard: Instant::now(),
            pinged: None,
        }
    }

    fn broken(&mut self) {
        self.heard = Instant::now();
        self.pinged = None;
    }

    fn due(&self) -> Instant {
        self.pinged.map_or(self.heard + self.after, |pinged| pinged + self.answer)
    }

    fn deadline(&self) -> impl Future<Output = ()> + use<> {
        sleep_until(self.due())
    }

    fn elapsed(&mut self) -> Elapsed {
        let now = Instant::now();
        if now < self.due() {
            return Elapsed::No;
        }
        if self.pinged.is_some() {
            return Elapsed::Dead;
        }
        self.pinged = Some(now);
        Elapsed::Ping
    }
}

const STOPPED: u8 = 1;
const LOST: u8 = 2;
/// For the last words.
const FAREWELL: Duration = Duration::from_secs(2);
/// Elements, attributes and texts: enough for a stream header and SASL.
const NODES_BEFORE_AUTH: usize = 256;
