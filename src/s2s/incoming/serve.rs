//! Serves a stream that another server has opened: carries out what the machine says, to the end of the connection.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tracing::Instrument as _;

use super::action::{Action, Actions, Told};
use super::lanes::Lanes;
use super::machine::Incoming;
use crate::config::Config;
use crate::limit::Share;
use crate::listen::{Accepted, Counted};
use crate::s2s::dialback::Verdict;
use crate::s2s::limits;
use crate::s2s::link::Link;
use crate::s2s::on_its_way::{OnItsWay, has_room};
use crate::s2s::pair::Pair;
use crate::s2s::servers::Servers;
use crate::s2s::streams::Stream as Entry;
use crate::s2s::verify::verify;
use crate::stanza::{StreamCondition, StreamError};
use crate::stream::channel::Channel;
use crate::stream::connection::Connection;
use crate::stream::exchange::Exchanged;
use crate::stream::handshake::Handshaker;
use crate::stream::input::StreamEvent;
use crate::tls::Purpose;

/// How a stream ends: with an error, or without.
type Ended = Option<StreamError>;

/// Serves one stream of another server.
pub async fn serve(servers: Arc<Servers>, accepted: Accepted) {
    let Accepted { wire, peer, tls, counted, .. } = accepted;
    let config = servers.server().config.load_full();
    let certificate = tls.map(|tls| servers.certificates.judge(&tls.certificates));
    let told = Told { bytes: config.s2s.stanza, idle: config.s2s.idle * 2 };
    let (rules, key) = (servers.rules(), servers.key.clone());
    let before = limits::before_auth(&config);
    let channel = Channel::Tcp(wire);
    let connection = Connection::new(channel, peer, before, config.limits.write).with_server();
    let (verdict, verdicts) = mpsc::channel(VERDICTS);
    let stream = Stream {
        lanes: Lanes::new(Arc::clone(&servers.router)),
        machine: Incoming::new(rules, key, told, certificate),
        due: Instant::now() + config.limits.negotiation,
        heard: Instant::now(),
        servers: Arc::clone(&servers),
        config,
        connection,
        verdict,
        traffic: None,
        sending: None,
    };
    let span = tracing::debug_span!("stream", %peer);
    let task = live(Box::new(stream), verdicts, counted);
    drop(servers.server().tasks.spawn("server", task.instrument(span)));
}

/// A stream of another server.
struct Stream {
    servers: Arc<Servers>,
    config: Arc<Config>,
    connection: Connection,
    machine: Incoming,
    lanes: Lanes,
    /// When something must be proven.
    due: Instant,
    /// When something was heard last.
    heard: Instant,
    verdict: mpsc::Sender<(Pair, Verdict)>,
    /// What the domain may send.
    traffic: Option<Share>,
    /// What we send on this stream (XEP-0288).
    sending: Option<(Arc<Link>, OnItsWay)>,
}

async fn live(
    mut stream: Box<Stream>,
    mut verdicts: mpsc::Receiver<(Pair, Verdict)>,
    counted: Counted,
) {
    let servers = Arc::clone(&stream.servers);
    let entry = servers.streams.enter(stream.connection.peer);
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
        let stopping = self.servers.server().tasks.stopping();
        loop {
            match self.connection.input.next_event() {
                Ok(None) => {}
                Ok(Some(StreamEvent::Header(header))) => return Ok(self.machine.header(&header)),
                Ok(Some(StreamEvent::Element(frame))) => return Ok(self.machine.element(frame)),
                Ok(Some(StreamEvent::End)) => return Ok(self.machine.ended()),
                Err(error) => return Ok(self.machine.fail(error.into())),
            }
            if let Some((link, on_its_way)) = &mut self.sending
                && on_its_way.take(self.servers.server(), link, &mut self.connection)
            {
                self.heard = Instant::now();
            }
            let link = self.sending.as_ref().map(|(link, _)| Arc::clone(link));
            let has_room = has_room(&self.connection);
            let due = match (self.machine.is_proven(), self.connection.is_written()) {
                (false, _) => self.due,
                (true, true) => self.heard + self.config.s2s.idle * 2,
                (true, false) => self.heard + self.config.limits.write,
            };
            tokio::select! {
                biased;
                () = stopping.cancelled() => {
                    return Ok(self.machine.fail(StreamCondition::SystemShutdown.into()));
                }
                () = entry.to_end() => return Ok(self.machine.ended()),
                Some((pair, verdict)) = verdicts.recv() => {
                    return Ok(self.machine.checked(pair, verdict));
                }
                done = self.connection.exchange() => match done {
                    Exchanged::Lost => return Err(None),
                    Exchanged::Written => {
                        self.heard = Instant::now();
                        self.note_written();
                    }
                    Exchanged::Read(count) => {
                        self.heard = Instant::now();
                        self.note_written();
                        if let Some(pause) = self.pause(count) {
                            tokio::time::sleep(pause).await;
                        }
                    }
                },
                () = Link::filled_if(link.as_deref()), if has_room && link.is_some() => {}
                () = Link::to_end_if(link.as_deref()), if link.is_some() => return Ok(self.machine.ended()),
                () = sleep_until(due) => return Ok(self.too_late()),
            }
        }
    }

    /// Some of what we send on this stream may have been written.
    fn note_written(&mut self) {
        if let Some((_, on_its_way)) = &mut self.sending {
            on_its_way.written(self.connection.unwritten());
        }
    }

    /// Nothing was proven in time, or nothing was heard for long.
    fn too_late(&mut self) -> Actions {
        if self.machine.is_proven() && self.connection.is_written() {
            return self.machine.ended();
        }
        self.machine.fail(StreamCondition::ConnectionTimeout.into())
    }

    /// A domain that sends too much is read from later: TCP makes it wait.
    fn pause(&self, bytes: usize) -> Option<Duration> {
        let metrics = &self.servers.server().metrics;
        metrics.server_bytes_in.inc_by(bytes as u64);
        let share = self.traffic.as_ref()?;
        let wait = share.take(bytes as u64)?;
        share.count(wait.scope, crate::limit::Action::Delay);
        Some(wait.time.min(LONGEST_PAUSE))
    }

    async fn carry_out(&mut self, actions: Actions) -> Result<(), Ended> {
        let mut todo: std::collections::VecDeque<_> = actions.into_iter().collect();
        while let Some(action) = todo.pop_front() {
            match action {
                Action::Open(header) => self.connection.open(&header),
                Action::Send(node) => self.connection.send(&node),
                Action::Restart => self.restart(),
                Action::Secure => todo.extend(self.secure().await?),
                Action::Verify(pair, key) => self.verify(pair, key),
                Action::Proven(pair, proof) => {
                    let metrics = &self.servers.server().metrics;
                    metrics.server_streams.inc(["in", proof.word()]);
                    tracing::info!(
                        from = %pair.remote, to = %pair.local, proof = proof.word(),
                        peer = %self.connection.peer, "a stream of another server is open"
                    );
                    self.servers.remotes.forget(&pair.remote);
                    let budgets = &self.servers.server().budgets;
                    let share = || budgets.remote_traffic.share(Some(&pair.remote), None);
                    self.traffic.get_or_insert_with(share);
                    self.connection.set_limits(limits::of_servers(&self.config));
                    if self.machine.is_bidirectional() && self.sending.is_none() {
                        let link = self.servers.adopt(&pair, self.connection.peer);
                        self.sending = link.map(|link| (link, OnItsWay::default()));
                    }
                }
                Action::Stanza(domain, frame) => {
                    let lang = self.connection.input.lang();
                    self.lanes.read(domain, frame, lang).await.map_err(Some)?;
                }
                Action::Close(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn restart(&mut self) {
        let limits = match self.machine.is_proven() {
            true => limits::of_servers(&self.config),
            false => limits::before_auth(&self.config),
        };
        self.connection.restart(limits);
    }

    /// RFC 6120 §5.4.3.3: what came before TLS must not be taken for what comes after it.
    async fn secure(&mut self) -> Result<Actions, Ended> {
        if self.connection.input.discard() {
            let text = "data between starttls and the TLS handshake";
            return Err(Some(StreamCondition::PolicyViolation.text(text)));
        }
        let wire = self.connection.take_for_tls().await.ok_or(None)?;
        let handshaker = Handshaker {
            certificates: &self.servers.certificates,
            metrics: &self.servers.server().metrics,
            limit: self.config.limits.handshake,
        };
        let local = self.machine.claimed().map(|pair| pair.local.clone());
        let host = local.as_deref().map(|local| self.servers.host_of(local));
        let secured = handshaker.secure(wire, Purpose::ServerStartTls, host).await;
        let (wire, tls) = secured.ok_or(None)?;
        self.connection.secured(wire);
        Ok(self.machine.secured(self.servers.certificates.judge(&tls.certificates)))
    }

    /// Asks the other domain, in a task of its own.
    fn verify(&self, pair: Pair, key: String) {
        let (servers, verdict) = (Arc::clone(&self.servers), self.verdict.clone());
        let stream = self.machine.id().to_owned();
        let task = async move {
            let said = verify(&servers, &pair, stream, key).await;
            if said != Verdict::Valid {
                tracing::info!(from = %pair.remote, to = %pair.local, ?said, "a key is not taken");
            }
            // The stream may have ended.
            drop(verdict.send((pair, said)).await);
        };
        drop(self.servers.server().tasks.spawn("verification", task));
    }

    async fn end(self, ended: Ended) {
        let Self { servers, connection, machine, lanes, sending, .. } = self;
        if let Some((link, on_its_way)) = sending {
            link.put_back(on_its_way.rest());
            servers.abandon(&link);
        }
        let metrics = &servers.server().metrics;
        let claimed = machine.claimed();
        let (from, to) = (claimed.map(|pair| &*pair.remote), claimed.map(|pair| &*pair.local));
        if let Some(error) = &ended {
            let condition = error.condition.as_str();
            metrics.server_streams.inc(["in", condition]);
            let text = error.text.as_deref();
            tracing::info!(from, to, peer = %connection.peer, condition, text, "a stream of another server ends with an error");
        } else {
            tracing::debug!(from, to, peer = %connection.peer, "a stream of another server has ended");
        }
        lanes.finish().await;
        let domain = machine.claimed().map_or_else(String::new, |pair| pair.local.to_string());
        connection.close(ended, &domain).await;
    }
}

/// Answers that wait.
const VERDICTS: usize = 16;
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
