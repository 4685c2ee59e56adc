//! The end of a session: who sees it go, and what becomes of what its client has not got.

use std::time::Duration;

use super::{RETRY, bounce, outcome, presence, route};
use crate::host::{Cx, Halt, Hosts, Keeping, Origin, Outbox};
use crate::modules::offline;
use crate::session::{SessionRef, Unread};
use crate::stanza::{Presence, PresenceKind};

/// The end of a session that has left the table: others learn that it is gone, and what it was
/// not told goes the way of the absent (RFC 6121 §4.5, §8.5.2).
pub async fn session_ended(hosts: &Hosts, session: &SessionRef, unread: Unread) {
    let Unread { deliveries, was_catching_up } = unread;
    let mut are_told = tell_end(hosts, session).await;
    if deliveries.iter().any(|delivery| delivery.markers().next().is_some()) || was_catching_up {
        offline::pass_on(hosts, &session.jid().to_bare());
    }
    for delivery in &deliveries {
        outcome::note_unread(session, &delivery.stanza, delivery.marker.is_some());
        bounce::unread(hosts, &delivery.stanza).await;
    }
    // Contacts who do not hear of it would see the session for ever.
    let (stopping, mut pause) = (hosts.tasks.stopping(), RETRY);
    while !are_told && stopping.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
        are_told = tell_end(hosts, session).await;
        pause = (pause * 2).min(MAX_RETRY);
    }
}

/// Tells all who see a session that it has ended. `false` if the store fails, so that it is unknown
/// who they are: then nobody has been told.
async fn tell_end(hosts: &Hosts, session: &SessionRef) -> bool {
    let Some(host) = hosts.host(session.jid().domain()) else { return true };
    let origin = Origin::Internal;
    let (mut outbox, mut keeping) = (Outbox::default(), Keeping::default());
    let mut cx = Cx { hosts, host, origin: &origin, outbox: &mut outbox, keeping: &mut keeping };
    let told = gone(&mut cx, session).await;
    route::drain(hosts, &mut outbox, &mut keeping, None).await;
    route::settle(keeping).await;
    let Err(Halt::Bounce(error, _)) = told else { return true };
    tracing::warn!(jid = %session.jid(), condition = error.condition.as_str(),
        "cannot tell the contacts that a session ended");
    false
}

/// Those who saw it see it go (RFC 6121 §4.5.2), or see who has its address now.
async fn gone(cx: &mut Cx<'_>, session: &SessionRef) -> Result<(), Halt> {
    let from = session.jid().clone();
    if cx.hosts.sessions.find(&from).is_some_and(|newer| newer.available().is_some()) {
        session.hide();
    }
    let mut presence = Presence::bare(PresenceKind::Unavailable, from.clone(), from);
    presence.head.to = None; // to all
    presence::unavailable(cx, session, presence).await.map(drop)
}

/// After the store has failed several times.
const MAX_RETRY: Duration = Duration::from_secs(60);
