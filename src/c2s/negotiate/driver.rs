//! Carries out the actions of a negotiation, one after another.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::deadline::Deadline;
use crate::auth::{Exchange, MechanismName, Offer, PasswordKey, TlsFacts};
use crate::c2s::client::C2s;
use crate::c2s::negotiation::{Action, Actions, Negotiation, Stage};
use crate::config::{Config, LimitsConfig};
use crate::modules::register::{self, Answered, Stranger};
use crate::session::Session;
use crate::stanza::{Iq, IqKind, StreamCondition, StreamError};
use crate::storage::{Invitation, MessageId};
use crate::stream::connection::Connection;
use crate::stream::handshake::Handshaker;
use crate::stream::input::StreamEvent;
use crate::tls::Purpose;
use crate::xml::Limits;

/// Why there is no session: a stream error to be told; `None` if the client has closed its stream or is
/// gone.
pub(super) type Failed = Option<StreamError>;

/// What a negotiation works with.
pub(super) struct Driver<'a> {
    pub(super) c2s: &'a C2s,
    pub(super) connection: &'a mut Connection,
    /// The configuration when the connection began.
    pub(super) config: Arc<Config>,
    /// The SASL exchange that has begun and not ended.
    pub(super) exchange: Option<Box<Exchange>>,
    /// When there must be a session.
    session_due: &'a Deadline,
    /// When authentication must be done.
    pub(super) login_due: Option<Instant>,
    /// The version of TLS; empty before TLS.
    pub(super) tls: &'static str,
    /// The mechanism by which the client has logged in.
    pub(super) mechanism: Option<MechanismName>,
    /// The client has logged in by this mechanism with a token that is to be replaced.
    pub(super) old_token: Option<MechanismName>,
    /// The password with which the client has logged in.
    pub(super) proven: Option<PasswordKey>,
    /// The id of the client's installation, if the client has told it with its login.
    pub(super) installation: Option<Arc<str>>,
    /// The invitation that the client has shown (XEP-0445).
    invitation: Option<Box<Invitation>>,
    /// How many logins had been revoked when the last login began.
    pub(super) revocations: u64,
    /// Markers of messages that the client has, as it says when it resumes.
    pub(super) delivered: Vec<MessageId>,
    /// The newest message of the archive of which the client was told.
    pub(super) in_archive: Option<MessageId>,
}

impl<'a> Driver<'a> {
    pub(super) fn new(
        c2s: &'a C2s,
        config: Arc<Config>,
        connection: &'a mut Connection,
        session_due: &'a Deadline,
    ) -> Self {
        Self {
            c2s,
            connection,
            config,
            exchange: None,
            session_due,
            login_due: None,
            tls: "",
            mechanism: None,
            old_token: None,
            proven: None,
            installation: None,
            invitation: None,
            revocations: 0,
            delivered: Vec::new(),
            in_archive: None,
        }
    }

    /// The next event in what has been read, if it is whole.
    pub(super) fn next_event(&mut self) -> Option<Result<StreamEvent, StreamError>> {
        self.connection.input.next_event().map_err(StreamError::from).transpose()
    }

    /// Reads more.
    pub(super) async fn read(&mut self) -> Result<(), Failed> {
        let read = self.connection.read();
        let is_there = match self.login_due {
            None => read.await,
            Some(deadline) => timeout_at(deadline, read).await.map_err(|_| {
                Some(StreamCondition::ConnectionTimeout.text("authentication timed out"))
            })?,
        };
        if is_there { Ok(()) } else { Err(None) }
    }

    /// Carries out these actions, and those that they lead to. A session, if there is one now.
    pub(super) async fn carry_out(
        &mut self,
        machine: &mut Negotiation,
        mut actions: Actions,
    ) -> Result<Option<Session>, Failed> {
        let mut session = None;
        let mut i = 0;
        while i < actions.len() {
            let action = std::mem::replace(&mut actions[i], Action::Forget);
            i += 1;
            let Some(action) = self.say(machine, action).await else { continue };
            let more = match action {
                Action::Close(error) => return Err(error),
                // A failed write or a deadline must not take the session with it, and what waits in it
                // (XEP-0198 §5). So from its beginning on nothing is awaited here: the writing loop of
                // the session writes what was sent.
                Action::Run => return Ok(session),
                Action::Secure => machine.secured(self.starttls(machine.domain()).await?),
                Action::Bind(resource) => match self.bind(machine, resource.as_deref()).await {
                    Ok(bound) => {
                        let actions = machine.bound(Ok(bound.handle().jid()));
                        session = Some(bound);
                        actions
                    }
                    Err(condition) => machine.bound(Err(condition)),
                },
                Action::BindInline(inline) => match self.bind_inline(machine, &inline).await {
                    Ok((bound, results)) => {
                        let actions = machine.bound_inline(Ok((bound.handle().jid(), results)));
                        session = Some(bound);
                        actions
                    }
                    Err(condition) => machine.bound_inline(Err(condition)),
                },
                Action::Resume(id, h) => {
                    let (resumed, handled) = self.resume(machine, &id, h).await?;
                    session = resumed;
                    let jid = session.as_ref().map(|session| session.handle().jid());
                    let handled = handled.and_then(|h| jid.map(|jid| (&**jid, h)).ok_or(None));
                    machine.resumed(&id, handled)
                }
                action => match self.authenticate(machine, action).await {
                    Some(more) => more,
                    None => continue,
                },
            };
            actions.truncate(i);
            actions.extend(more);
        }
        self.connection.flush().await.map_err(|_| None)?;
        Ok(None)
    }

    /// Carries out an action of the login. `None` for any other action.
    async fn authenticate(&mut self, machine: &mut Negotiation, action: Action) -> Option<Actions> {
        Some(match action {
            Action::FindMechanisms(user) => {
                let offer = machine.offer()?;
                let offer = self.c2s.verifier.offer_to(&user, offer).await;
                machine.mechanisms_found(offer)
            }
            Action::Begin(mechanism, initial, token) => {
                let step = self.begin(machine, &mechanism, initial.as_deref(), token).await;
                machine.sasl(step)
            }
            Action::Continue(message) => {
                let step = self.step(Some(&message)).await;
                machine.sasl(step)
            }
            Action::FindUpgrades(wanted) => {
                let needed = self.needed_upgrades(machine, &wanted).await;
                machine.upgrades_found(needed)
            }
            Action::Upgrade(upgrade, salted) => {
                let done = self.upgrade(machine, &upgrade, &salted).await;
                machine.upgraded(done)
            }
            Action::IssueToken(inline) => {
                let token = self.issue_token(machine, &inline).await;
                machine.token_issued(token)
            }
            _ => return None,
        })
    }

    /// Carries out an action of which nothing is to be reported. Gives any other action back.
    async fn say(&mut self, machine: &Negotiation, action: Action) -> Option<Action> {
        match action {
            Action::Open(header) => self.connection.open(&header),
            Action::Send(node) => self.connection.send(&node),
            Action::Features(node) => self.connection.send(&node),
            Action::Register(iq) => self.register(machine.domain(), &iq).await,
            Action::Forget => self.exchange = None,
            Action::Restart(stage) => self.restart(stage),
            Action::Authenticated => {
                self.connection.set_limits(after_auth(&self.config.limits));
                self.login_due = None;
            }
            other => return Some(other),
        }
        None
    }

    /// RFC 6120 §5.4.3.3: what came before TLS must not be taken for what comes after it.
    async fn starttls(&mut self, domain: &str) -> Result<Offer, Failed> {
        if self.connection.input.discard() {
            let text = "data between starttls and the TLS handshake";
            return Err(Some(StreamCondition::PolicyViolation.text(text)));
        }
        let wire = self.connection.take_for_tls().await.ok_or(None)?;
        let handshaker = Handshaker {
            certificates: &self.c2s.certificates,
            metrics: &self.c2s.server().metrics,
            limit: self.config.limits.handshake,
        };
        let secured = handshaker.secure(wire, Purpose::StartTls, Some(domain)).await;
        let (wire, tls) = secured.ok_or(None)?;
        self.connection.secured(wire);
        Ok(self.offer(tls.version, &tls.facts))
    }

    /// What is offered to log in with, under this TLS.
    pub(super) fn offer(&mut self, version: &'static str, facts: &TlsFacts) -> Offer {
        self.tls = version;
        Offer::new(&self.c2s.server().config.load().auth, Some(facts))
    }

    /// XEP-0077 §3.1.1.
    async fn register(&mut self, domain: &str, request: &Iq) {
        let (server, peer) = (self.c2s.server(), self.connection.peer.ip());
        let invitation = &mut self.invitation;
        let stranger = Stranger { domain, peer, invitation };
        let Answered { answer, contacts } = register::of_stranger(server, stranger, request).await;
        if request.kind == IqKind::Set && !answer.is_error() {
            self.session_due.registered(self.config.limits.negotiation);
        }
        if let Some((inviter, user)) = contacts {
            self.c2s.router.befriend(&inviter, &user).await;
        }
        self.connection.send_stanza(&answer);
    }

    fn restart(&mut self, stage: Stage) {
        let limits = match stage {
            Stage::Authenticated => after_auth(&self.config.limits),
            Stage::Plain | Stage::Secured => before_auth(&self.config.limits),
        };
        self.connection.restart(limits);
        if stage == Stage::Authenticated {
            self.login_due = None;
        }
    }
}

/// What is read before authentication.
pub(in crate::c2s) fn before_auth(limits: &LimitsConfig) -> Limits {
    let after = after_auth(limits);
    let nodes = after.nodes.min(NODES_BEFORE_AUTH);
    Limits { bytes: limits.stanza_before_auth, nodes, ..after }
}

/// What is read after authentication.
fn after_auth(limits: &LimitsConfig) -> Limits {
    Limits {
        bytes: limits.stanza,
        depth: limits.depth,
        attributes: limits.attributes,
        nodes: limits.nodes,
    }
}

/// Elements, attributes and texts: enough for a stream header and SASL.
const NODES_BEFORE_AUTH: usize = 256;
