//! Serves a stream that another server has opened: carries out what the machine says, to the end of the connection.

use std::sync::Arc;
use std::time::Duration;

use smol_str::SmolStr;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tracing::Instrument as _;

use super::action::Actions;
use super::lanes::Lanes;
use super::machine::Incoming;
use crate::config::Config;
use crate::listen::{Accepted, Counted};
use crate::s2s::announced_limits::OurLimits;
use crate::s2s::counters::Counting;
use crate::s2s::dialback::Verdict;
use crate::s2s::flow::Flow;
use crate::s2s::limits;
use crate::s2s::link::Link;
use crate::s2s::managed::Owed;
use crate::s2s::on_its_way::{LAST_MOMENT, OnItsWay};
use crate::s2s::pair::Pair;
use crate::s2s::servers::Servers;
use crate::s2s::streams::Stream as Entry;
use crate::stanza::{StreamCondition, StreamError};
use crate::stream::channel::Channel;
use crate::stream::connection::Connection;
use crate::stream::exchange::Exchanged;

/// How a stream ends: with an error, or without.
pub(super) type Ended = Option<StreamError>;

/// Serves one stream of another server.
pub async fn serve(servers: Arc<Servers>, accepted: Accepted) {
    let Accepted { wire, peer, tls, counted, .. } = accepted;
    let config = servers.server().config.load_full();
    let certificate = tls.map(|tls| servers.certificates.judge(&tls.certificates));
    let our_limits = OurLimits::new(&config);
    let (rules, key) = (servers.rules(), servers.key.clone());
    let before = limits::before_auth(&config);
    let channel = Channel::Tcp(wire);
    let connection = Connection::new(channel, peer, before, config.limits.write).with_server();
    let (verdict, verdicts) = mpsc::channel(VERDICTS);
    let stream = Stream {
        lanes: Lanes::new(Arc::clone(&servers.router)),
        machine: Incoming::new(rules, key, our_limits, certificate),
        due: Instant::now() + config.limits.negotiation,
        moved: Instant::now(),
        early: 0,
        flow: Flow::new(config.limits.write),
        servers: Arc::clone(&servers),
        config,
        connection,
        verdict,
        sending: None,
        owed: Owed::default(),
        ends_at: None,
        entry: None,
        counting: None,
        id: None,
        silent_until: None,
    };
    let span = tracing::debug_span!("stream", %peer);
    let task = live(Box::new(stream), verdicts, counted);
    drop(servers.server().tasks.spawn("server", task.instrument(span)));
}

/// A stream of another server.
pub(super) struct Stream {
    pub(super) servers: Arc<Servers>,
    pub(super) config: Arc<Config>,
    pub(super) connection: Connection,
    pub(super) machine: Incoming,
    pub(super) lanes: Lanes,
    /// When something must be proven, and the stream be open.
    pub(super) due: Instant,
    /// When something was heard or written last.
    pub(super) moved: Instant,
    /// Bytes that came before anything was proven.
    pub(super) early: usize,
    pub(super) flow: Flow,
    pub(super) verdict: mpsc::Sender<(Pair, Verdict)>,
    /// What we send on this stream (XEP-0288).
    pub(super) sending: Option<(Arc<Link>, OnItsWay)>,
    /// What the peer wants to be told (XEP-0198 §4).
    pub(super) owed: Owed,
    /// The server ends: what waits is written until then.
    pub(super) ends_at: Option<Instant>,
    /// What administrators see of it.
    pub(super) entry: Option<Arc<Entry>>,
    /// Its counter is kept.
    pub(super) counting: Option<Counting>,
    /// The id by which the peer asks for it later, and we for that of the peer.
    pub(super) id: Option<SmolStr>,
    /// Until then nothing is sent on it, unless the peer has said whether it acknowledges: else it would not be counted.
    pub(super) silent_until: Option<Instant>,
}

async fn live(
    mut stream: Box<Stream>,
    mut verdicts: mpsc::Receiver<(Pair, Verdict)>,
    counted: Counted,
) {
    let servers = Arc::clone(&stream.servers);
    let entry = servers.streams.enter(stream.connection.peer);
    stream.entry = Some(Arc::clone(&entry.stream));
    let mut proven = 0;
    let ended = loop {
        let pairs = stream.machine.pairs();
        if pairs.len() > proven {
            proven = pairs.len();
            *entry.stream.pairs.lock() = pairs.to_vec();
        }
        let actions = match stream.next(&mut verdicts, &entry.stream).await {
            Ok(actions) => actions,
            Err(ended) => break ended,
        };
        if let Err(ended) = Box::pin(stream.carry_out(actions)).await {
            break ended;
        }
    };
    stream.end(ended).await;
    drop(counted);
}

impl Stream {
    /// Waits for the next event, and asks the machine what to do.
    async fn next(
        &mut self,
        verdicts: &mut mpsc::Receiver<(Pair, Verdict)>,
        entry: &Entry,
    ) -> Result<Actions, Ended> {
        let tasks = &self.servers.server().tasks;
        let (stopping, ending) = (tasks.stopping(), tasks.ending());
        loop {
            if let Some(actions) = self.hear() {
                return Ok(actions);
            }
            self.flow.note(&self.connection);
            self.take().await;
            self.answer();
            if self.is_finished() {
                return Ok(self.machine.fail(StreamCondition::SystemShutdown.into()));
            }
            let (has_room, acknowledged_by) = match self.outlook() {
                Ok(outlook) => outlook,
                Err(error) => return Ok(self.machine.fail(error)),
            };
            let link = self.sending.as_ref().map(|(link, _)| Arc::clone(link));
            let due = self.closes_at();
            let may_read = self.flow.may_read(&self.connection);
            let owed_by = self.owed.wakes_at();
            let others = [self.ends_at, acknowledged_by, owed_by, self.silent_until];
            let wakes_at = others.into_iter().flatten().fold(due, Instant::min);
            let wakes_at = self.flow.wakes_at(&self.connection, wakes_at);
            let lanes = self.owed.is_any().then_some(&self.lanes);
            tokio::select! {
                biased;
                () = ending.cancelled(), if self.ends_at.is_none() => {
                    self.ends_at = Some(Instant::now() + LAST_MOMENT);
                }
                () = stopping.cancelled(), if !self.machine.is_proven() => {
                    return Ok(self.machine.fail(StreamCondition::SystemShutdown.into()));
                }
                () = entry.to_end() => return Ok(self.machine.leave()),
                Some((pair, verdict)) = verdicts.recv() => {
                    self.renew_rules();
                    return Ok(self.machine.checked(pair, verdict));
                }
                done = self.connection.exchange_if(may_read) => {
                    match done {
                        Exchanged::Lost => return Err(None),
                        Exchanged::Written => {}
                        Exchanged::Read(count) => self.has_read(count)?,
                    }
                    self.moved = Instant::now();
                    self.note_written();
                }
                () = Lanes::progress_if(lanes), if lanes.is_some() => {}
                () = Link::filled_if(link.as_deref()), if has_room && link.is_some() => {}
                () = Link::to_end_if(link.as_deref()), if link.is_some() => return Ok(self.machine.leave()),
                () = sleep_until(wakes_at) => {
                    if let Some(actions) = self.too_late(due) {
                        return Ok(actions);
                    }
                }
            }
        }
    }

    /// Until when something must happen: the other server proves itself, or sends something.
    fn closes_at(&self) -> Instant {
        if self.machine.is_settled() { self.moved + self.idle() } else { self.due }
    }

    /// How long nothing may move before the stream is closed. If we send on it, before the peer may find it idle (XEP-0478 §4).
    fn idle(&self) -> Duration {
        let own = self.config.s2s.idle * 2;
        self.machine.peer_limits().idle_of_sender().map_or(own, |earlier| own.min(earlier))
    }

    /// Whether more can be written for the peer, and until when it acknowledges what was written.
    ///
    /// # Errors
    /// If it is too late with that.
    fn outlook(&mut self) -> Result<(bool, Option<Instant>), StreamError> {
        let Some((_, on_its_way)) = &mut self.sending else { return Ok((false, None)) };
        let patience = self.config.limits.write * 2;
        if on_its_way.is_late(&self.connection, patience) {
            return Err(StreamCondition::ConnectionTimeout.into());
        }
        let has_room = on_its_way.has_room(&self.connection) && self.machine.is_ready();
        Ok((has_room, on_its_way.wakes_at(patience)))
    }

    /// Takes what waits for the peer, once our stream is open.
    async fn take(&mut self) {
        if self.silent_until.is_some_and(|until| Instant::now() < until) {
            return;
        }
        self.silent_until = None;
        let Some((link, on_its_way)) = self.sending.as_mut().filter(|_| self.machine.is_ready())
        else {
            return;
        };
        let (server, peer_limits) = (self.servers.server(), self.machine.peer_limits());
        if on_its_way.take(server, link, &mut self.connection, peer_limits).await {
            self.moved = Instant::now();
        }
        on_its_way.ask(&mut self.connection, false);
    }

    /// Some of what we send on this stream may have been written.
    fn note_written(&mut self) {
        self.flow.note(&self.connection);
        if let Some((_, on_its_way)) = &mut self.sending {
            on_its_way.written(&self.connection);
        }
    }

    /// So many bytes were read.
    fn has_read(&mut self, bytes: usize) -> Result<(), Ended> {
        self.servers.server().metrics.server_bytes_in.inc_by(bytes as u64);
        self.flow.read(bytes);
        if !self.machine.is_proven() {
            self.early += bytes;
            if self.early > MOST_EARLY {
                let text = "prove your domain before you send so much";
                return Err(Some(StreamCondition::PolicyViolation.text(text)));
            }
        }
        Ok(())
    }
}

/// Answers that wait.
const VERDICTS: usize = 16;
/// Bytes that a peer may send before it has proven anything.
const MOST_EARLY: usize = 128 * 1024;
