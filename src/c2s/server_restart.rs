//! A restart of the server, as its clients see it: they come back and continue (XEP-0198 §5).
//!
//! When the server ends, sessions that can be resumed are saved as they are; the next server restores
//! them, and they wait for their clients as if the network had been lost. Contacts do not see them go.
//! After a crash nothing is saved but how many stanzas they had handled: a client that wants to resume
//! learns that count, and binds a new session (docs/delivery.md).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::hibernate::wait_for_client;
use super::session_end::ENDING;
use crate::host::ServerState;
use crate::host::lifecycle::Event;
use crate::modules::capabilities;
use crate::router::Router;
use crate::session::{CloseReason, MailboxLimits, Session, SessionFacts, SessionRef};
use crate::storage::{self, SessionNumber};

/// Tells every session when the server ends. Sessions that the next server can continue are saved at
/// once, since nobody knows how much time there is. Then the other sessions end, and their contacts are
/// told. What has changed by that in the saved sessions is saved at last.
pub async fn say_goodbye(server: Arc<ServerState>) {
    server.tasks.stopping().cancelled().await;
    // Streams to other servers end after all this, whatever happens (RFC 6121 §4.5.2).
    let _ends = server.tasks.ending().drop_guard();
    let sessions = &server.sessions;
    let (outliving, ending): (Vec<_>, Vec<_>) =
        sessions.all().into_iter().partition(SessionRef::is_resumable);
    let (count, (saving, mut saved)) = (outliving.len(), mpsc::channel(1));
    for session in outliving {
        session.detach(saving.clone());
    }
    drop(saving);
    tell_features(&server, &ending).await;
    for session in ending {
        session.close(CloseReason::Shutdown);
    }
    let saved = async {
        saved.recv().await; // `None`: all senders are gone
        if count > 0 {
            tracing::info!(sessions = count, "saved sessions for the next start");
        }
    };
    let gone = sessions.emptied(|session| !session.is_resumable());
    let both = async { tokio::join!(saved, gone) };
    if tokio::time::timeout(LAST_WORDS, both).await.is_err() {
        tracing::debug!("some sessions take long to end");
    }
    for session in sessions.all() {
        session.close(CloseReason::Shutdown);
    }
    // A session leaves the table before its contacts are told.
    let told = async {
        while server.tasks.count(ENDING) > 0 {
            tokio::time::sleep(PAUSE).await;
        }
    };
    drop(tokio::time::timeout(LAST_WORDS, told).await);
}

/// Tells features which sessions end, so that they can say something to them before that.
async fn tell_features(server: &ServerState, ending: &[SessionRef]) {
    let (Some(route), Some(host)) = (server.route(), server.hosts().first()) else { return };
    let event = Event::ServerEnds { sessions: ending };
    if tokio::time::timeout(BEFORE_LAST_WORDS, route.tell(&host.domain, event)).await.is_err() {
        tracing::debug!("features take long to learn that sessions end");
    }
}

/// Restores the sessions that the previous server has saved. Called before the first client is accepted.
///
/// # Errors
/// If the store fails.
pub async fn restore(router: &Arc<Router>) -> storage::Result<()> {
    let server = &router.server;
    let (store, now) = (server.storage.resumption(), server.clock.now());
    let config = server.config.load_full();
    let all = store.all().await?;
    store.begin_anew(now).await?;
    let (mut restored, mut lost) = (Vec::new(), 0);
    for saved in &all {
        let limits = &config.limits;
        let bounds = MailboxLimits { stanzas: limits.inbox_stanzas, bytes: limits.inbox_bytes };
        let is_served = server.host(saved.owner.domain()).is_some();
        let session = is_served
            .then(|| Session::restore(&server.sessions, saved, &facts(), bounds, now))
            .flatten();
        let Some((session, left)) = session else {
            lost += 1;
            note_end(server, saved.number).await;
            continue;
        };
        capabilities::restored(server, session.handle()).await;
        server.metrics.sessions.inc();
        restored.push((session, left));
    }
    if restored.len() + lost > 0 {
        tracing::info!(restored = restored.len(), lost, "restored sessions of the previous run");
    }
    // Those on other servers may have come and gone meanwhile; those here are restored, too.
    if !restored.is_empty() {
        let of = Arc::clone(router);
        drop(server.tasks.spawn("contact-probes", async move {
            of.probe_contacts(|jid| of.server.ours(jid.domain()).is_none()).await;
        }));
    }
    // Only when all are restored: if the time of one is over, the others are told of its end.
    for (session, left) in restored {
        let (of, limits) = (Arc::clone(router), config.limits.clone());
        let task = async move {
            wait_for_client(&of, session, left, &limits, "not resumed after a restart").await;
        };
        drop(server.tasks.spawn("hibernation", task));
    }
    Ok(())
}

async fn note_end(server: &ServerState, number: SessionNumber) {
    if let Err(error) = server.storage.resumption().end(number, server.clock.now()).await {
        tracing::warn!(%error, "cannot record the end of a session");
    }
}

/// The facts of a session whose client has not come yet.
fn facts() -> SessionFacts {
    SessionFacts {
        peer: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
        tls: "",
        since: tokio::time::Instant::now(),
        anonymous: false,
        resumable: true,
        installation: None,
        newest: None,
        newest_seen: None,
        restored: None,
    }
}

const PAUSE: Duration = Duration::from_millis(5);
/// How long features may take to tell something to sessions that end.
const BEFORE_LAST_WORDS: Duration = Duration::from_secs(2);
/// How long the sessions that end with the server may take, before those that were saved are closed.
const LAST_WORDS: Duration = Duration::from_secs(5);
