//! Ghosts: occupants on other servers whose sessions have ended without a word (XEP-0045 §18.1.2). A session that is
//! silent for long is sent a ping (XEP-0199).

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::time::sleep;

use super::room_service::RoomService;
use crate::host::{RequestError, Route, ServerState};
use crate::jid::{BareJid, Jid};
use crate::muc::{is_doubtful, says_gone};
use crate::ns;
use crate::stanza::{
    Condition, Content, Head, Iq, IqKind, Message, MessageKind, Stanza, StanzaError,
};
use crate::xml::{Frame, Node, element};

/// Starts the task that looks for ghosts in the rooms of a service.
pub(super) fn start(server: &Arc<ServerState>, service: &Arc<RoomService>) {
    let (server, service) = (Arc::clone(server), Arc::clone(service));
    let (tasks, stopping) = (server.tasks.clone(), server.tasks.stopping());
    drop(tasks.spawn("rooms-ghosts", async move {
        while stopping.run_until_cancelled(sleep(EVERY)).await.is_some() {
            let Some(route) = server.route() else { return };
            // Nothing has changed while pings are on their way, so the end of the server need not wait for them.
            let Some(gone) = stopping.run_until_cancelled(find(&server, &*route, &service)).await
            else {
                return;
            };
            for (session, rooms) in gone {
                for room in rooms {
                    lose(&*route, &session, &room).await;
                }
            }
        }
    }));
}

/// Sessions, each with the rooms that it is in.
type Present = FxHashMap<Jid, Vec<BareJid>>;

/// Asks the silent ones. Returns those that have ended.
async fn find(server: &ServerState, route: &dyn Route, service: &RoomService) -> Present {
    let mut present = present(server, service);
    let known: FxHashSet<Jid> = present.keys().cloned().collect();
    let silent = service.signs_of_life.silent(&known).into_iter().take(AT_ONCE);
    let asked = silent.filter_map(|session| {
        let rooms = present.remove(&session)?;
        let room = rooms.first().cloned()?;
        Some(async move {
            is_gone(server, route, service, &room, &session).await.then_some((session, rooms))
        })
    });
    let asked: Vec<_> = asked.collect();
    join_all(asked).await.into_iter().flatten().collect()
}

/// All sessions on other servers. A room that is locked is left out, until the next round.
fn present(server: &ServerState, service: &RoomService) -> Present {
    let mut present = Present::default();
    let is_remote = |session: &Jid| server.ours(session.domain()).is_none();
    for room in service.rooms.addresses() {
        let sessions = service.rooms.look(&room, |there| there.sessions_that(is_remote));
        for session in sessions.unwrap_or_default() {
            present.entry(session).or_default().push(room.clone());
        }
    }
    present
}

/// Sends a ping from a room, and finds out by the answer whether the session has ended.
///
/// `service-unavailable` says that it is gone (RFC 6121 §8.5.3.2.3), or that the client does not know pings: then the
/// client is asked what it can do, which all clients answer.
async fn is_gone(
    server: &ServerState,
    route: &dyn Route,
    service: &RoomService,
    room: &BareJid,
    session: &Jid,
) -> bool {
    let ping = element("ping").ns(ns::PING);
    let disco = element("query").ns(ns::DISCO_INFO);
    let mut found = ask(server, route, room, session, ping).await;
    if found == Found::Doubtful {
        found = ask(server, route, room, session, disco).await;
    }
    match found {
        Found::Gone | Found::Doubtful => return true,
        Found::Silent => return service.signs_of_life.missed(session),
        // Too many requests wait for an answer: the session is asked in a later round.
        Found::NotAsked => return false,
        Found::There => {}
    }
    service.signs_of_life.note(session);
    false
}

/// What came of a request to a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Found {
    Doubtful,
    Gone,
    NotAsked,
    Silent,
    There,
}

async fn ask(
    server: &ServerState,
    route: &dyn Route,
    room: &BareJid,
    session: &Jid,
    payload: Node,
) -> Found {
    let request = server.request(room.clone().into_jid(), session.clone(), IqKind::Get, payload);
    let Ok((request, answer)) = request else { return Found::NotAsked };
    route.route(request).await;
    match answer.within(PATIENCE).await {
        Ok(_) => Found::There,
        Err(RequestError::Refused(answer)) => of_refusal(&answer),
        Err(_) => Found::Silent,
    }
}

/// What an error says of its sender.
fn of_refusal(answer: &Iq) -> Found {
    // What the server itself has made can be read when it has been written.
    let frame = Frame::from_bytes(Stanza::Iq(answer.clone()).to_bytes());
    match frame.map(Content::of) {
        Ok(content) if says_gone(&content) => Found::Gone,
        Ok(content) if is_doubtful(&content) => Found::Doubtful,
        Ok(_) | Err(_) => Found::There,
    }
}

/// Tells a room that a session has ended, as if a message had come back.
async fn lose(route: &dyn Route, session: &Jid, room: &BareJid) {
    let head = Head::between(room.clone(), session.clone());
    let kind = MessageKind::Normal;
    let lost = Stanza::Message(Message { head, kind, content: Content::default() });
    let answer = StanzaError::from(Condition::RecipientUnavailable).answer(&lost);
    let frame = answer.and_then(|answer| Frame::from_bytes(answer.to_bytes()).ok());
    if let Some(Ok(answer)) = frame.map(Stanza::read) {
        route.route(answer).await;
    }
}

const EVERY: Duration = Duration::from_secs(60);
/// How long a session may take to answer.
const PATIENCE: Duration = Duration::from_secs(120);
/// Sessions that are asked at once.
const AT_ONCE: usize = 256;

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use parking_lot::Mutex;

    use super::*;
    use crate::host::lifecycle::Event;
    use crate::modules::muc::fixtures::{apply, coven, jid, presence, room, service};

    /// Sessions on another server. Their resources say what they answer.
    struct Elsewhere {
        server: Arc<ServerState>,
        /// Who was asked for what.
        asked: Mutex<Vec<String>>,
        /// Messages to the room.
        told: Mutex<Vec<Stanza>>,
    }

    #[async_trait]
    impl Route for Elsewhere {
        async fn route(&self, stanza: Stanza) {
            let Stanza::Iq(request) = stanza else { return self.told.lock().push(stanza) };
            let stanza = Stanza::Iq(request.clone());
            let is_ping = stanza.to_xml().contains(ns::PING);
            let to = request.head.to.clone().unwrap();
            let to = to.resource().unwrap();
            self.asked.lock().push(format!("{to} {}", if is_ping { "ping" } else { "disco" }));
            let error = match to {
                "gone" => Condition::RecipientUnavailable,
                "unknown" => Condition::ServiceUnavailable,
                "no-pings" if is_ping => Condition::ServiceUnavailable,
                "odd" => Condition::FeatureNotImplemented,
                "silent" => return,
                _ => return drop(self.server.requests.answered(request.result(None))),
            };
            let Some(Stanza::Iq(error)) = StanzaError::from(error).answer(&stanza) else {
                unreachable!("a request is answered with an iq")
            };
            assert!(self.server.requests.answered(error).is_none());
        }

        async fn tell(&self, _: &str, _: Event<'_>) {}
    }

    impl Elsewhere {
        fn new(server: &Arc<ServerState>) -> Self {
            let (asked, told) = (Mutex::default(), Mutex::default());
            Self { server: Arc::clone(server), asked, told }
        }

        /// Who was asked since this was last asked.
        fn asked(&self) -> Vec<String> {
            let mut asked = std::mem::take(&mut *self.asked.lock());
            asked.sort_unstable();
            asked
        }
    }

    const HERE: [&str; 6] = ["there", "gone", "unknown", "no-pings", "odd", "silent"];

    /// A room with these sessions on other servers, and one on this server.
    async fn occupied(service: &RoomService) {
        let mut room = room();
        presence(&mut room, "romeo@localhost/local", "", "local");
        for resource in HERE {
            presence(&mut room, &format!("hag66@witches.example/{resource}"), "", resource);
        }
        service.rooms.lock(&coven()).await.put(room);
    }

    async fn gone(server: &ServerState, route: &Elsewhere, service: &RoomService) -> Vec<String> {
        let gone = find(server, route, service).await;
        let resource = |session: &Jid| session.resource().unwrap().to_owned();
        let mut found: Vec<_> = gone.keys().map(resource).collect();
        assert!(gone.values().all(|rooms| *rooms == [coven()]));
        found.sort_unstable();
        for (session, rooms) in gone {
            lose(route, &session, &rooms[0]).await;
        }
        found
    }

    #[tokio::test(start_paused = true)]
    async fn silent_sessions_are_asked_and_those_that_are_gone_leave_the_room() {
        let (server, service) = service();
        let route = Elsewhere::new(&server);
        occupied(&service).await;
        assert!(gone(&server, &route, &service).await.is_empty(), "their silence begins now");
        assert!(route.asked().is_empty());
        tokio::time::advance(Duration::from_secs(10 * 60)).await;
        service.signs_of_life.note(&jid("hag66@witches.example/there"));
        assert_eq!(gone(&server, &route, &service).await, ["gone", "unknown"]);
        let asked = [
            "gone ping",
            "no-pings disco",
            "no-pings ping",
            "odd ping",
            "silent ping",
            "unknown disco",
            "unknown ping",
        ];
        assert_eq!(route.asked(), asked, "nobody of this server, and who has spoken is not silent");

        // The room removes them as if a message had come back.
        let mut locked = service.rooms.lock(&coven()).await;
        let mut room = locked.take().unwrap();
        for told in std::mem::take(&mut *route.told.lock()) {
            let effects = apply(&mut room, &told.to_xml());
            let seen: String = effects.list.iter().map(|effect| format!("{effect:?}")).collect();
            assert!(seen.contains("333"), "{seen}");
        }
        assert_eq!(room.occupants(), HERE.len() - 1);
        assert!(!room.has_session(&jid("hag66@witches.example/gone")));
        locked.put(room);
        drop(locked);

        // Any answer proves that the occupant is there. One lost answer proves nothing; two do.
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(gone(&server, &route, &service).await, ["silent"]);
        assert_eq!(route.asked(), ["silent ping"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_locked_room_is_left_out() {
        let (server, service) = service();
        occupied(&service).await;
        assert_eq!(present(&server, &service).len(), HERE.len());
        let locked = service.rooms.lock(&coven()).await;
        assert!(present(&server, &service).is_empty());
        drop(locked);
        assert_eq!(present(&server, &service).len(), HERE.len());
    }
}
