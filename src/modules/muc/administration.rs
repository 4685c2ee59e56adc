//! Rooms for the administrator's commands (`waxwing room …`). What changes a room is a request of its host to the room,
//! which an owner could send as well (XEP-0045 §9, §10): so occupants are told, and the store has it when the answer
//! comes. What is only read comes from the store and from the rooms in memory.

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;

use super::refused::Refused;
use super::room_service::RoomService;
use super::services::Services;
use super::settings::{self, PAGE};
use crate::host::rooms::{
    OccupantRow, RoomAdministration, RoomCount, RoomError, RoomFacts, RoomRow,
};
use crate::host::{RequestError, ServerState};
use crate::jid::{BareJid, Jid};
use crate::muc::{Room, RoomConfig};
use crate::ns;
use crate::payload::data_form::{FORM_TYPE, Field, FieldKind, Form, FormKind};
use crate::stanza::{Condition, IqKind, Stanza};
use crate::storage::{RoomAffiliation, RoomMember, RoomQuery, RoomSummary, StorageError};
use crate::xml::{Frame, Node, element};

/// All rooms of this server. It does not keep the server alive.
pub(super) struct Administration {
    server: Weak<ServerState>,
    services: Services,
}

/// Where a room is, if there is such a room.
struct Place {
    server: Arc<ServerState>,
    service: Arc<RoomService>,
    /// The host to which the service belongs. Rooms do what it says.
    host: Jid,
}

impl Administration {
    pub(super) fn new(server: &Arc<ServerState>, services: Services) -> Self {
        Self { server: Arc::downgrade(server), services }
    }

    fn server(&self) -> Result<Arc<ServerState>, RoomError> {
        Ok(self.server.upgrade().ok_or_else(StorageError::closed)?)
    }

    fn place(&self, room: &BareJid) -> Result<Place, RoomError> {
        let server = self.server()?;
        let found = self.services.at(&server, room.domain()).filter(|_| room.local().is_some());
        let (service, host) = found.ok_or_else(|| RoomError::NoService(room.clone()))?;
        let (service, host) = (Arc::clone(service), host.jid.clone());
        Ok(Place { server, service, host })
    }
}

impl Place {
    /// Looks at a room. It is read if it is not in memory.
    async fn look<T>(
        &self,
        room: &BareJid,
        look: impl FnOnce(&Room) -> T + Send,
    ) -> Result<T, RoomError> {
        let locked = self.service.lock(&self.server, room).await?;
        locked.room.as_ref().map(look).ok_or_else(|| RoomError::NoRoom(room.clone()))
    }

    /// Sends a request to a room that exists, and waits for the answer.
    async fn ask(&self, room: &BareJid, payload: Node) -> Result<(), Refused> {
        let to = room.clone().into_jid();
        let request = self.server.request(self.host.clone(), to, IqKind::Set, payload);
        let (request, answer) = request.map_err(Refused::of)?;
        let route = self.server.route().ok_or(Refused::of(RequestError::Timeout))?;
        // What the server itself has made is read like what others have sent.
        let read = Frame::from_bytes(request.to_bytes()).map(Stanza::read);
        let Ok(Ok(request)) = read else { return Err(Refused::unreadable()) };
        route.route(request).await;
        answer.within(PATIENCE).await.map(drop).map_err(Refused::of)
    }
}

#[async_trait]
impl RoomAdministration for Administration {
    fn domains(&self) -> Vec<String> {
        let Some(server) = self.server.upgrade() else { return Vec::new() };
        self.services.domains(&server).iter().map(|(_, domain)| (*domain).to_owned()).collect()
    }

    async fn list(&self, domain: &str, all: bool) -> Result<Vec<RoomRow>, RoomError> {
        let server = self.server()?;
        let Some((service, _)) = self.services.at(&server, domain) else { return Ok(Vec::new()) };
        let mut rows = Vec::new();
        let mut after: Option<BareJid> = None;
        loop {
            let query = RoomQuery {
                domain,
                public_only: !all,
                text: None,
                after: after.as_ref(),
                before: None,
                limit: PAGE,
            };
            let page = server.storage.rooms().list(query).await?;
            let Some(last) = page.last().map(|room| room.room.clone()) else { return Ok(rows) };
            for room in page {
                let occupants = service.rooms.look_when_idle(&room.room, Room::occupants).await;
                rows.push(row(room, occupants.unwrap_or_default()));
            }
            after = Some(last);
        }
    }

    async fn show(&self, room: &BareJid) -> Result<RoomFacts, RoomError> {
        self.place(room)?.look(room, facts).await
    }

    async fn count(&self, domain: &str) -> Result<RoomCount, RoomError> {
        let server = self.server()?;
        let Some((service, _)) = self.services.at(&server, domain) else {
            return Ok(RoomCount::default());
        };
        let (in_memory, occupants) = service.rooms.count_of(domain);
        let stored = server.storage.rooms().count(domain, false).await?;
        Ok(RoomCount { stored, in_memory, occupants })
    }

    async fn create(&self, room: &BareJid, owner: &BareJid, force: bool) -> Result<(), RoomError> {
        let Place { server, service, .. } = self.place(room)?;
        let mut locked = service.lock(&server, room).await?;
        if locked.room.is_some() {
            return Err(RoomError::Exists(room.clone()));
        }
        let own = service.config(&server);
        let count = server.storage.rooms().count(room.domain(), false).await?;
        if count >= u64::from(own.rooms) && !force {
            return Err(RoomError::TooMany(room.domain().to_owned(), count));
        }
        let config = RoomConfig { is_persistent: true, ..settings::new_room(&own) };
        let secret = server.storage.accounts().secret().await?;
        let (limits, at) = (settings::limits(&own), server.clock.now());
        let new = Room::new(room.clone(), owner.clone(), config, limits, secret, at);
        if !server.storage.rooms().create(room, &new.to_stored(), NO_LIMIT).await? {
            return Err(RoomError::Exists(room.clone()));
        }
        locked.put(new);
        Ok(())
    }

    async fn destroy(
        &self,
        room: &BareJid,
        reason: Option<&str>,
        alternative: Option<&BareJid>,
    ) -> Result<usize, RoomError> {
        let place = self.place(room)?;
        let occupants = place.look(room, Room::occupants).await?;
        let destroy = element("destroy").maybe_attr("jid", alternative.map(|room| room.as_str()));
        let destroy = with_reason(destroy, reason);
        place.ask(room, element("query").ns(ns::MUC_OWNER).child(destroy)).await?;
        Ok(occupants)
    }

    async fn set(&self, room: &BareJid, field: &str, values: &[String]) -> Result<(), RoomError> {
        let place = self.place(room)?;
        // A room ignores fields that it does not know (XEP-0004 §3.2).
        let is_known = |room: &Room| {
            let form = room.configuration_form();
            field != FORM_TYPE && form.fields().iter().any(|known| known.var() == Some(field))
        };
        if !place.look(room, is_known).await? {
            return Err(RoomError::Refused(format!("it has no setting `{field}`")));
        }
        let field = Field::new(field, FieldKind::TextMulti).values(values.to_vec());
        let form = Form::new(FormKind::Submit).form_type(ns::MUC_ROOMCONFIG).field(field);
        let query = element("query").ns(ns::MUC_OWNER).child(form.to_node());
        Ok(place.ask(room, query).await?)
    }

    async fn set_affiliation(
        &self,
        room: &BareJid,
        user: &BareJid,
        affiliation: RoomAffiliation,
        reason: Option<&str>,
    ) -> Result<(), RoomError> {
        let place = self.place(room)?;
        place.look(room, |_| ()).await?;
        let item = element("item").attr("jid", user.as_str());
        let item = with_reason(item.attr("affiliation", affiliation.as_str()), reason);
        Ok(place.ask(room, element("query").ns(ns::MUC_ADMIN).child(item)).await?)
    }

    async fn members(
        &self,
        room: &BareJid,
        affiliation: Option<RoomAffiliation>,
    ) -> Result<Vec<RoomMember>, RoomError> {
        let server = self.place(room)?.server;
        let stored = server.storage.rooms().load(room).await?;
        let mut members = stored.ok_or_else(|| RoomError::NoRoom(room.clone()))?.members;
        members.retain(|member| match affiliation {
            Some(wanted) => member.affiliation == wanted,
            None => member.affiliation != RoomAffiliation::None,
        });
        Ok(members)
    }

    async fn occupants(&self, room: &BareJid) -> Result<Vec<OccupantRow>, RoomError> {
        let occupants = self.place(room)?.look(room, Room::occupant_list).await?.into_iter();
        let row = occupants.map(|occupant| OccupantRow {
            nick: occupant.nick.to_string(),
            sessions: occupant.sessions,
            role: occupant.role.as_str(),
            affiliation: occupant.affiliation,
        });
        Ok(row.collect())
    }

    async fn kick(
        &self,
        room: &BareJid,
        nick: &str,
        reason: Option<&str>,
    ) -> Result<(), RoomError> {
        let place = self.place(room)?;
        place.look(room, |_| ()).await?;
        let item = with_reason(element("item").attr("nick", nick).attr("role", "none"), reason);
        let asked = place.ask(room, element("query").ns(ns::MUC_ADMIN).child(item)).await;
        asked.map_err(|refused| match refused.condition {
            Some(Condition::ItemNotFound) => RoomError::NoOccupant(room.clone(), nick.to_owned()),
            _ => refused.into(),
        })
    }
}

fn with_reason(node: Node, reason: Option<&str>) -> Node {
    node.children(reason.map(|reason| element("reason").text(reason)))
}

fn row(room: RoomSummary, occupants: usize) -> RoomRow {
    RoomRow {
        room: room.room,
        name: room.name,
        occupants,
        is_public: room.is_public,
        is_persistent: room.is_persistent,
        created: room.created,
    }
}

fn facts(room: &Room) -> RoomFacts {
    let config = room.config();
    let row = RoomRow {
        room: room.jid().clone(),
        name: config.name.clone(),
        occupants: room.occupants(),
        is_public: config.is_public,
        is_persistent: config.is_persistent,
        created: room.created(),
    };
    let listed = [
        RoomAffiliation::Owner,
        RoomAffiliation::Admin,
        RoomAffiliation::Member,
        RoomAffiliation::Outcast,
    ];
    RoomFacts {
        row,
        creator: room.creator().clone(),
        subject: room.subject_text(),
        affiliations: listed.map(|affiliation| room.members_with(affiliation).len()),
        settings: room.configuration_form().fields().iter().filter_map(setting).collect(),
    }
}

/// A setting with its values. The password is not shown.
fn setting(field: &Field) -> Option<(String, Vec<String>)> {
    let var = field.var().filter(|var| !matches!(*var, FORM_TYPE | PASSWORD))?;
    Some((var.to_owned(), field.as_values().to_vec()))
}

/// The field with the password of the room (XEP-0045 §16.5.3).
const PASSWORD: &str = "muc#roomconfig_roomsecret";
/// How long a room may take. It answers when its change is on the disk.
const PATIENCE: Duration = Duration::from_secs(30);
/// What an administrator makes does not count for its owner.
const NO_LIMIT: u64 = i64::MAX as u64;
