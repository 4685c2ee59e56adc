//! What a client asks for together with its login: a session, bound with all that it needs (XEP-0386).

use std::sync::Arc;

use super::driver::Driver;
use crate::auth::{MechanismName, NewToken};
use crate::c2s::negotiation::{Inline, NS_FAST, Negotiation};
use crate::c2s::session_end::end;
use crate::c2s::stream_management::{enabled, resumption};
use crate::host::ServerState;
use crate::modules::{carbons, mam};
use crate::ns;
use crate::random::random_id;
use crate::router::Router;
use crate::session::{CloseReason, Session, SessionRef, Spared};
use crate::stanza::Condition;
use crate::xml::{ElementRef, Node, element};

impl Driver<'_> {
    /// Binds a session and enables what the client asks for (XEP-0386 §3.2). Returns the session, and what
    /// `<bound/>` contains.
    pub(super) async fn bind_inline(
        &mut self,
        machine: &Negotiation,
        inline: &Inline,
    ) -> Result<(Session, Vec<Node>), Condition> {
        let bind = inline.bind().ok_or(Condition::BadRequest)?;
        let session = self.bind_tagged(machine, (&bind, inline)).await?;
        let mut bound = Unfinished { router: &self.c2s.router, session: Some(session) };
        let Unfinished { router, session: Some(session) } = &bound else {
            return Err(Condition::InternalServerError);
        };
        let server = &router.server;
        // A certificate alone does not tell clients apart.
        if let Some(id) = self.installation.as_ref().filter(|_| inline.installation().is_some()) {
            replace(server, session.handle(), id);
        }
        let mut results = Vec::new();
        if bind.child(carbons::NS, "enable").is_some() {
            carbons::enable(session);
        }
        if bind.child(ns::CSI, "inactive").is_some() {
            session.mailbox().set_inactive(Spared::from(&server.config.load().client_state));
        }
        if let Some(enable) = bind.child(ns::SM, "enable") {
            let resumption = resumption(server, session.handle(), &enable).await;
            session.manage(resumption.clone());
            session.sm(|sm| sm.enabled_is_told());
            results.push(enabled(server, resumption));
        }
        if let Some((metadata, newest)) = mam::bound(server, session.handle()).await {
            self.in_archive = newest;
            results.push(metadata);
        }
        let session = bound.session.take().ok_or(Condition::InternalServerError)?;
        Ok((session, results))
    }

    /// Makes a token for the client, if it asks for one or uses an old one (XEP-0484 §3.3, §3.5), and returns
    /// `<token/>`. A client that does not say who it is gets none, nor does one without an account.
    pub(super) async fn issue_token(
        &mut self,
        machine: &Negotiation,
        inline: &Inline,
    ) -> Option<Node> {
        let (user, installation) = (machine.user()?, inline.installation()?);
        let wanted = inline.wanted_token();
        let is_offered = |wanted: &MechanismName| {
            machine.offer().is_some_and(|offer| offer.token_mechanisms().any(|m| m == *wanted))
        };
        let mechanism = wanted.filter(is_offered).or(self.old_token)?;
        let proven = self.proven.take()?;
        let (verifier, since) = (&self.c2s.verifier, self.revocations);
        let issued = verifier.issue_token(user, &installation, mechanism, &proven, since).await;
        // If the storage fails, the log has been told, and the client uses its password again.
        let NewToken { token, expires } = issued.ok().flatten()?;
        let node = element("token").ns(NS_FAST).attr("token", token);
        Some(node.attr("expiry", expires.to_string()))
    }

    /// The resource is made of the client's tag and a random part, or of the latter alone if the tag
    /// cannot be part of a resource (XEP-0386 §3.2.1).
    async fn bind_tagged(
        &mut self,
        machine: &Negotiation,
        (bind, inline): (&ElementRef<'_>, &Inline),
    ) -> Result<Session, Condition> {
        let tag = bind.child(bind.ns(), "tag").map(|tag| tag.text().into_owned());
        if let Some(tag) = tag.filter(|tag| !tag.is_empty() && tag.len() <= TAG_MAX)
            && let Ok(session) = self.bind_as(machine, Some(&format!("{tag}/{}", random_id())))
        {
            self.note_unnamed(&session, true, inline.user_agent()).await;
            return Ok(session);
        }
        self.bind(machine, None).await
    }
}

/// Ends earlier sessions of the same installation, whose client has begun this one (XEP-0386 §3.2).
fn replace(server: &ServerState, session: &SessionRef, id: &str) {
    for other in server.sessions.of(&session.jid().to_bare()) {
        if other != *session && other.facts().installation.as_deref() == Some(id) {
            other.close(CloseReason::Conflict);
        }
    }
}

/// A session of which the client has not been told yet. If the negotiation is dropped, the session ends.
struct Unfinished<'a> {
    router: &'a Arc<Router>,
    session: Option<Session>,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            let router = Arc::clone(self.router);
            let end = async move { Box::pin(end(&router, session, "not bound in time")).await };
            drop(self.router.server.tasks.spawn("session-end", end));
        }
    }
}

/// The longest tag, in bytes. A resource has at most 1023 (RFC 7622 §3.4).
const TAG_MAX: usize = 256;
