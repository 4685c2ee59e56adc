//! Handles the stanzas that come to a service with rooms.

use std::sync::Arc;

use async_trait::async_trait;

use super::archive::{self, Readable};
use super::handle_input::no_room;
use super::room_service::RoomService;
use super::{disco, room_events, search, settings, unique, wake};
use crate::host::{
    Asked, Cx, Discovery, Halt, IqReply, Origin, Reply, Route, ServerState, Service, ServiceDomain,
    refuse_presence,
};
use crate::jid::{BareJid, Jid};
use crate::muc::{Actor, Input, is_answer_to_challenge, is_doubtful};
use crate::ns;
use crate::payload::disco::{Identity, Info, ItemPage};
use crate::payload::result_set::SetRequest;
use crate::stanza::{
    Condition, Iq, IqKind, Message, MessageKind, Presence, PresenceKind, StanzaError,
};

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
        wake::start(server, route, &self.config.prefix, self.rooms.occupied_are_loaded());
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
        let input = match is_refusal(cx, &message) {
            true => Input::Refused(message),
            false => Input::Message(message),
        };
        let is_doubted = matches!(&input, Input::Message(message)
            if message.kind == MessageKind::Error && is_doubtful(&message.content));
        let handled = self.handle_input(cx, &room, &actor, input).await?;
        if is_doubted {
            self.signs_of_life.doubt(&actor.jid);
        }
        handled.done()
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
            Some(session) => room_events::is_in(&self.rooms, &room, session).await,
            None => false,
        };
        let input = match is_of_ended(cx, &presence) {
            true => Input::Ended(presence),
            false => Input::Presence(presence),
        };
        let handled = self.handle_input(cx, &room, &actor, input).await?;
        if let Some(session) = session {
            room_events::tell(cx, &self.rooms, &room, session, was_in).await;
        }
        handled.done()
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
            let answer = self.archive_request(cx, &room, &actor, request).await;
            return answer.map(Reply::Now).map_err(|error| error.by(&room));
        }
        let known = cx.keeping.receipts.len();
        // A correct answer to the question of a room makes the client enter.
        let session = cx.origin.session().filter(|_| is_answer_to_challenge(&payload));
        let was_in = match session {
            Some(session) => room_events::is_in(&self.rooms, &room, session).await,
            None => false,
        };
        let answer = self.handle_input(cx, &room, &actor, Input::Request(request)).await?;
        if let Some(session) = session {
            room_events::tell(cx, &self.rooms, &room, session, was_in).await;
        }
        // What was asked for is on the disk before that is said.
        for receipt in cx.keeping.receipts.drain(known..) {
            receipt.await?;
        }
        Ok(answer.reply())
    }

    async fn response(&self, cx: &mut Cx<'_>, _: &ServiceDomain, response: Iq) -> Result<(), Halt> {
        let Some(room) = room_of(&response.head.to) else {
            return Err(Halt::Drop("an answer to a service that has sent no request"));
        };
        let actor = self.actor(cx, &response.head.from).await?;
        self.handle_input(cx, &room, &actor, Input::Response(response)).await?.done()
    }
}

impl RoomService {
    /// A request to the archive of a room, from a user who may read it.
    async fn archive_request(
        &self,
        cx: &mut Cx<'_>,
        room: &BareJid,
        actor: &Actor,
        request: &Iq,
    ) -> IqReply {
        let readable = {
            let locked = self.lock(cx.server, room).await?;
            let there = locked.room.as_ref();
            let there = there.ok_or_else(no_room)?;
            if !there.config().archive {
                return Err(Condition::ServiceUnavailable.text("this room has no archive"));
            }
            let (since, authors) = (there.may_read_archive(actor)?, there.authors_seen(actor));
            Readable { since, authors }
        };
        archive::answer(cx, room, actor, request, readable).await
    }

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
                let domain = at.jid.to_bare();
                Ok(Reply::Now(search::answer(cx, &domain, &payload, &self.rooms).await?))
            }
            (IqKind::Get, unique::NS, "unique") => {
                let actor = self.actor(cx, &request.head.from).await?;
                // XEP-0307 §2 wants another error than for the room itself.
                let may = self.may_create(cx, &actor).await;
                may.map_err(|_| Condition::Forbidden.text("you may not make rooms here"))?;
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
            Some(room) => {
                let archives = cx.server.config.load().archive.enabled;
                room.info(cx.server.clock.now(), &actor, asked.node, archives)
            }
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
            return disco::rooms(cx, &domain, is_admin, wanted).await.map(Some);
        }
        let locked = self.lock(cx.server, &asked.to.to_bare()).await?;
        let items = locked.room.as_ref().and_then(|room| room.items(&actor, asked.node));
        match items {
            None if asked.node.is_none() => Err(no_room()),
            items => Ok(items.map(ItemPage::from)),
        }
    }
}

/// The room to which a stanza is addressed.
fn room_of(to: &Option<Jid>) -> Option<BareJid> {
    to.as_ref().filter(|to| to.local().is_some()).map(Jid::to_bare)
}

/// Whether this server says that a session of its own, which is there, did not get a message: its user has blocked the
/// sender.
fn is_refusal(cx: &Cx<'_>, message: &Message) -> bool {
    message.kind == MessageKind::Error && is_by_server(cx) && has_session(cx, &message.head.from)
}

/// Whether this server says that a session of its own is unavailable because it has ended.
fn is_of_ended(cx: &Cx<'_>, presence: &Presence) -> bool {
    presence.kind == PresenceKind::Unavailable
        && is_by_server(cx)
        && !has_session(cx, &presence.head.from)
}

fn is_by_server(cx: &Cx<'_>) -> bool {
    matches!(cx.origin, Origin::Internal)
}

fn has_session(cx: &Cx<'_>, from: &Option<Jid>) -> bool {
    let full = from.as_ref().and_then(Jid::to_full);
    full.is_some_and(|full| cx.server.sessions.find(&full).is_some())
}

#[cfg(test)]
mod tests {
    use rustc_hash::FxHashSet;

    use super::*;
    use crate::host::{Keeping, Outbox, Registry};
    use crate::modules::muc::fixtures::{coven, jid, presence, room, service, stanza};
    use crate::stanza::Stanza;

    #[tokio::test(start_paused = true)]
    async fn a_session_of_which_an_error_says_little_is_asked_soon() {
        let (server, service) = service();
        let hag = "hag66@witches.example/pda";
        let mut there = room();
        presence(&mut there, hag, "", "hag");
        service.rooms.lock(&coven()).await.put(there);
        service.signs_of_life.note(&jid(hag));
        let (registry, origin) = (Registry::default(), Origin::Server("witches.example".into()));
        let all: FxHashSet<Jid> = [jid(hag)].into_iter().collect();
        for (condition, is_asked) in [("not-acceptable", false), ("service-unavailable", true)] {
            let error = format!(
                "<message type='error' from='{hag}' to='{}'><error type='cancel'>\
                 <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
                coven()
            );
            let Stanza::Message(error) = stanza(&error) else { unreachable!("it is a message") };
            let (mut outbox, mut keeping) = (Outbox::default(), Keeping::default());
            let mut cx = Cx {
                server: &server,
                registry: &registry,
                host: server.host("localhost").unwrap(),
                origin: &origin,
                outbox: &mut outbox,
                keeping: &mut keeping,
            };
            let done = service.message(&mut cx, &server.services()[0], error).await;
            assert!(!matches!(done, Err(Halt::Bounce(..))), "{condition}");
            assert!(outbox.take().is_none(), "nobody is told anything: {condition}");
            assert_eq!(!service.signs_of_life.silent(&all).is_empty(), is_asked, "{condition}");
        }
    }
}
