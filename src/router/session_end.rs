//! The end of a session: its contacts are told, and its undelivered stanzas are handled as if the user had
//! been offline.

use std::time::Duration;

use super::internal::Internal;
use super::route::Router;
use super::{RETRY, iq, message, presence};
use crate::host::lifecycle::{self, Event};
use crate::host::{Halt, Route, stanza_log};
use crate::modules::{offline, push};
use crate::session::{SessionRef, Unread};
use crate::stanza::{Condition, Presence, PresenceKind, Stanza, StanzaError};

impl Router {
    /// The client has closed its stream (RFC 6120 §4.4). That is said as if it had sent unavailable presence, while
    /// the session can still be found: so a room knows that it was not lost (XEP-0045 §11.1).
    ///
    /// If the store fails, it is said when the session has ended.
    pub async fn session_closes(&self, session: &SessionRef) {
        tell_end(self, session).await;
    }

    /// A session has ended and is no longer in the table of sessions (RFC 6121 §4.5, §8.5.2). To be called once
    /// for each session.
    ///
    /// If the store fails, nobody knows who the contacts are: they are told when it works again, so this may
    /// take long.
    pub async fn session_ended(&self, session: &SessionRef, unread: Unread) {
        let server = &self.server;
        server.requests.session_ended(session);
        let Unread { deliveries, was_catching_up } = unread;
        let mut is_told = tell_end(self, session).await;
        if deliveries.iter().any(|delivery| delivery.markers().next().is_some()) || was_catching_up
        {
            offline::pass_on(server, &session.jid().to_bare());
        }
        push::session_ended(server, session, &deliveries).await;
        for delivery in &deliveries {
            stanza_log::note_unread(session, &delivery.stanza, delivery.marker.is_some());
            return_unread(self, &delivery.stanza).await;
        }
        // Contacts that are not told would see the session as available for ever.
        let (stopping, mut pause) = (server.tasks.stopping(), RETRY);
        while !is_told && stopping.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
            is_told = tell_end(self, session).await;
            pause = (pause * 2).min(MAX_RETRY);
        }
        if let Some(mut work) = Internal::for_domain(self, session.jid().domain()) {
            lifecycle::tell(&mut work.cx(), Event::SessionEnded { session }).await;
            work.finish().await;
        }
    }
}

/// Tells all that have seen a session that it has ended (RFC 6121 §4.5.2), except those that see a newer session
/// with the same address. `false` if the store fails: then nobody has been told.
async fn tell_end(router: &Router, session: &SessionRef) -> bool {
    // It was never available, or this was told when the client closed its stream.
    if !session.is_seen() {
        return true;
    }
    let jid = session.jid();
    let Some(mut work) = Internal::for_domain(router, jid.domain()) else { return true };
    let newer = router.server.sessions.find(jid).filter(|newer| newer != session);
    let mut presence = Presence::bare(PresenceKind::Unavailable, jid.clone(), jid.clone());
    presence.head.to = None; // to all
    let told = presence::unavailable(&mut work.cx(), session, presence, newer.as_ref()).await;
    work.finish().await;
    let Err(Halt::Bounce(error, _)) = told else { return true };
    tracing::warn!(%jid, condition = error.condition.as_str(),
        "cannot tell the contacts that a session ended");
    false
}

/// Returns a stanza that a client has not received before its session ended. The sender is told if it waits for an
/// answer, or must know that the session has ended.
async fn return_unread(router: &Router, stanza: &Stanza) {
    // Stanzas that many sessions share come from our own rooms and nodes, which know that the session has ended.
    if stanza.head().to.is_none() {
        return;
    }
    if (iq::must_be_answered(stanza) || message::must_be_read(stanza))
        && let Some(answer) = StanzaError::from(Condition::ServiceUnavailable).answer(stanza)
    {
        router.route(answer).await;
    }
}

/// The longest pause, after the store has failed several times.
const MAX_RETRY: Duration = Duration::from_secs(60);
