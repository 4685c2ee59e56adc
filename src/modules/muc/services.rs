//! The services with rooms, for what happens without a stanza to them.

use std::sync::Arc;

use async_trait::async_trait;

use super::room_service::RoomService;
use crate::host::room_readers::{Readable, RoomReaders};
use crate::host::{Host, OurDomain, ServerState, Service, SharedState};
use crate::jid::{BareJid, Jid};
use crate::muc::{Actor, Room};
use crate::storage;

/// All services with rooms.
#[derive(Clone)]
pub(super) struct Services(pub(super) Arc<[Arc<RoomService>]>);

impl SharedState for Services {}

impl Services {
    /// The service at a domain, with the host below which it is.
    pub(super) fn at<'a>(
        &'a self,
        server: &'a ServerState,
        domain: &str,
    ) -> Option<(&'a Arc<RoomService>, &'a Host)> {
        let Some(OurDomain::Service(at)) = server.ours(domain) else { return None };
        let prefix = at.domain.strip_suffix(at.host.domain.as_str())?.strip_suffix('.')?;
        let service = self.0.iter().find(|service| service.prefix() == prefix)?;
        Some((service, &at.host))
    }

    /// The domains with rooms, in the order of the configuration, host by host.
    pub(super) fn domains<'a>(&self, server: &'a ServerState) -> Vec<(Arc<RoomService>, &'a str)> {
        let domains = server.services().iter().map(|at| at.domain.as_str());
        let found =
            domains.filter_map(|domain| Some((Arc::clone(self.at(server, domain)?.0), domain)));
        found.collect()
    }
}

#[async_trait]
impl RoomReaders for Services {
    async fn readable(
        &self,
        server: &ServerState,
        user: &BareJid,
        room: &BareJid,
    ) -> storage::Result<Option<Readable>> {
        let Some((service, _)) = self.at(server, room.domain()) else { return Ok(None) };
        let locked = service.lock(server, room).await?;
        let actor = Actor::new(user.clone().into_jid(), false);
        let since = locked.room.as_ref().and_then(|room| room.may_read_archive(&actor).ok());
        Ok(since.map(|since| Readable { since }))
    }

    async fn has_session(&self, server: &ServerState, room: &BareJid, session: &Jid) -> bool {
        let Some((service, _)) = self.at(server, room.domain()) else { return false };
        let is_in = |room: &Room| room.has_session(session);
        service.rooms.look_when_idle(room, is_in).await.unwrap_or(false)
    }
}
