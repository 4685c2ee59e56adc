//! Clients: accept, negotiate, run, end. One task a client.

mod connection;
mod deadline;
mod fair_budget;
mod handshake;
mod hibernate;
mod http_upgrade;
mod incoming;
mod keepalive;
mod loop_shutdown;
mod memory;
mod negotiate;
mod pending_acks;
mod read_rate;
mod session_persistence;
mod socket;
mod websocket;

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tracing::Instrument;

use connection::ConnectionEnd;
use deadline::Deadline;
use hibernate::HibernationEnd;
use http_upgrade::Upgraded;
use negotiate::StartState;
use socket::{Connection, Opened};

use crate::auth::Verifier;
use crate::config::LimitsConfig;
use crate::host::Hosts;
use crate::limit::{Permit, Scope};
use crate::payload::datetime::Timestamp;
use crate::router;
use crate::session::{CloseReason, Hibernation, Session};
use crate::stanza::{StreamCondition, StreamError};
use crate::stream::wire::Io;
use crate::tls::Certificates;

/// What serves clients. One a server.
pub struct C2s {
    /// The served domains and all they share.
    pub hosts: Arc<Hosts>,
    /// Who checks logins.
    pub verifier: Arc<Verifier>,
    /// Certificates by name.
    pub certificates: Arc<Certificates>,
}

/// How a stream begins on a listener.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ListenerKind {
    /// With TLS from the first byte (XEP-0368).
    Direct,
    /// In a WebSocket, behind a proxy that has TLS (RFC 7395).
    Http,
    /// In a WebSocket, with TLS from the first byte.
    Https,
    /// By STARTTLS (RFC 6120 §5).
    StartTls,
}

impl C2s {
    /// Accepts clients until the server ends. Never stops for an error: it waits a moment, since
    /// the process may be out of file descriptors for now.
    pub async fn listen(self: Arc<Self>, listener: TcpListener, entry: ListenerKind) {
        let stopping = self.hosts.tasks.stopping();
        loop {
            let accepted = tokio::select! {
                () = stopping.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, peer)) => self.accept(socket, peer, entry),
                Err(error) => {
                    if is_out_of_files(&error) {
                        self.hosts.metrics.connections_refused.inc(["files"]);
                    }
                    tracing::warn!(%error, "cannot accept a connection; trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn accept(self: &Arc<Self>, socket: TcpStream, peer: SocketAddr, entry: ListenerKind) {
        self.hosts.metrics.connections_accepted.inc();
        // Behind a proxy is everybody: who it is, counts when it says so.
        let is_proxied = entry == ListenerKind::Http
            && http_upgrade::is_proxy(&self.hosts.config.load(), peer.ip());
        match self.hosts.budgets.connections.permit(Some(peer.ip()).filter(|_| !is_proxied)) {
            Ok(permit) => {
                prepare(&socket);
                let this = Arc::clone(self);
                let task =
                    async move { this.serve(Box::new(socket), peer, entry, Some(permit)).await };
                drop(self.hosts.tasks.spawn("c2s", task));
            }
            Err(refused) => self.note_refused(peer, refused),
        }
    }

    fn note_refused(&self, peer: SocketAddr, scope: Scope) {
        self.hosts.metrics.connections_refused.inc([scope.word()]);
        tracing::debug!(%peer, reason = scope.word(), "connection refused");
    }

    /// Serves one client on a connection: negotiates, and hands it to a task of its own when
    /// there is a session. Most connections wait in that one, which must be small: a future holds
    /// room for all that it will ever await.
    pub async fn serve(
        self: Arc<Self>,
        io: Box<dyn Io>,
        peer: SocketAddr,
        entry: ListenerKind,
        permit: Option<Permit>,
    ) {
        let mut counted = Counted::new(&self.hosts, permit);
        let span = tracing::debug_span!("stream", %peer, jid = tracing::field::Empty);
        let task = self.log_in(io, peer, entry, &mut counted).instrument(span.clone());
        // A panic has been logged and counted by the hook; it ends this connection and no other.
        let Ok(Some((connection, session))) = AssertUnwindSafe(task).catch_unwind().await else {
            return;
        };
        span.record("jid", tracing::field::display(session.handle().jid()));
        let task = Arc::clone(&self).live(connection.opened(), session, counted);
        drop(self.hosts.tasks.spawn("session", task.instrument(span)));
    }

    /// The life of a session on a connection.
    async fn live(self: Arc<Self>, mut opened: Box<Opened>, session: Session, counted: Counted) {
        if self.hosts.tasks.stopping().is_cancelled() && !session.mailbox().has_order() {
            session.handle().close(CloseReason::Shutdown); // it came too late for the others' order
        }
        let run = AssertUnwindSafe(Box::pin(connection::run(&self, &mut opened, &session)));
        let ended = run.catch_unwind().await;
        drop((opened, counted));
        if let Ok(ended) = &ended {
            self.note_quiet_end(ended);
        }
        let why = match ended {
            Ok(ConnectionEnd::Closed) => "closed by the client",
            Ok(ConnectionEnd::Failed(error)) => error.condition.as_str(),
            Ok(ConnectionEnd::Lost(why)) => return self.lost(session, why),
            Ok(ConnectionEnd::Stopped) => {
                return Box::pin(session_persistence::save(&self.hosts, session, None)).await;
            }
            Ok(ConnectionEnd::Detached(saving)) => {
                session.handle().detach(saving); // it is saved by the task in which it waits
                return self.lost(session, "the server ends");
            }
            Ok(ConnectionEnd::HandedOver(to)) => match to.send(session) {
                Ok(()) => return,
                Err(session) => return self.lost(session, "resumed in vain"),
            },
            Err(_) => "panic",
        };
        Box::pin(end(&self.hosts, session, why)).await;
    }

    /// From the first byte to the session. `None` if it came to nothing.
    async fn log_in(
        &self,
        io: Box<dyn Io>,
        peer: SocketAddr,
        entry: ListenerKind,
        counted: &mut Counted,
    ) -> Option<(Connection, Session)> {
        let config = self.hosts.config.load_full();
        let stopping = self.hosts.tasks.stopping();
        let deadline = Deadline::new(config.limits.negotiation);
        let (mut connection, begun) = match entry {
            ListenerKind::Direct => (Connection::new(io, peer, &config.limits), StartState::Direct),
            ListenerKind::StartTls => {
                (Connection::new(io, peer, &config.limits), StartState::StartTls)
            }
            ListenerKind::Http | ListenerKind::Https => {
                let entered = tokio::select! {
                    biased;
                    entered = Box::pin(http_upgrade::enter(self, io, peer, entry)) => entered?,
                    _ = deadline.passed() => return None,
                    () = stopping.cancelled() => return None,
                };
                self.recount(&entered, counted)?;
                let Upgraded { io, peer, tls, .. } = entered;
                (Connection::of_messages(io, peer, &config.limits), StartState::Web(tls))
            }
        };
        let negotiated = tokio::select! {
            biased;
            negotiated = negotiate::negotiate(self, &mut connection, begun, &deadline) => negotiated,
            error = deadline.passed() => Err(Some(error)),
            () = stopping.cancelled() => Err(Some(StreamCondition::SystemShutdown.into())),
        };
        match negotiated {
            Ok(session) => Some((connection, session)),
            Err(error) => {
                match (&error, &connection.wire) {
                    (Some(error), _) => self.note_end(error),
                    (None, Some(_)) => self.hosts.metrics.streams_closed.inc(["closed"]),
                    (None, None) => self.hosts.metrics.streams_closed.inc(["lost"]),
                }
                let domain = self.hosts.all().first().map_or("", |host| host.domain.as_str());
                connection.close(error, domain).await;
                None
            }
        }
    }

    /// Counts a client behind a proxy as one of its own address, if there may be one more.
    fn recount(&self, entered: &Upgraded, counted: &mut Counted) -> Option<()> {
        // Without a permit there is no counting: a test.
        if entered.is_proxied && counted.permit.is_some() {
            let permit = self.hosts.budgets.connections.permit(Some(entered.peer.ip()));
            let permit = permit.map_err(|refused| self.note_refused(entered.peer, refused));
            counted.permit = Some(permit.ok()?);
        }
        Some(())
    }

    /// The connection is gone: the session waits for another one, or ends.
    fn lost(&self, session: Session, why: &'static str) {
        let hosts = Arc::clone(&self.hosts);
        let limits = hosts.config.load().limits.clone();
        let wait = session.sm(|sm| sm.resumption()).map(|resumption| resumption.max);
        tracing::debug!(jid = %session.handle().jid(), reason = why, "connection lost");
        let task = async move {
            let Some(wait) = wait else { return Box::pin(end(&hosts, session, why)).await };
            wait_for_client(&hosts, session, wait, &limits, why).await;
        };
        drop(self.hosts.tasks.spawn("hibernation", task));
    }

    fn note_end(&self, error: &StreamError) {
        self.hosts.metrics.streams_closed.inc([error.condition.as_str()]);
        tracing::debug!(
            condition = error.condition.as_str(),
            text = error.text.as_deref(),
            "stream closed with an error"
        );
    }

    /// A stream that ends without an error of ours, and has a session.
    fn note_quiet_end(&self, ended: &ConnectionEnd) {
        let how = match ended {
            ConnectionEnd::Closed => "closed",
            ConnectionEnd::Lost(_) => "lost",
            // The old stream hears of a conflict; one that stops hears nothing, since the server ends.
            ConnectionEnd::HandedOver(_) => StreamCondition::Conflict.as_str(),
            ConnectionEnd::Detached(_) | ConnectionEnd::Failed(_) | ConnectionEnd::Stopped => {
                return;
            }
        };
        self.hosts.metrics.streams_closed.inc([how]);
    }
}

/// Notes since when, and until when, a session waits for its client; for the administrator.
fn note_waiting(hosts: &Hosts, session: &Session, wait: Duration) {
    let max = session.sm(|sm| sm.resumption()).map_or(wait, |resumption| resumption.max);
    let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    let until = hosts.clock.now().as_micros().saturating_add(micros(wait));
    let since = Timestamp::from_micros(until.saturating_sub(micros(max)));
    session.note_hibernation(Hibernation { since, until: Timestamp::from_micros(until) });
}

/// A session without a connection, until it is resumed, its time is over, or the server ends.
async fn wait_for_client(
    hosts: &Hosts,
    session: Session,
    wait: Duration,
    limits: &LimitsConfig,
    why: &'static str,
) {
    let until = Instant::now() + wait;
    note_waiting(hosts, &session, wait);
    let (mut session, mut saved) = (session, None);
    loop {
        match hibernate::hibernate(session, until, limits).await {
            HibernationEnd::Detached(back, saving) => {
                saved = Box::pin(session_persistence::save_ahead(hosts, &back)).await;
                drop(saving);
                session = back;
            }
            HibernationEnd::Over(session) => return Box::pin(end(hosts, session, why)).await,
            HibernationEnd::Resumed => return,
            HibernationEnd::Stopped(session) => {
                return Box::pin(session_persistence::save(hosts, session, saved)).await;
            }
        }
    }
}

/// A connection that counts, as long as this is there.
struct Counted {
    open: prometheus_client::metrics::gauge::Gauge,
    permit: Option<Permit>,
}

impl Counted {
    fn new(hosts: &Hosts, permit: Option<Permit>) -> Self {
        let open = hosts.metrics.connections.clone();
        open.inc();
        Self { open, permit }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.open.dec();
    }
}

/// The end of a session: others see it go, and what it was not told goes the way of the absent.
async fn end(hosts: &Hosts, session: Session, why: &'static str) {
    let handle = session.handle().clone();
    let resumption = session.sm(|sm| sm.resumption());
    let unread = session.close();
    hosts.metrics.sessions.dec();
    if let Some(number) = resumption.and_then(|resumption| resumption.number)
        && let Err(error) = hosts.storage.resumption().end(number, hosts.clock.now()).await
    {
        tracing::warn!(%error, "cannot record the end of a session");
    }
    if handle.has_overrun() {
        hosts.metrics.overruns.inc();
    }
    tracing::info!(jid = %handle.jid(), reason = why, "session ends");
    // Last: it waits for a store that fails.
    router::session_ended(hosts, &handle, unread).await;
}

/// Small stanzas at once (NODELAY), and dead peers found by TCP too. A socket that refuses is
/// served all the same.
fn prepare(socket: &TcpStream) {
    let done = socket.set_nodelay(true).and_then(|()| {
        rustix::net::sockopt::set_socket_keepalive(socket, true)?;
        rustix::net::sockopt::set_tcp_keepidle(socket, KEEPALIVE_IDLE)?;
        rustix::net::sockopt::set_tcp_keepintvl(socket, KEEPALIVE_INTERVAL)?;
        rustix::net::sockopt::set_tcp_keepcnt(socket, 3)?;
        Ok(())
    });
    if let Err(error) = done {
        tracing::debug!(%error, "cannot set socket options");
    }
}

fn is_out_of_files(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let of_process_or_machine =
        [Errno::MFILE, Errno::NFILE].map(|errno| Some(errno.raw_os_error()));
    of_process_or_machine.contains(&error.raw_os_error())
}

/// After an accept that failed.
const PAUSE: Duration = Duration::from_millis(100);
/// Mobile networks forget a silent connection after about five minutes.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(240);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
