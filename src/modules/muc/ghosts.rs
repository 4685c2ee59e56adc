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

/// Asks the silent ones. Returns those that are gone.
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

/// A ping from a room. Whether the session is gone.
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

/// A room is told that a session is gone, as if a message had come back.
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
