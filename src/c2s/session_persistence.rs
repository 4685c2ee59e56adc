//! A restart of the server, as its clients see it: they come back and go on (XEP-0198 §5).
//!
//! When the server ends, sessions that can be resumed are written down as they are; the next server
//! makes them again, and they wait for their clients as if the network had been lost. Nobody sees
//! them go. After a crash there is nothing written down but how many stanzas they had handled: a
//! client that wants to resume hears that, and binds anew (docs/delivery.md).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::{C2s, end, wait_for_client};
use crate::host::Hosts;
use crate::jid::FullJid;
use crate::payload::datetime::Timestamp;
use crate::router;
use crate::session::{CloseReason, MailboxLimits, Session, SessionFacts, SessionRef};
use crate::storage::{self, SavedSession, SessionNumber};

impl C2s {
    /// Tells every session when the server ends. Those that the next server goes on with are saved at
    /// once, since nobody knows how much time there is. Then those that end say to the others what
    /// they have to say; what has changed by that is saved in the end.
    pub async fn say_goodbye(self: Arc<Self>) {
        self.hosts.tasks.stopping().cancelled().await;
        let sessions = &self.hosts.sessions;
        let (outliving, ending): (Vec<_>, Vec<_>) =
            sessions.all().into_iter().partition(SessionRef::is_resumable);
        let (count, (saving, mut saved)) = (outliving.len(), mpsc::channel(1));
        for session in outliving {
            session.detach(saving.clone());
        }
        drop(saving);
        for session in ending {
            session.close(CloseReason::Shutdown);
        }
        let saved = async {
            saved.recv().await; // `None`: nobody has the other end any more
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
    }

    /// Makes the sessions again that the server before has saved. Before anybody is let in.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn restore(self: &Arc<Self>) -> storage::Result<()> {
        let hosts = &self.hosts;
        let (store, now) = (hosts.storage.resumption(), hosts.clock.now());
        let config = hosts.config.load_full();
        let all = store.all().await?;
        store.begin_anew(now).await?;
        let (mut restored, mut lost) = (Vec::new(), 0);
        for saved in &all {
            let limits = &config.limits;
            let bounds = MailboxLimits { stanzas: limits.inbox_stanzas, bytes: limits.inbox_bytes };
            let is_served = hosts.host(saved.owner.domain()).is_some();
            let session = is_served
                .then(|| Session::restore(&hosts.sessions, saved, &facts(), bounds, now))
                .flatten();
            let Some((session, left)) = session else {
                lost += 1;
                note_end(hosts, saved.number).await;
                continue;
            };
            hosts.metrics.sessions.inc();
            restored.push((session, left));
        }
        if restored.len() + lost > 0 {
            tracing::info!(
                restored = restored.len(),
                lost,
                "restored sessions of the previous run"
            );
        }
        // Only when all are there: the end of one whose time is over is told to the others.
        for (session, left) in restored {
            let (of, limits) = (Arc::clone(hosts), config.limits.clone());
            let task = async move {
                wait_for_client(&of, session, left, &limits, "not resumed after a restart").await;
            };
            drop(hosts.tasks.spawn("hibernation", task));
        }
        Ok(())
    }
}

/// A session as it was saved when the server began to end, and when that was.
pub(super) struct ReadAhead {
    at: Timestamp,
    saved: SavedSession,
}

/// Writes a session down for the next server while it still waits in this one.
pub(super) async fn save_ahead(hosts: &Hosts, session: &Session) -> Option<ReadAhead> {
    let at = hosts.clock.now();
    let saved = session.save_ahead(at, hosts.storage.archive().horizon())?;
    write(hosts, session.handle().jid(), &saved).await.then_some(ReadAhead { at, saved })
}

/// Writes a session down for the next server, if anything has changed since it was saved ahead. One
/// that cannot be resumed ends.
pub(super) async fn save(hosts: &Hosts, session: Session, ahead: Option<ReadAhead>) {
    let handle = session.handle().clone();
    let at = ahead.as_ref().map_or_else(|| hosts.clock.now(), |ahead| ahead.at);
    let (saved, unread) = match session.save(at, hosts.storage.archive().horizon()) {
        Ok(saved) => saved,
        Err(session) => return end(hosts, session, "the server ends").await,
    };
    hosts.metrics.sessions.dec();
    let is_new = ahead.as_ref().is_none_or(|ahead| ahead.saved != saved);
    // Its messages have their markers. If nothing at all was saved, its contacts see it go.
    if is_new && !write(hosts, handle.jid(), &saved).await && ahead.is_none() {
        router::session_ended(hosts, &handle, unread).await;
    }
}

/// `false` if it cannot be written.
async fn write(hosts: &Hosts, jid: &FullJid, saved: &SavedSession) -> bool {
    match hosts.storage.resumption().save(vec![saved.clone()]).await {
        Ok(()) => {
            tracing::debug!(%jid, "session saved");
            true
        }
        Err(error) => {
            tracing::error!(%jid, %error, "cannot save a session: it ends with the server");
            false
        }
    }
}

async fn note_end(hosts: &Hosts, number: SessionNumber) {
    if let Err(error) = hosts.storage.resumption().end(number, hosts.clock.now()).await {
        tracing::warn!(%error, "cannot record the end of a session");
    }
}

/// Nothing is known of a client that is not here yet.
fn facts() -> SessionFacts {
    SessionFacts {
        peer: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
        tls: "",
        since: tokio::time::Instant::now(),
        anonymous: false,
        resumable: true,
        newest: None,
        newest_seen: None,
    }
}

/// For the sessions that end with the server, before the others are closed.
const LAST_WORDS: Duration = Duration::from_secs(5);
