//! Saves a session for the next server (XEP-0198 §5).

use std::time::Duration;

use tokio::time::timeout;

use super::session_end::end;
use crate::host::ServerState;
use crate::jid::FullJid;
use crate::payload::datetime::Timestamp;
use crate::router::Router;
use crate::session::Session;
use crate::storage::{MessageId, SavedSession};

/// A session as it was saved when the server began to end.
pub(super) struct SavedAhead {
    at: Timestamp,
    saved: SavedSession,
}

/// Saves a session for the next server while it still waits in this one.
pub(super) async fn save_ahead(server: &ServerState, session: &Session) -> Option<SavedAhead> {
    let at = server.clock.now();
    let saved = session.save_ahead(at, horizon(server).await)?;
    write(server, session.handle().jid(), &saved).await.then_some(SavedAhead { at, saved })
}

/// Saves a session for the next server, if anything has changed since it was saved ahead. A session that
/// cannot be resumed ends.
pub(super) async fn save(router: &Router, session: Session, ahead: Option<SavedAhead>) {
    let server = &router.server;
    let handle = session.handle().clone();
    let at = ahead.as_ref().map_or_else(|| server.clock.now(), |ahead| ahead.at);
    let (saved, unread) = match session.save(at, horizon(server).await) {
        Ok(saved) => saved,
        Err(session) => return end(router, session, "the server ends").await,
    };
    server.metrics.sessions.dec();
    let is_new = ahead.as_ref().is_none_or(|ahead| ahead.saved != saved);
    // Its messages have their markers. If nothing at all was saved, its contacts are told that it ends.
    if is_new && !write(server, handle.jid(), &saved).await && ahead.is_none() {
        router.session_ended(&handle, unread).await;
    }
}

/// How far the session has been given all messages. A saved session reads newer ones again, with or without
/// a marker. So this must not be below a message that the client has, whichever node has taken it: the
/// client would get that message twice. If a node does not answer in time, that may happen: twice is better
/// than never.
async fn horizon(server: &ServerState) -> Option<MessageId> {
    // What rooms have given numbers before, they have given to the session, too (docs/delivery.md, "Rooms").
    let _whole = server.room_deliveries.write().await;
    let archive = server.storage.archive();
    match timeout(AGREEMENT, archive.advance_horizon()).await {
        Ok(Ok(horizon)) => horizon,
        Ok(Err(error)) => {
            tracing::warn!(%error, "clients that resume may get messages twice");
            archive.horizon()
        }
        Err(_) => archive.horizon(),
    }
}

/// `false` if the store fails.
async fn write(server: &ServerState, jid: &FullJid, saved: &SavedSession) -> bool {
    match server.storage.resumption().save(vec![saved.clone()]).await {
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

/// How long the other nodes may take to agree on the horizon.
const AGREEMENT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use smallvec::smallvec;

    use super::*;
    use crate::c2s::fixtures::router;
    use crate::c2s::markers::delivered;
    use crate::jid::Jid;
    use crate::modules::offline::{self, ReadAhead};
    use crate::session::{MailboxLimits, Resumption, SessionFacts};
    use crate::stanza::{Presence, PresenceKind, Stanza};
    use crate::storage::{Holder, MemoryStorage, NewMessage, NodeNumber, Way};
    use crate::xml::Frame;

    const LIMITS: MailboxLimits = MailboxLimits { stanzas: 100, bytes: 100_000 };

    fn message(owner: &FullJid) -> (NewMessage, Arc<Stanza>) {
        let xml = "<message from='juliet@localhost'><body>hi</body></message>";
        let holder = Holder {
            owner: owner.to_bare(),
            with: Jid::parse("juliet@localhost").unwrap(),
            way: Way::Received,
            archive: true,
            waiting: true,
            limit: None,
        };
        let at = Timestamp::from_micros(9_000);
        let stanza = Stanza::read(Frame::from_bytes(xml).unwrap()).unwrap();
        let holders = smallvec![holder];
        let new = NewMessage { at, xml: xml.into(), holders, handled: None };
        (new, Arc::new(stanza))
    }

    /// A session of this node, whose client has one message. That message is beyond the horizon, because
    /// the clock of another node is behind.
    async fn session_with_message(server: &mut ServerState, jid: &FullJid) -> (Session, MessageId) {
        let store = MemoryStorage::new();
        drop(store.node(NodeNumber::new(1).unwrap()));
        server.storage = store;
        let limit = 9;
        let table = Arc::clone(&server.sessions);
        let session = Session::open(table, jid.clone(), SessionFacts::for_tests(), LIMITS, limit);
        session.mailbox().go_live_if_undecided();
        let begun = server.storage.resumption().begin(&jid.to_bare(), "orchard", "an-id").await;
        let resumption = Resumption {
            id: "an-id".into(),
            max: Duration::from_secs(300),
            number: Some(begun.unwrap().0),
        };
        assert!(session.manage(Some(resumption)));
        let (new, stanza) = message(jid);
        let id = server.storage.archive().keep(new).await.unwrap().id;
        assert!(server.storage.archive().horizon() < Some(id));
        _ = session.handle().deliver_with_marker(stanza, id).unwrap();
        drop(session.sm(|sm| sm.next_batch(session.mailbox().take().0)));
        assert_eq!(session.sm(|sm| sm.acknowledge(1)).unwrap().len(), 1);
        server.storage.archive().delivered(&jid.to_bare(), &[id]).await.unwrap();
        session.mailbox().release(&[id]);
        (session, id)
    }

    /// The first message that a session reads after the next start.
    async fn first_unread(server: &ServerState) -> Option<MessageId> {
        let saved = server.storage.resumption().all().await.unwrap();
        let facts = SessionFacts::for_tests();
        let now = server.clock.now();
        let restored = Session::restore(&Arc::default(), &saved[0], &facts, LIMITS, now);
        restored.unwrap().0.mailbox().first_unread()
    }

    /// Others write while a session is saved: such a message is in what is saved, and newer than the horizon.
    #[tokio::test(start_paused = true)]
    async fn a_message_that_comes_while_a_session_is_saved_is_delivered_once_by_the_next_server() {
        let jid = FullJid::parse("romeo@localhost/orchard").unwrap();
        let mut router = router();
        let server = Arc::get_mut(&mut router.server).expect("nobody else has it");
        let (session, _) = session_with_message(server, &jid).await;
        let presence = Presence::bare(PresenceKind::Available, jid.clone(), jid.clone());
        session.set_available(Arc::new(presence), 0);
        let (at, horizon) = (server.clock.now(), horizon(server).await);
        let (new, stanza) = message(&jid);
        let id = server.storage.archive().keep(new).await.unwrap().id;
        _ = session.handle().deliver_with_marker(stanza, id).unwrap();
        let saved = session.save_ahead(at, horizon).unwrap();
        assert!(write(server, &jid, &saved).await);
        drop(session);

        let saved = server.storage.resumption().all().await.unwrap();
        let (table, facts) = (Arc::clone(&server.sessions), SessionFacts::for_tests());
        let (session, _) = Session::restore(&table, &saved[0], &facts, LIMITS, at).unwrap();
        drop(session.sm(|sm| sm.resume(1)).unwrap());
        let (_, written) = session.sm(|sm| sm.next_batch(session.mailbox().take().0));
        assert_eq!(written.iter().filter_map(|sent| sent.marker).collect::<Vec<_>>(), [id]);
        // The client acknowledges it before the session has read what waits.
        drop(session.sm(|sm| sm.acknowledge(2)).unwrap());
        delivered(server, &session, &[id]).await;
        assert!(session.mailbox().first_unread() <= Some(id), "it is read in the archive");
        let ahead = ReadAhead::within(&server.config.load().limits);
        offline::catch_up(server, &session, ahead).await.unwrap();
        assert!(!session.mailbox().is_catching_up());
        assert_eq!(session.mailbox().take().0.len(), 0, "it does not come again");
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_client_has_is_not_read_again_after_a_restart_of_one_of_two_nodes() {
        let jid = FullJid::parse("romeo@localhost/orchard").unwrap();
        for is_ahead in [true, false] {
            let mut router = router();
            let server = Arc::get_mut(&mut router.server).expect("nobody else has it");
            let (session, id) = session_with_message(server, &jid).await;
            if is_ahead {
                assert!(save_ahead(&router.server, &session).await.is_some());
            } else {
                save(&router, session, None).await;
            }
            assert!(first_unread(&router.server).await > Some(id), "saved ahead: {is_ahead}");
        }
    }
}
