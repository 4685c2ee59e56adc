//! A restart of the server, as its clients see it: they come back and go on (XEP-0198 §5).
//!
//! When the server ends, sessions that can be resumed are written down as they are; the next server
//! makes them again, and they wait for their clients as if the network had been lost. Nobody sees
//! them go. After a crash there is nothing written down but how many stanzas they had handled: a
//! client that wants to resume hears that, and binds anew (docs/delivery.md).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::{C2s, end, wait_for_client};
use crate::host::Hosts;
use crate::router;
use crate::session::{CloseReason, InboxLimits, Session, SessionFacts};
use crate::storage::{self, SessionNumber};

impl C2s {
    /// Tells every session when the server ends. First those that end with it: what they have to say
    /// to the others must reach them.
    pub async fn say_goodbye(self: Arc<Self>) {
        self.hosts.tasks.stopping().cancelled().await;
        let sessions = &self.hosts.sessions;
        let others = |resumable| {
            let all = sessions.all().into_iter();
            all.filter(move |session| session.is_resumable() == resumable)
        };
        for session in others(false) {
            session.close(CloseReason::Shutdown);
        }
        let gone = sessions.emptied(|session| !session.is_resumable());
        if tokio::time::timeout(LAST_WORDS, gone).await.is_err() {
            tracing::debug!("some sessions take long to end");
        }
        for session in others(true) {
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
            let bounds = InboxLimits { stanzas: limits.inbox_stanzas, bytes: limits.inbox_bytes };
            let is_served = hosts.get(saved.owner.domain()).is_some();
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
            tracing::info!(restored = restored.len(), lost, "sessions of the server before");
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

/// Writes a session down for the next server. One that cannot be resumed ends.
pub(super) async fn save(hosts: &Hosts, session: Session) {
    let handle = session.handle().clone();
    let jid = handle.jid();
    let saved = session.save(hosts.clock.now(), hosts.storage.archive().newest());
    let (saved, unread) = match saved {
        Ok(saved) => saved,
        Err(session) => return end(hosts, session, "the server ends").await,
    };
    hosts.metrics.sessions.dec();
    match hosts.storage.resumption().save(vec![saved]).await {
        Ok(()) => tracing::debug!(%jid, "session saved"),
        // Its messages have their marks; its contacts see it go.
        Err(error) => {
            tracing::error!(%jid, %error, "a session does not outlive the server");
            router::session_ended(hosts, &handle, unread).await;
        }
    }
}

async fn note_end(hosts: &Hosts, number: SessionNumber) {
    if let Err(error) = hosts.storage.resumption().end(number, hosts.clock.now()).await {
        tracing::warn!(%error, "the end of a session was not noted");
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

/// For the sessions that end with the server, before the others are saved.
const LAST_WORDS: Duration = Duration::from_secs(5);
