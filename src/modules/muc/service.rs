//! A service with rooms: what comes to it, and how it reaches a room.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;

use super::active::{ActiveRooms, Locked};
use super::deliver::tell;
use super::heard::Heard;
use super::publish::publish;
use super::saver::Saver;
use super::{archive, comings, disco, load, search, settings, unique, wake};
use crate::config::RoomsConfig;
use crate::host::{
    Asked, Cx, Discovery, Halt, Origin, Reply, Route, ServerState, Service, ServiceDomain,
    refuse_presence,
};
use crate::jid::{BareJid, Jid};
use crate::muc::{Actor, Affiliation, Effect, Effects, Input, Moment, Room, RoomConfig, stray};
use crate::ns;
use crate::payload::disco::{Identity, Info, ItemPage};
use crate::payload::result_set::SetRequest;
use crate::random::random_id;
use crate::stanza::{
    Condition, Iq, IqKind, Message, MessageKind, Presence, PresenceKind, Stanza, StanzaError,
};
use crate::storage::{RoomChange, StorageError};

/// A service with rooms.
pub(super) struct RoomService {
    /// As it was configured when the server started. Only what changes by a restart is read here.
    config: RoomsConfig,
    pub(super) rooms: ActiveRooms,
    pub(super) saver: Saver,
    /// When sessions on other servers were heard of.
    pub(super) heard: Heard,
}

impl RoomService {
    pub(super) fn new(config: RoomsConfig) -> Self {
        let (rooms, saver, heard) = (ActiveRooms::default(), Saver::default(), Heard::default());
        Self { config, rooms, saver, heard }
    }

    /// As it is configured now.
    pub(super) fn config(&self, server: &ServerState) -> RoomsConfig {
        let now = server.config.load();
        now.room_service(&self.config.prefix).unwrap_or(&self.config).clone()
    }

    /// Who has sent a stanza. The server itself may do what administrators may do.
    async fn actor(&self, cx: &Cx<'_>, from: &Option<Jid>) -> Result<Actor, StanzaError> {
        let from = from.clone().ok_or(Condition::BadRequest)?;
        let is_server = matches!(cx.origin, Origin::Internal) && from.local().is_none();
        let is_admin = is_server || {
            let user = from.to_bare();
            let config = cx.server.config.load();
            let own = config.room_service(&self.config.prefix).unwrap_or(&self.config);
            own.admins.contains(&user) || cx.is_of_admin().await?
        };
        Ok(Actor::new(from, is_admin))
    }

    /// Locks a room, and reads it if it is not in memory.
    pub(super) async fn lock(
        &self,
        server: &ServerState,
        room: &BareJid,
    ) -> Result<Locked, StorageError> {
        let mut locked = self.rooms.lock(room).await;
        if locked.room.is_none() {
            *locked.room = load::load(self, server, room).await?;
            locked.slot.is_fresh.store(locked.room.is_some(), Ordering::Release);
        }
        Ok(locked)
    }

    /// Tells a room of what has happened, and does what follows. Returns what the room answers: `None` if
    /// somebody else answers later.
    async fn happens(
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
        if let (Input::Presence(_), Some(session)) = (&input, cx.origin.owned()) {
            // A newcomer is told much at once: not before its client has read what came before.
            let most = cx.server.config.load().limits.inbox_stanzas / 4;
            session.mailbox().wait_for_capacity(most).await;
        }
        let mut locked = self.lock(cx.server, jid).await?;
        if locked.slot.is_fresh.swap(false, Ordering::AcqRel) {
            self.look_for_occupants(cx, &mut locked).await?;
        }
        let is_new = locked.room.is_none();
        if is_new {
            match &input {
                Input::Presence(presence) if presence.kind == PresenceKind::Available => {
                    if !presence.enters_room() {
                        return Ok(self.no_room(cx, actor, presence).await);
                    }
                    self.may_create(cx, actor).await?;
                    *locked.room = Some(self.new_room(cx, jid, actor).await?);
                }
                Input::Presence(_) | Input::Lost | Input::Response(_) => return Ok(Reply::Later),
                _ => return Err(Condition::ItemNotFound.text("there is no such room")),
            }
        }
        let now = Moment { at: cx.server.clock.now(), token: random_id() };
        // Taken out: if something panics here, what is half done is not used again.
        let Some(mut room) = locked.room.take() else { return Ok(Reply::Later) };
        let effects = match room.apply(&now, actor, input) {
            Ok(effects) => effects,
            Err(error) => {
                *locked.room = (!is_new).then_some(room);
                return Err(error);
            }
        };
        if is_new {
            self.store_new(cx, jid, &room).await?;
        }
        let answer = match effects.is_answered_later {
            true => Reply::Later,
            false => Reply::Now(effects.answer.clone()),
        };
        let is_alive = self.perform(cx, &mut room, &locked, effects).await?;
        if is_alive {
            if cx.server.ours(actor.jid.domain()).is_none() && room.has_session(&actor.jid) {
                self.heard.note(&actor.jid);
            }
            *locked.room = Some(room);
        }
        Ok(answer)
    }

    /// A room was just read: occupants whose sessions are not there any more leave it. A temporary room that
    /// nobody is in is no more.
    async fn look_for_occupants(
        &self,
        cx: &mut Cx<'_>,
        locked: &mut Locked,
    ) -> Result<(), StanzaError> {
        let Some(mut room) = locked.room.take() else { return Ok(()) };
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
            *locked.room = Some(room);
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
        let mut pending = std::collections::VecDeque::from([effects]);
        let mut is_alive = true;
        while let Some(effects) = pending.pop_front() {
            let mut lost: Vec<Jid> = Vec::new();
            for effect in effects.list {
                match effect {
                    Effect::Tell(stanza, to) => lost.extend(tell(cx, &stanza, &to).await.lost),
                    Effect::Send(stanza) => cx.outbox.send(stanza),
                    Effect::Publish(publication) => {
                        lost.extend(publish(cx, room, *publication).await?);
                    }
                }
            }
            self.save(cx, room, locked, effects.change, effects.is_destroyed);
            is_alive &= !effects.is_destroyed;
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
    fn save(
        &self,
        cx: &mut Cx<'_>,
        room: &Room,
        locked: &Locked,
        change: RoomChange,
        is_destroyed: bool,
    ) {
        if is_destroyed {
            cx.keeping.count_writes(1);
            cx.keeping.receipts.push(self.saver.remove(room.jid(), &locked.slot));
            return;
        }
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

    /// Whether somebody may make rooms (XEP-0045 §10.1.1).
    async fn may_create(&self, cx: &Cx<'_>, actor: &Actor) -> Result<(), StanzaError> {
        let may = actor.is_service_admin
            || settings::may_create(cx, &self.config(cx.server), &actor.user).await?;
        match may {
            true => Ok(()),
            false => Err(Condition::NotAllowed.text("you may not make rooms here")),
        }
    }

    async fn new_room(
        &self,
        cx: &Cx<'_>,
        jid: &BareJid,
        actor: &Actor,
    ) -> Result<Room, StanzaError> {
        let secret = cx.server.storage.accounts().secret().await?;
        let own = self.config(cx.server);
        let config = RoomConfig { locked: true, ..settings::new_room(&own) };
        let (limits, at) = (settings::limits(&own), cx.server.clock.now());
        Ok(Room::new(jid.clone(), actor.user.clone(), config, limits, secret, at))
    }

    async fn store_new(&self, cx: &Cx<'_>, jid: &BareJid, room: &Room) -> Result<(), StanzaError> {
        let most = u64::from(self.config(cx.server).rooms_per_user);
        match cx.server.storage.rooms().create(jid, &room.to_stored(), most).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Condition::Conflict.text("this address is taken")),
            Err(StorageError::Limit(_)) => {
                Err(Condition::ResourceConstraint.text("you have made too many rooms"))
            }
            Err(error) => Err(error.into()),
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

/// The room to which a stanza is addressed.
fn room_of(to: &Option<Jid>) -> Option<BareJid> {
    to.as_ref().filter(|to| to.local().is_some()).map(Jid::to_bare)
}

#[async_trait]
impl Service for RoomService {
    fn prefix(&self) -> &str {
        &self.config.prefix
    }

    fn identity(&self) -> Identity {
        settings::identity(&self.config)
    }

    fn disco_features(&self) -> &'static [&'static str] {
        disco::FEATURES
    }

    fn start(&self, server: &Arc<ServerState>, route: &Arc<dyn Route>) {
        self.saver.start(server);
        wake::start(server, route, &self.config.prefix);
    }

    async fn message(
        &self,
        cx: &mut Cx<'_>,
        _: &ServiceDomain,
        message: Message,
    ) -> Result<(), Halt> {
        let Some(room) = room_of(&message.head.to) else {
            return match message.kind {
                MessageKind::Error => Err(Halt::Drop("an error to a service")),
                _ => Err(Condition::ServiceUnavailable.into()),
            };
        };
        let actor = self.actor(cx, &message.head.from).await?;
        self.happens(cx, &room, &actor, Input::Message(message)).await?;
        Ok(())
    }

    async fn presence(
        &self,
        cx: &mut Cx<'_>,
        _: &ServiceDomain,
        presence: Presence,
    ) -> Result<(), Halt> {
        let Some(room) = room_of(&presence.head.to) else {
            return Err(refuse_presence(&presence));
        };
        if presence.kind.is_subscription() {
            return Err(refuse_presence(&presence));
        }
        let actor = self.actor(cx, &presence.head.from).await?;
        // Unavailable presence by which a session becomes unavailable to all comes from the server on its behalf.
        let session = cx.origin.session();
        let was_in = match session {
            Some(session) => comings::is_in(&self.rooms, &room, session).await,
            None => false,
        };
        self.happens(cx, &room, &actor, Input::Presence(presence)).await?;
        if let Some(session) = session {
            comings::tell(cx, &self.rooms, &room, session, was_in).await;
        }
        Ok(())
    }

    async fn request(
        &self,
        cx: &mut Cx<'_>,
        at: &ServiceDomain,
        request: &Iq,
    ) -> Result<Reply, StanzaError> {
        let Some(room) = room_of(&request.head.to) else {
            return self.request_to_service(cx, at, request).await;
        };
        let actor = self.actor(cx, &request.head.from).await?;
        let payload = request.payload().ok_or(Condition::BadRequest)?;
        if payload.ns() == ns::MAM && request.head.to.as_ref().is_some_and(Jid::is_bare) {
            let answer = archive::answer(self, cx, &room, &actor, request).await;
            return answer.map(Reply::Now).map_err(|error| error.by(&room));
        }
        let known = cx.keeping.receipts.len();
        let answer = self.happens(cx, &room, &actor, Input::Request(request)).await?;
        // What was asked for is on the disk before that is said.
        for receipt in cx.keeping.receipts.drain(known..) {
            receipt.await?;
        }
        Ok(answer)
    }

    async fn response(&self, cx: &mut Cx<'_>, _: &ServiceDomain, response: Iq) -> Result<(), Halt> {
        let Some(room) = room_of(&response.head.to) else {
            return Err(Halt::Drop("an answer to a service that has sent no request"));
        };
        let actor = self.actor(cx, &response.head.from).await?;
        self.happens(cx, &room, &actor, Input::Response(response)).await?;
        Ok(())
    }
}

impl RoomService {
    /// A request to the service itself.
    async fn request_to_service(
        &self,
        cx: &mut Cx<'_>,
        at: &ServiceDomain,
        request: &Iq,
    ) -> Result<Reply, StanzaError> {
        let payload = request.payload().ok_or(Condition::BadRequest)?;
        match (request.kind, payload.ns(), payload.name()) {
            (IqKind::Get, search::NS, "search") => {
                let known = |room: &BareJid| self.rooms.look(room, search::Seen::of);
                let domain = at.jid.to_bare();
                Ok(Reply::Now(search::answer(cx, &domain, &payload, &known).await?))
            }
            (IqKind::Get, unique::NS, "unique") => {
                let actor = self.actor(cx, &request.head.from).await?;
                self.may_create(cx, &actor).await?;
                Ok(Reply::Now(Some(unique::answer())))
            }
            _ => Err(Condition::ServiceUnavailable.into()),
        }
    }
}

#[async_trait]
impl Discovery for RoomService {
    async fn info(&self, cx: &Cx<'_>, asked: Asked<'_>) -> Result<Option<Info>, StanzaError> {
        if asked.to.local().is_none() {
            return Ok(None);
        }
        let actor = self.actor(cx, &Some(asked.from.clone())).await?;
        let locked = self.lock(cx.server, &asked.to.to_bare()).await?;
        match &*locked.room {
            Some(room) => room.info(cx.server.clock.now(), &actor, asked.node),
            None => Ok(None),
        }
    }

    async fn page(
        &self,
        cx: &Cx<'_>,
        asked: Asked<'_>,
        wanted: Option<&SetRequest>,
    ) -> Result<Option<ItemPage>, StanzaError> {
        let actor = self.actor(cx, &Some(asked.from.clone())).await?;
        if asked.to.local().is_none() {
            if asked.node.is_some() {
                return Ok(None);
            }
            let domain = asked.to.to_bare();
            let is_admin = actor.is_service_admin;
            return disco::rooms(cx, &domain, asked.from, is_admin, wanted).await.map(Some);
        }
        let locked = self.lock(cx.server, &asked.to.to_bare()).await?;
        let items = locked.room.as_ref().and_then(|room| room.items(&actor, asked.node));
        Ok(items.map(ItemPage::from))
    }
}
