//! A service with rooms: its configuration, its rooms in memory, and who may do what.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::Guard;

use super::active::{ActiveRooms, LockedRoom};
use super::saver::Saver;
use super::signs_of_life::SignsOfLife;
use super::{load, settings};
use crate::config::{Config, RoomsConfig};
use crate::host::{Cx, Origin, ServerState};
use crate::jid::{BareJid, Jid};
use crate::muc::{Actor, Room, RoomConfig};
use crate::stanza::{Condition, StanzaError};
use crate::storage::StorageError;

/// A service with rooms.
pub(super) struct RoomService {
    /// The configuration when the server started. Only options that need a restart are read here.
    pub(super) config: RoomsConfig,
    pub(super) rooms: ActiveRooms,
    pub(super) saver: Saver,
    /// When sessions on other servers last sent something.
    pub(super) signs_of_life: SignsOfLife,
}

/// How a service with rooms is configured now. If its section is gone, as it was when the server started.
pub(super) struct ConfigNow<'a> {
    all: Guard<Arc<Config>>,
    at_start: &'a RoomsConfig,
}

impl Deref for ConfigNow<'_> {
    type Target = RoomsConfig;

    fn deref(&self) -> &RoomsConfig {
        self.all.room_service(&self.at_start.prefix).unwrap_or(self.at_start)
    }
}

impl RoomService {
    pub(super) fn new(config: RoomsConfig) -> Self {
        let (rooms, saver, signs_of_life) =
            (ActiveRooms::default(), Saver::default(), SignsOfLife::default());
        Self { config, rooms, saver, signs_of_life }
    }

    /// As it is configured now.
    pub(super) fn config(&self, server: &ServerState) -> ConfigNow<'_> {
        ConfigNow { all: server.config.load(), at_start: &self.config }
    }

    /// Who has sent a stanza. The server itself may do what administrators may do.
    pub(super) async fn actor(
        &self,
        cx: &Cx<'_>,
        from: &Option<Jid>,
    ) -> Result<Actor, StanzaError> {
        let from = from.clone().ok_or(Condition::BadRequest)?;
        let is_server = matches!(cx.origin, Origin::Internal) && from.local().is_none();
        let is_admin = is_server || {
            let user = from.to_bare();
            self.config(cx.server).admins.contains(&user) || cx.is_of_admin().await?
        };
        let is_program = matches!(cx.origin, Origin::Client(session) if session.is_unlisted());
        Ok(Actor { is_program, ..Actor::new(from, is_admin) })
    }

    /// Locks a room, and reads it if it is not in memory.
    pub(super) async fn lock(
        &self,
        server: &ServerState,
        room: &BareJid,
    ) -> Result<LockedRoom, StorageError> {
        let mut locked = self.rooms.lock(room).await;
        let limits = settings::limits(&self.config(server));
        if let Some(room) = &mut *locked.room {
            // The configuration may have been reloaded.
            room.set_limits(limits);
        } else {
            // Something has failed while it changed: the store must have all that was changed before.
            locked.begin_to_read();
            self.saver.flush(room, &locked.slot).await?;
            match load::load(server, room, limits).await? {
                Some(read) => {
                    locked.slot.is_fresh.store(true, Ordering::Release);
                    locked.put(read);
                }
                None => locked.end(),
            }
        }
        Ok(locked)
    }

    /// Whether somebody may create rooms (XEP-0045 §10.1.1).
    pub(super) async fn may_create(&self, cx: &Cx<'_>, actor: &Actor) -> Result<(), StanzaError> {
        let may = actor.is_service_admin
            || settings::may_create(cx, &self.config(cx.server), &actor.user).await?;
        match may {
            true => Ok(()),
            false => Err(Condition::NotAllowed.text("you may not make rooms here")),
        }
    }

    pub(super) async fn new_room(
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

    pub(super) async fn store_new(
        &self,
        cx: &Cx<'_>,
        jid: &BareJid,
        room: &Room,
    ) -> Result<(), StanzaError> {
        let config = self.config(cx.server);
        // Two that are made at the same moment may both find the last place free.
        if cx.server.storage.rooms().count(jid.domain(), false).await? >= u64::from(config.rooms) {
            return Err(Condition::ResourceConstraint.text("there are too many rooms here"));
        }
        let most = u64::from(config.rooms_per_user);
        match cx.server.storage.rooms().create(jid, &room.to_stored(), most).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Condition::Conflict.text("this address is taken")),
            Err(StorageError::Limit(_)) => {
                Err(Condition::ResourceConstraint.text("you have made too many rooms"))
            }
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::modules::muc::fixtures::{coven, room, service};

    #[tokio::test]
    async fn a_room_that_was_given_up_is_read_when_it_is_needed() {
        let (server, service) = service();
        let stored = server.storage.rooms().create(&coven(), &room().to_stored(), 9).await;
        assert!(stored.unwrap());
        for _ in 0..2 {
            let mut locked = service.lock(&server, &coven()).await.unwrap();
            let there = locked.take().unwrap();
            assert_eq!((there.config().name.as_str(), there.occupants()), ("Coven", 0));
            locked.put(there);
            drop(locked);
            service.rooms.give_up_empty();
            assert_eq!(service.rooms.count(), (0, 0));
        }
    }
}
