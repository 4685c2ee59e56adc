//! Drives the negotiation of a client's stream: carries out what the state machine says.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::deadline::Deadline;
use super::incoming::too_high;
use super::socket::Connection;
use super::{C2s, end, handshake};
use crate::auth::{Exchange, MechanismName, Offer, SaslError, Step, TlsFacts};
use crate::config::LimitsConfig;
use crate::host::Hosts;
use crate::jid::{BareJid, FullJid};
use crate::limit::TooMany;
use crate::log;
use crate::modules::{disco, register};
use crate::random::random_id;
use crate::session::{Delivery, MailboxLimits, Session, SessionFacts};
use crate::stanza::{Condition, Iq, IqKind, StreamCondition, StreamError};
use crate::stream::features::Limits;
use crate::stream::input::StreamEvent;
use crate::stream::negotiation::{Action, Actions, Negotiation, Settings, Stage};
use crate::tls::Purpose;

/// Why it came to nothing: a stream error to be told, or nobody is there to be told.
type Failed = Option<StreamError>;

/// How far a connection has come when its stream begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum StartState {
    /// TLS is due.
    Direct,
    /// The stream is in the clear.
    StartTls,
    /// The stream is inside a WebSocket, and TLS of this version around that.
    Web(&'static str),
}

/// Negotiates until a session is bound (RFC 6120 §4.3).
pub(super) async fn negotiate(
    c2s: &C2s,
    connection: &mut Connection,
    begun: StartState,
    session_due: &Deadline,
) -> Result<Session, Failed> {
    let mut driver = Driver::new(c2s, connection, session_due);
    let offer = match begun {
        StartState::Direct => Some(driver.handshake(Purpose::Direct, None).await?),
        StartState::StartTls => None,
        StartState::Web(tls) => Some(driver.unbound(tls)),
    };
    let mut machine = Negotiation::new(settings(c2s), offer);
    loop {
        while let Some(heard) = driver.hear() {
            let actions = match heard {
                Ok(StreamEvent::Header(header)) => machine.header(&header),
                Ok(StreamEvent::Element(frame)) => machine.element(&frame),
                Ok(StreamEvent::End) => machine.ended(),
                Err(error) => machine.fail(error),
            };
            if let Some(session) = driver.carry_out(&mut machine, actions).await? {
                return Ok(session);
            }
        }
        driver.read().await?;
    }
}

struct Driver<'a> {
    c2s: &'a C2s,
    connection: &'a mut Connection,
    limits: LimitsConfig,
    exchange: Option<Box<Exchange>>,
    /// When there must be a session.
    session_due: &'a Deadline,
    /// When authentication must be done.
    deadline: Option<tokio::time::Instant>,
    tls: &'static str,
    /// Without an account (XEP-0175).
    anonymous: bool,
}

impl<'a> Driver<'a> {
    fn new(c2s: &'a C2s, connection: &'a mut Connection, session_due: &'a Deadline) -> Self {
        Self {
            c2s,
            connection,
            limits: c2s.hosts.config.load().limits.clone(),
            exchange: None,
            session_due,
            deadline: None,
            tls: "",
            anonymous: false,
        }
    }

    /// What has been read already, if it is whole.
    fn hear(&mut self) -> Option<Result<StreamEvent, StreamError>> {
        self.connection.input.heard().map_err(StreamError::from).transpose()
    }

    async fn read(&mut self) -> Result<(), Failed> {
        let read = self.connection.read();
        let read = match self.deadline {
            None => read.await,
            Some(deadline) => tokio::time::timeout_at(deadline, read).await.map_err(|_| {
                Some(StreamCondition::ConnectionTimeout.text("authentication timed out"))
            })?,
        };
        match read {
            Ok(0) | Err(_) => {
                self.connection.abandon();
                Err(None)
            }
            Ok(_) => Ok(()),
        }
    }

    async fn carry_out(
        &mut self,
        machine: &mut Negotiation,
        mut actions: Actions,
    ) -> Result<Option<Session>, Failed> {
        let mut session = None;
        let mut i = 0;
        while i < actions.len() {
            self.connection.is_open = machine.is_open();
            let action = std::mem::replace(&mut actions[i], Action::Forget);
            i += 1;
            let more = match action {
                // A write that fails, or a deadline, must not take the session with it and what
                // waits in it (XEP-0198 §5): from here to its own loops nothing is awaited.
                Action::Send(bytes) if session.is_some() => {
                    self.connection.first.extend(bytes);
                    continue;
                }
                Action::Send(bytes) => {
                    self.connection.send(&bytes).await.map_err(|_| None)?;
                    continue;
                }
                Action::Register(iq) => {
                    self.register(machine.domain(), &iq).await?;
                    continue;
                }
                Action::Close(error) => return Err(error),
                Action::Run => return Ok(session),
                Action::Forget => {
                    self.exchange = None;
                    continue;
                }
                Action::Restart(stage) => {
                    self.restart(stage);
                    continue;
                }
                Action::Secure => machine.secured(self.starttls(machine.domain()).await?),
                Action::Begin(mechanism, initial) => {
                    let step = self.begin(machine, &mechanism, initial.as_deref()).await;
                    machine.sasl(step)
                }
                Action::Continue(message) => {
                    let step = self.step(Some(&message)).await;
                    machine.sasl(step)
                }
                Action::Bind(resource) => match self.bind(machine, resource.as_deref()) {
                    Ok(bound) => {
                        let actions = machine.bound(Ok(bound.handle().jid()));
                        session = Some(bound);
                        actions
                    }
                    Err(condition) => machine.bound(Err(condition)),
                },
                Action::Resume(id, h) => {
                    let (resumed, handled) = self.resume(machine, &id, h).await?;
                    session = resumed;
                    machine.resumed(&id, handled)
                }
            };
            actions.truncate(i);
            actions.extend(more);
        }
        Ok(None)
    }

    /// What came before TLS must not be taken for what comes after (RFC 6120 §5.4.3.3).
    async fn starttls(&mut self, domain: &str) -> Result<Offer, Failed> {
        if self.connection.input.discard() {
            let text = "data between starttls and the TLS handshake";
            return Err(Some(StreamCondition::PolicyViolation.text(text)));
        }
        self.handshake(Purpose::StartTls, Some(domain)).await
    }

    /// XEP-0077 §3.1.1.
    async fn register(&mut self, domain: &str, request: &Iq) -> Result<(), Failed> {
        let (hosts, peer) = (&self.c2s.hosts, self.connection.peer.ip());
        let answer = register::of_stranger(hosts, domain, peer, request).await;
        if request.kind == IqKind::Set && !answer.is_error() {
            self.session_due.registered(self.limits.negotiation);
        }
        self.connection.send(&answer.to_bytes()).await.map_err(|_| None)
    }

    fn restart(&mut self, stage: Stage) {
        let limits = match stage {
            Stage::Authenticated => self.connection.limits,
            Stage::Plain | Stage::Secured => self.connection.limits_before_auth,
        };
        self.connection.input.restart(limits);
        if stage == Stage::Authenticated {
            self.deadline = None;
        }
    }

    async fn handshake(&mut self, purpose: Purpose, domain: Option<&str>) -> Result<Offer, Failed> {
        let wire = self.connection.wire.take().ok_or(None)?;
        let made = handshake::make(self.c2s, wire, purpose, domain, self.limits.handshake).await;
        let (wire, facts, chosen) = made.ok_or(None)?;
        self.connection.wire = Some(wire);
        self.tls = facts.version;
        let facts = TlsFacts {
            version13: facts.version13,
            exporter: facts.exporter,
            server_end_point: chosen.end_point,
        };
        Ok(Offer::new(&self.c2s.hosts.config.load().auth, Some(&facts)))
    }

    /// There is TLS around the stream already. No web page can bind a login to it: a page is not
    /// told of it.
    fn unbound(&mut self, tls: &'static str) -> Offer {
        self.tls = tls;
        Offer::new(&self.c2s.hosts.config.load().auth, Some(&TlsFacts::default()))
    }

    async fn begin(
        &mut self,
        machine: &Negotiation,
        mechanism: &str,
        initial: Option<&[u8]>,
    ) -> Result<Step, SaslError> {
        self.deadline = Some(tokio::time::Instant::now() + self.limits.authentication);
        let offer = machine.offer().ok_or(SaslError::EncryptionRequired)?;
        let exchange = Exchange::begin(&self.c2s.verifier, machine.domain(), offer, mechanism)?;
        self.exchange = Some(Box::new(exchange));
        self.step(initial).await
    }

    /// One message of the exchange. Who has failed before, from this address or for this account,
    /// waits for the answer, right or wrong.
    async fn step(&mut self, message: Option<&[u8]>) -> Result<Step, SaslError> {
        let exchange = self.exchange.as_mut().ok_or(SaslError::MalformedRequest)?;
        let peer = self.connection.peer;
        let guesses = &self.c2s.hosts.budgets.guesses;
        let by_address = self.c2s.hosts.config.load().auth.slow_addresses;
        // Two thirds, so that the answer comes before the deadline.
        let longest = self.limits.authentication * 2 / 3;
        if by_address && exchange.user().is_none() && guesses.is_full(peer.ip(), longest) {
            return Err(SaslError::TemporaryAuthFailure);
        }
        let mut step = exchange.step(message).await;
        let is_anonymous = exchange.mechanism() == MechanismName::Anonymous;
        let mechanism = exchange.mechanism().as_str();
        let user = exchange.user().map(str::to_owned);
        let is_guess = match &step {
            Ok(Step::Challenge(_)) => false,
            Ok(Step::Success { .. }) => !is_anonymous,
            Err(error) => error.counts_as_failure(),
        };
        let (is_right, mut is_refused) = (step.is_ok(), false);
        if is_guess {
            match guesses.answer(peer.ip(), user.as_deref(), is_right, by_address, longest) {
                Ok(wait) if wait.is_zero() => {}
                Ok(wait) => tokio::time::sleep(wait).await,
                Err(TooMany) => {
                    is_refused = true;
                    step = Err(SaslError::TemporaryAuthFailure);
                }
            }
        }
        match &step {
            Ok(Step::Challenge(_)) => {}
            Ok(Step::Success { user, .. }) => {
                self.c2s.hosts.metrics.logins.inc([mechanism, "success"]);
                if is_guess {
                    guesses.note_success(peer.ip(), user.as_str());
                }
                self.anonymous = is_anonymous;
            }
            Err(error) => {
                self.c2s.hosts.metrics.logins.inc([mechanism, error.condition()]);
                if error.is_about_binding() {
                    tracing::info!(%peer, account = user, mechanism, %error, "login refused: channel binding");
                }
                if error.counts_as_failure() || is_refused && !is_right {
                    log::login_failed(peer, user.as_deref(), mechanism, error.condition());
                }
            }
        }
        step
    }

    /// RFC 6120 §7.6, §7.7: with the wished resource, or one of ours.
    fn bind(&self, machine: &Negotiation, wished: Option<&str>) -> Result<Session, Condition> {
        let user = machine.user().ok_or(Condition::NotAuthorized)?;
        let jid = full_jid(user, wished)?;
        let facts = SessionFacts {
            peer: self.connection.peer,
            tls: self.tls,
            since: tokio::time::Instant::now(),
            anonymous: self.anonymous,
            resumable: false,
            newest: self.c2s.hosts.storage.archive().horizon(),
            newest_seen: None,
        };
        let bounds =
            MailboxLimits { stanzas: self.limits.inbox_stanzas, bytes: self.limits.inbox_bytes };
        let table = Arc::clone(&self.c2s.hosts.sessions);
        let session = Session::open(table, jid, facts, bounds, self.limits.sessions_per_account);
        session.note_seen(self.c2s.hosts.storage.archive().horizon());
        let (jid, peer) = (session.handle().jid(), self.connection.peer);
        self.c2s.hosts.metrics.sessions.inc();
        tracing::info!(%jid, %peer, "session begins");
        Ok(session)
    }

    /// XEP-0198 §5: the session leaves the task that has it, or it is not there any more and
    /// perhaps one knows how many stanzas it had handled.
    async fn resume(
        &mut self,
        machine: &Negotiation,
        id: &str,
        h: u32,
    ) -> Result<(Option<Session>, Result<u32, Option<u32>>), Failed> {
        let Some(user) = machine.user() else { return Ok((None, Err(None))) };
        let taken = match self.c2s.hosts.sessions.find_resumable(user, id) {
            Some(handle) => {
                let mut asked = TakeOverGuard { c2s: self.c2s, answer: handle.take_over() };
                timeout(TAKE_OVER, &mut asked.answer).await.ok().and_then(Result::ok)
            }
            None => return Ok((None, Err(handled(&self.c2s.hosts, user, id).await))),
        };
        // Somebody else has it, or it ends: what the store knows may be less than it has handled.
        let Some(session) = taken else { return Ok((None, Err(None))) };
        let handle = session.handle().clone();
        match session.sm(|sm| sm.resumed(h)) {
            Ok(gone) => {
                self.connection.delivered = gone.iter().flat_map(Delivery::markers).collect();
            }
            Err(error) => {
                // In a task of its own: a negotiation may be dropped, an end must not.
                let hosts = Arc::clone(&self.c2s.hosts);
                let why = "confused about what it was sent";
                let end = async move { Box::pin(end(&hosts, session, why)).await };
                drop(self.c2s.hosts.tasks.spawn("session-end", end));
                return Err(Some(too_high(error)));
            }
        }
        session.note_moved(self.connection.peer, self.tls);
        let (jid, peer) = (handle.jid(), self.connection.peer);
        tracing::info!(%jid, %peer, "session resumes");
        let handled = session.sm(|sm| sm.handled_count());
        Ok((Some(session), Ok(handled)))
    }
}

/// A session that another task was asked for. If it comes when nobody waits for it any more, it goes
/// on waiting for its client.
struct TakeOverGuard<'a> {
    c2s: &'a C2s,
    answer: oneshot::Receiver<Session>,
}

impl Drop for TakeOverGuard<'_> {
    fn drop(&mut self) {
        self.answer.close();
        if let Ok(session) = self.answer.try_recv() {
            self.c2s.lost(session, "resumed in vain");
        }
    }
}

/// How many stanzas a session had handled that is not there any more, if it was this user's.
async fn handled(hosts: &Hosts, user: &BareJid, id: &str) -> Option<u32> {
    match hosts.storage.resumption().find(id).await {
        Ok(session) => session.filter(|s| s.owner == *user).map(|s| s.handled),
        Err(error) => {
            tracing::error!(%error, "cannot look up what a session had handled");
            None
        }
    }
}

fn full_jid(user: &BareJid, wished: Option<&str>) -> Result<FullJid, Condition> {
    match wished {
        Some(resource) => user.with_resource(resource).map_err(|_| Condition::BadRequest),
        None => user.with_resource(&random_id()).map_err(|_| Condition::InternalServerError),
    }
}

fn settings(c2s: &C2s) -> Settings {
    let config = c2s.hosts.config.load();
    let limits = &config.limits;
    let idle = limits.silence + limits.ping_answer;
    Settings {
        domains: c2s.hosts.all().iter().map(|host| host.domain.to_string()).collect(),
        limits_before_auth: Limits { bytes: limits.stanza_before_auth, idle },
        limits: Limits { bytes: limits.stanza, idle },
        caps: disco::server_caps(&c2s.hosts.registry),
        registration: config.registration.open,
        failures: config.auth.failures_per_connection,
        resumption: !limits.resume.is_zero(),
    }
}

/// For the old connection of the same client to finish what it has in hand.
const TAKE_OVER: std::time::Duration = std::time::Duration::from_secs(10);
