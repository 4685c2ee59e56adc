//! Gives a room its input. What follows is carried out (`carry_out.rs`) while the room is locked.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::active::LockedRoom;
use super::deliver::tell;
use super::missed_messages;
use super::room_service::RoomService;
use crate::host::{Cx, Halt, Origin, Reply};
use crate::jid::{BareJid, Jid};
use crate::muc::{Actor, Affiliation, Before, Effects, Input, Moment, Room, not_in_room_presence};
use crate::ns;
use crate::random::random_id;
use crate::stanza::{
    Condition, ErrorKind, Iq, MessageKind, Presence, PresenceKind, Stanza, StanzaError,
};
use crate::storage::RoomChange;

/// What has become of an input.
#[derive(Debug)]
pub(super) enum Handled {
    /// It changes nothing, and nobody is told, for this reason. A request is never ignored.
    Ignored(&'static str),
    /// It was applied. The answer of the room is [`Reply::Later`] if there is none, or if somebody else answers later.
    Replied(Reply),
}

impl Handled {
    /// For the sender of a stanza that is no request.
    pub(super) fn done(self) -> Result<(), Halt> {
        match self {
            Self::Ignored(reason) => Err(Halt::Drop(reason)),
            Self::Replied(_) => Ok(()),
        }
    }

    /// For the sender of a request.
    pub(super) fn reply(self) -> Reply {
        match self {
            Self::Ignored(_) => Reply::Later,
            Self::Replied(reply) => reply,
        }
    }
}

impl RoomService {
    /// Applies an input to a room, and carries out the effects.
    pub(super) async fn handle_input(
        &self,
        cx: &mut Cx<'_>,
        jid: &BareJid,
        actor: &Actor,
        input: Input<'_>,
    ) -> Result<Handled, StanzaError> {
        self.handle(cx, jid, actor, input).await.map_err(|error| error.by(jid))
    }

    async fn handle(
        &self,
        cx: &mut Cx<'_>,
        jid: &BareJid,
        actor: &Actor,
        input: Input<'_>,
    ) -> Result<Handled, StanzaError> {
        let needs_occupants = needs_occupants(&input);
        if needs_occupants && self.rooms.is_known_to_be_empty(jid) {
            return Ok(Handled::Ignored("nobody is in the room"));
        }
        if let (Input::Presence(_), Some(session)) = (&input, cx.origin.owned()) {
            // A newcomer is sent much at once: first its client must have read what waits for it.
            let most = cx.server.config.load().limits.inbox_stanzas / 4;
            session.mailbox().wait_for_capacity(most).await;
        }
        let mut locked = self.lock(cx.server, jid).await?;
        if locked.slot.is_fresh.swap(false, Ordering::AcqRel) {
            self.remove_lost_occupants(cx, &mut locked).await?;
        }
        if is_of_older_session(cx, jid, actor, &input) {
            return Ok(Handled::Ignored("a newer session with the same address is in the room"));
        }
        let is_new = locked.room.is_none();
        if is_new && let Some(done) = self.create(cx, jid, actor, &input, &mut locked).await? {
            return Ok(done);
        }
        let now = Moment { at: cx.server.clock.now(), token: random_id() };
        // Taken out: if something panics here, what is half done is not used again.
        let Some(mut room) = locked.take() else { return Ok(Handled::Ignored(NO_ROOM)) };
        let before = room.before(actor, &input);
        let request = match &input {
            Input::Request(request) => Some(*request),
            _ => None,
        };
        let mut effects = match room.apply(&now, actor, input) {
            Ok(effects) => effects,
            Err(error) => {
                if is_new {
                    locked.end();
                } else {
                    locked.put(room);
                }
                return Err(error);
            }
        };
        if is_new && let Err(error) = self.store_new(cx, jid, &room).await {
            locked.end();
            return Err(error);
        }
        if let Some(request) = request.filter(|_| effects.is_answered_first) {
            // If it fails, the room in memory is given up, and read again as it was stored before.
            self.answer_first(cx, &room, &locked, &mut effects, request).await?;
        }
        let changes_nothing = needs_occupants && effects.is_nothing();
        let ignored =
            effects.ignored.or(changes_nothing.then_some("it changes nothing in the room"));
        let reply = self.finish(cx, locked, room, actor, (before, effects)).await?;
        Ok(ignored.map_or(Handled::Replied(reply), Handled::Ignored))
    }

    /// There is no such room. Presence that enters it creates it (XEP-0045 §10.1); all else is answered.
    async fn create(
        &self,
        cx: &mut Cx<'_>,
        jid: &BareJid,
        actor: &Actor,
        input: &Input<'_>,
        locked: &mut LockedRoom,
    ) -> Result<Option<Handled>, StanzaError> {
        match input {
            Input::Presence(presence) if presence.kind == PresenceKind::Available => {
                if !presence.enters_room() {
                    self.no_room(cx, actor, presence).await;
                    return Ok(Some(Handled::Replied(Reply::Later)));
                }
                self.may_create(cx, actor).await?;
                locked.put(self.new_room(cx, jid, actor).await?);
                Ok(None)
            }
            // A client asks whether it is still in: "changed its name" would be the meaning of `item-not-found`
            // (XEP-0410 §3.2, §3.3).
            Input::Request(iq) if is_self_ping(iq) => {
                let error = Condition::NotAcceptable.text(NO_ROOM);
                Err(error.kind(ErrorKind::Cancel))
            }
            Input::Request(_) => Err(no_room()),
            Input::Message(message) if message.kind != MessageKind::Error => Err(no_room()),
            _ => Ok(Some(Handled::Ignored(NO_ROOM))),
        }
    }

    /// Carries out the effects, and puts the room back.
    async fn finish(
        &self,
        cx: &mut Cx<'_>,
        mut locked: LockedRoom,
        mut room: Room,
        actor: &Actor,
        (before, effects): (Option<Before>, Effects),
    ) -> Result<Reply, StanzaError> {
        let changes = effects.change != RoomChange::default();
        let answer = match effects.is_answered_later {
            true => Reply::Later,
            false => Reply::Now(effects.answer.clone()),
        };
        let done = self.carry_out(cx, &mut room, &locked, effects).await;
        if matches!(done, Ok(false)) {
            locked.end();
            return Ok(answer);
        }
        if done.is_err() {
            match before {
                // The store has not taken the message, so it changes nothing: its sender may send it again.
                Some(before) => room.take_back(before),
                // The input has changed the room, and the change could not be stored. The room in memory is given up,
                // and read again as it was stored before.
                None if changes => return done.map(|_| answer),
                None => {}
            }
        }
        if room.has_session(&actor.jid) {
            if cx.server.ours(actor.jid.domain()).is_none() {
                self.signs_of_life.note(&actor.jid);
            }
            if let Some(session) = cx.origin.session() {
                missed_messages::note_in(session, room.jid());
            }
        }
        locked.put(room);
        done.map(|_| answer)
    }

    /// Called when a room was just read from the store: removes occupants whose sessions have ended, and a temporary room
    /// without occupants.
    async fn remove_lost_occupants(
        &self,
        cx: &mut Cx<'_>,
        locked: &mut LockedRoom,
    ) -> Result<(), StanzaError> {
        let Some(mut room) = locked.take() else { return Ok(()) };
        missed_messages::give(cx, &mut room).await?;
        let is_gone = |session: &&Jid| match session.to_full() {
            Some(full) if cx.server.host(full.domain()).is_some() => {
                cx.server.sessions.find(&full).is_none()
            }
            _ => false,
        };
        let sessions = room.sessions();
        let mut gone: Vec<Jid> = sessions.iter().filter(is_gone).cloned().collect();
        if sessions.is_empty() {
            gone.push(room.jid().clone().into_jid());
        }
        let mut is_alive = true;
        for session in gone {
            let now = Moment { at: cx.server.clock.now(), token: random_id() };
            let effects = room.apply(&now, &Actor::new(session, false), Input::Lost)?;
            is_alive = self.carry_out(cx, &mut room, locked, effects).await?;
            if !is_alive {
                break;
            }
        }
        if is_alive {
            locked.put(room);
        } else {
            locked.end();
        }
        Ok(())
    }

    /// Tells a client that believes that it is in a room that does not exist that it is not (XEP-0045 §7.2.17).
    async fn no_room(&self, cx: &mut Cx<'_>, actor: &Actor, presence: &Presence) {
        if let Some(address) = presence.head.to.as_ref().and_then(Jid::to_full) {
            let told =
                Arc::new(Stanza::Presence(not_in_room_presence(Affiliation::None, &address)));
            drop(tell(cx, &told, std::slice::from_ref(&actor.jid)).await);
        }
    }
}

/// Whether the server says that a session is unavailable, and a newer session with the same address has sent presence to
/// the room: that one stays. It is asked while the room is locked, since both may come at the same moment.
///
/// A session that becomes unavailable itself has forgotten by then to whom it had sent presence.
fn is_of_older_session(cx: &Cx<'_>, room: &BareJid, actor: &Actor, input: &Input<'_>) -> bool {
    let (Input::Presence(presence) | Input::Ended(presence)) = input else { return false };
    let is_by_server =
        presence.kind == PresenceKind::Unavailable && matches!(cx.origin, Origin::Internal);
    let session = actor.jid.to_full().filter(|_| is_by_server);
    let session = session.and_then(|full| cx.server.sessions.find(&full));
    session.is_some_and(|session| session.has_directed_to(room.as_str()))
}

/// Whether this concerns only rooms in which somebody is: an occupant, or its session, leaves or answers.
fn needs_occupants(input: &Input<'_>) -> bool {
    match input {
        Input::Presence(presence) => {
            matches!(presence.kind, PresenceKind::Unavailable | PresenceKind::Error)
        }
        Input::Message(message) => message.kind == MessageKind::Error,
        Input::Ended(_) | Input::Refused(_) | Input::Response(_) | Input::Lost => true,
        Input::Request(_) => false,
    }
}

/// Whether a client pings an occupant (XEP-0410 §3.1).
fn is_self_ping(iq: &Iq) -> bool {
    let is_ping = iq.payload().is_some_and(|payload| payload.is(ns::PING, "ping"));
    is_ping && iq.head.to.as_ref().is_some_and(Jid::is_full)
}

pub(super) fn no_room() -> StanzaError {
    Condition::ItemNotFound.text(NO_ROOM)
}

const NO_ROOM: &str = "there is no such room";
