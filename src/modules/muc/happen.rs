//! Something happens to a room: it is told, and what follows is done while it is locked.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::active::Locked;
use super::deliver::tell;
use super::missed;
use super::publish::publish;
use super::room_service::RoomService;
use crate::host::{Cx, Origin, Reply};
use crate::jid::{BareJid, Jid};
use crate::muc::{Actor, Affiliation, Before, Effect, Effects, Input, Moment, Room, stray};
use crate::random::random_id;
use crate::stanza::{Condition, MessageKind, Presence, PresenceKind, Stanza, StanzaError};
use crate::storage::RoomChange;
use crate::xml::Frame;

impl RoomService {
    /// Tells a room of what has happened, and does what follows. Returns what the room answers: `None` if
    /// somebody else answers later.
    pub(super) async fn happens(
        &self,
        cx: &mut Cx<'_>,
        jid: &BareJid,
        actor: &Actor,
        input: Input<'_>,
    ) -> Result<Reply, StanzaError> {
        self.inner(cx, jid, actor, input).await.map_err(|error| error.by(jid))
    }

    async fn inner(
        &self,
        cx: &mut Cx<'_>,
        jid: &BareJid,
        actor: &Actor,
        input: Input<'_>,
    ) -> Result<Reply, StanzaError> {
        if needs_occupants(&input) && self.rooms.is_asleep(jid) {
            return Ok(Reply::Later);
        }
        if let (Input::Presence(_), Some(session)) = (&input, cx.origin.owned()) {
            // A newcomer is told much at once: not before its client has read what came before.
            let most = cx.server.config.load().limits.inbox_stanzas / 4;
            session.mailbox().wait_for_capacity(most).await;
        }
        let mut locked = self.lock(cx.server, jid).await?;
        if locked.slot.is_fresh.swap(false, Ordering::AcqRel) {
            self.look_for_occupants(cx, &mut locked).await?;
        }
        if is_of_older_session(cx, jid, actor, &input) {
            return Ok(Reply::Later);
        }
        let is_new = locked.room.is_none();
        if is_new && let Some(reply) = self.make(cx, jid, actor, &input, &mut locked).await? {
            return Ok(reply);
        }
        let now = Moment { at: cx.server.clock.now(), token: random_id() };
        // Taken out: if something panics here, what is half done is not used again.
        let Some(mut room) = locked.take() else { return Ok(Reply::Later) };
        let before = room.before(actor, &input);
        let effects = match room.apply(&now, actor, input) {
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
        self.finish(cx, locked, room, actor, (before, effects)).await
    }

    /// There is no such room. Whoever enters makes it; all others are answered.
    async fn make(
        &self,
        cx: &mut Cx<'_>,
        jid: &BareJid,
        actor: &Actor,
        input: &Input<'_>,
        locked: &mut Locked,
    ) -> Result<Option<Reply>, StanzaError> {
        match input {
            Input::Presence(presence) if presence.kind == PresenceKind::Available => {
                if !presence.enters_room() {
                    return Ok(Some(self.no_room(cx, actor, presence).await));
                }
                self.may_create(cx, actor).await?;
                locked.put(self.new_room(cx, jid, actor).await?);
                Ok(None)
            }
            Input::Request(_) => Err(no_room()),
            Input::Message(message) if message.kind != MessageKind::Error => Err(no_room()),
            _ => Ok(Some(Reply::Later)),
        }
    }

    /// Does what follows, and puts the room back.
    async fn finish(
        &self,
        cx: &mut Cx<'_>,
        mut locked: Locked,
        mut room: Room,
        actor: &Actor,
        (before, effects): (Option<Before>, Effects),
    ) -> Result<Reply, StanzaError> {
        let changes = effects.change != RoomChange::default();
        let answer = match effects.is_answered_later {
            true => Reply::Later,
            false => Reply::Now(effects.answer.clone()),
        };
        let done = self.perform(cx, &mut room, &locked, effects).await;
        if matches!(done, Ok(false)) {
            locked.end();
            return Ok(answer);
        }
        if done.is_err() {
            match before {
                // The store has not taken the message, so it changes nothing: its sender may send it again.
                Some(before) => room.take_back(before),
                // What was refused has changed the room, and that is not stored. The room is given up, and read again
                // as it is in the store, with all that happened before.
                None if changes => return done.map(|_| answer),
                None => {}
            }
        }
        if room.has_session(&actor.jid) {
            if cx.server.ours(actor.jid.domain()).is_none() {
                self.heard.note(&actor.jid);
            }
            if let Some(session) = cx.origin.session() {
                missed::note_in(session, room.jid());
            }
        }
        locked.put(room);
        done.map(|_| answer)
    }

    /// A room was just read: occupants whose sessions are not there any more leave it. A temporary room that
    /// nobody is in is no more.
    async fn look_for_occupants(
        &self,
        cx: &mut Cx<'_>,
        locked: &mut Locked,
    ) -> Result<(), StanzaError> {
        let Some(mut room) = locked.take() else { return Ok(()) };
        missed::give(cx, &mut room).await?;
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
            is_alive = self.perform(cx, &mut room, locked, effects).await?;
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

    /// Does what a room says. Returns `false` if the room is no more.
    pub(super) async fn perform(
        &self,
        cx: &mut Cx<'_>,
        room: &mut Room,
        locked: &Locked,
        effects: Effects,
    ) -> Result<bool, StanzaError> {
        let mut pending = VecDeque::from([effects]);
        let mut is_alive = true;
        while let Some(effects) = pending.pop_front() {
            let mut lost: Vec<Jid> = Vec::new();
            for effect in effects.list {
                match effect {
                    Effect::Tell(stanza, to) => lost.extend(tell(cx, &stanza, &to).await.lost),
                    Effect::Send(stanza) => cx.outbox.send(read_again(stanza)),
                    Effect::Publish(publication) => {
                        lost.extend(publish(cx, room, *publication).await?);
                    }
                }
            }
            if effects.is_destroyed {
                // While the room is locked: so nobody reads again what is being removed.
                cx.keeping.count_writes(1);
                self.saver.remove(room.jid(), &locked.slot).await?;
                is_alive = false;
            } else {
                self.save(cx, room, locked, effects.change);
            }
            lost.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
            lost.dedup();
            for session in lost.into_iter().filter(|_| is_alive) {
                let now = Moment { at: cx.server.clock.now(), token: random_id() };
                pending.extend(room.apply(&now, &Actor::new(session, false), Input::Lost).ok());
            }
        }
        Ok(is_alive)
    }

    /// Writes what has changed. What a user has asked for is on the disk before that counts as handled; who
    /// comes and goes is written soon.
    fn save(&self, cx: &mut Cx<'_>, room: &Room, locked: &Locked, change: RoomChange) {
        if change == RoomChange::default() {
            return;
        }
        let is_asked = change.settings.is_some()
            || change.subject.is_some()
            || change.extra.is_some()
            || !change.members.is_empty()
            || !change.forget_members.is_empty();
        cx.keeping.count_writes(1);
        let receipt = self.saver.change(room.jid(), &locked.slot, change);
        if is_asked {
            cx.keeping.receipts.push(receipt);
        }
    }

    /// A client believes to be in a room that does not exist.
    async fn no_room(&self, cx: &mut Cx<'_>, actor: &Actor, presence: &Presence) -> Reply {
        if let Some(address) = presence.head.to.as_ref().and_then(Jid::to_full) {
            let told = Arc::new(Stanza::Presence(stray(Affiliation::None, &address)));
            drop(tell(cx, &told, std::slice::from_ref(&actor.jid)).await);
        }
        Reply::Later
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

/// A stanza that the room has made, as if it had been received: only what is received can be read, and those who
/// store and copy messages look into them.
fn read_again(stanza: Stanza) -> Stanza {
    let read = Frame::from_bytes(stanza.to_bytes()).map(Stanza::read);
    match read {
        Ok(Ok(read)) => read,
        Ok(Err(_)) | Err(_) => stanza,
    }
}

pub(super) fn no_room() -> StanzaError {
    Condition::ItemNotFound.text("there is no such room")
}
