//! The session: a new one, or one that is resumed.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::driver::{Driver, Failed};
use crate::auth::{MechanismName, UserAgent};
use crate::c2s::hibernate::lost;
use crate::c2s::negotiation::Negotiation;
use crate::c2s::session_end::end;
use crate::c2s::sm_elements::too_high;
use crate::host::ServerState;
use crate::jid::{BareJid, FullJid};
use crate::random::random_id;
use crate::router::Router;
use crate::session::{
    CloseReason, Delivery, MailboxLimits, Session, SessionFacts, SessionRef, TakeOver,
};
use crate::stanza::{Condition, StreamCondition, StreamError};
use crate::storage::DeviceLogin;

impl Driver<'_> {
    /// Binds a session to the resource that the client asks for, or to one of ours (RFC 6120 §7.6, §7.7). A client that has
    /// told no id is known by its wish from now on.
    pub(super) async fn bind(
        &mut self,
        machine: &Negotiation,
        wished: Option<&str>,
    ) -> Result<Session, Condition> {
        let session = self.bind_as(machine, wished)?;
        self.note_unnamed(&session, wished.is_some(), UserAgent::default()).await;
        Ok(session)
    }

    /// Notes the login of a client that has told no id. `is_lasting`: the client will have the resource, or its beginning,
    /// at its next login, too. `agent`: what the client says of itself.
    pub(super) async fn note_unnamed(
        &mut self,
        session: &Session,
        is_lasting: bool,
        agent: UserAgent,
    ) {
        let Some(mechanism) = self.unnoted() else { return };
        let jid = session.handle().jid();
        let resource = is_lasting.then(|| jid.resource_part());
        let unnamed = DeviceLogin::unnamed(resource, mechanism.is_by_password());
        let client = DeviceLogin {
            software: agent.software.or(unnamed.software),
            device: agent.device,
            ..unnamed
        };
        let (verifier, since) = (&self.c2s.verifier, self.revocations);
        verifier.note_login(&jid.to_bare(), Some(client), since).await;
    }

    /// The mechanism of a login that is still to be noted: of a client that has told no id. A login without an account is
    /// never noted.
    fn unnoted(&self) -> Option<MechanismName> {
        let mechanism = self.mechanism.filter(|by| *by != MechanismName::Anonymous);
        mechanism.filter(|_| self.installation.is_none())
    }

    /// Binds a session to this resource, or to one of ours.
    pub(super) fn bind_as(
        &self,
        machine: &Negotiation,
        wished: Option<&str>,
    ) -> Result<Session, Condition> {
        let user = machine.user().ok_or(Condition::NotAuthorized)?;
        let jid = full_jid(user, wished)?;
        let facts = SessionFacts {
            peer: self.connection.peer,
            tls: self.tls,
            since: Instant::now(),
            anonymous: self.mechanism == Some(MechanismName::Anonymous),
            resumable: false,
            installation: self.installation.clone(),
            newest: self.c2s.server().storage.archive().horizon(),
            newest_seen: None,
            restored: None,
        };
        let limits = &self.config.limits;
        let bounds = MailboxLimits { stanzas: limits.inbox_stanzas, bytes: limits.inbox_bytes };
        let table = Arc::clone(&self.c2s.server().sessions);
        let session = Session::open(table, jid, facts, bounds, limits.sessions_per_account);
        session.note_seen(self.c2s.server().storage.archive().horizon());
        let (jid, peer) = (session.handle().jid(), self.connection.peer);
        self.c2s.server().metrics.sessions.inc();
        tracing::info!(%jid, %peer, "session begins");
        self.end_if_revoked(session.handle());
        Ok(session)
    }

    /// Ends a session if the password was changed, the account removed, or the access of this client taken away, since
    /// the login began. The session is in the table, so later changes find it there.
    fn end_if_revoked(&self, session: &SessionRef) {
        let sessions = &self.c2s.server().sessions;
        let user = session.jid().to_bare();
        let client = session.facts().installation;
        if sessions.revocations().is_revoked(&user, client.as_deref(), self.revocations) {
            session.close(CloseReason::Revoked);
        }
    }

    /// Resumes a session (XEP-0198 §5): the task that has it hands it over. If the session has ended, the store may
    /// know how many stanzas it had handled.
    pub(super) async fn resume(
        &mut self,
        machine: &Negotiation,
        id: &str,
        h: u32,
    ) -> Result<(Option<Session>, Result<u32, Option<u32>>), Failed> {
        let Some(user) = machine.user() else { return Ok((None, Err(None))) };
        let server = self.c2s.server();
        let taken = match server.sessions.find_resumable(user, id) {
            Some(handle) => {
                let taking = TakeOver::begin(Arc::clone(&server.sessions), handle);
                let mut taking = TakeOverGuard { router: &self.c2s.router, taking };
                timeout(TAKE_OVER, taking.taking.session()).await.ok().flatten()
            }
            // It was saved already: the server that begins after this one has it.
            None if server.tasks.stopping().is_cancelled() => return Err(Some(shutdown())),
            None => return Ok((None, Err(handled(self.c2s.server(), user, id).await))),
        };
        // Another connection has it, or it ends. What the store knows may be less than it has handled.
        let Some(session) = taken else {
            return match server.tasks.stopping().is_cancelled() {
                true => Err(Some(shutdown())),
                false => Ok((None, Err(None))),
            };
        };
        let handle = session.handle().clone();
        match session.sm(|sm| sm.resume(h)) {
            Ok(gone) => {
                self.delivered = gone.iter().flat_map(Delivery::markers).collect();
            }
            Err(error) => {
                // In a task of its own: a negotiation may be dropped, an end must not.
                let router = Arc::clone(&self.c2s.router);
                let why = "confused about what it was sent";
                let end = async move { Box::pin(end(&router, session, why)).await };
                drop(self.c2s.server().tasks.spawn("session-end", end));
                return Err(Some(too_high(error)));
            }
        }
        session.note_moved(self.connection.peer, self.tls);
        if let Some(id) = &self.installation {
            session.note_installation(Arc::clone(id));
        }
        if self.unnoted().is_some() {
            let verifier = &self.c2s.verifier;
            verifier.note_login(&handle.jid().to_bare(), None, self.revocations).await;
        }
        let (jid, peer) = (handle.jid(), self.connection.peer);
        tracing::info!(%jid, %peer, "session resumes");
        self.end_if_revoked(&handle);
        let handled = session.sm(|sm| sm.handled_count());
        Ok((Some(session), Ok(handled)))
    }
}

/// Waits for a session that another task was asked for. If the session comes when nobody waits for it any
/// more, it continues to wait for its client.
struct TakeOverGuard<'a> {
    router: &'a Arc<Router>,
    taking: TakeOver,
}

impl Drop for TakeOverGuard<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.taking.give_up() {
            lost(self.router, session, "resumed in vain");
        }
    }
}

/// How many stanzas a session that has ended had handled, if it was this user's.
async fn handled(server: &ServerState, user: &BareJid, id: &str) -> Option<u32> {
    match server.storage.resumption().find(id).await {
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

/// How long the old connection of the same client may take to finish its current stanza.
const TAKE_OVER: Duration = Duration::from_secs(10);

/// The server ends: its client tries again.
fn shutdown() -> StreamError {
    StreamCondition::SystemShutdown.into()
}
