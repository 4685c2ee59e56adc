//! Rooms in SQLite.

use async_trait::async_trait;
use sqlx::Connection as _;

use super::change::Change;
use super::database::Database;
use super::remove_owner::purge;
use super::write_tx::{Known, WriteTx};
use crate::jid::BareJid;
use crate::storage::read_scheduler::Requester;
use crate::storage::room::ROOMS_OF_CREATOR;
use crate::storage::sql::{account, owner, room, room_list, room_people};
use crate::storage::usage::Room;
use crate::storage::{
    Result, RoomChange, RoomMember, RoomQuery, RoomStore, RoomSummary, StorageError, StoredRoom,
};

#[async_trait]
impl RoomStore for Database {
    async fn create(&self, room: &BareJid, new: &StoredRoom, max_of_creator: u64) -> Result<bool> {
        // What is in the archive of this address now does not belong to the new room.
        let below = self.writer.newest();
        if self.is_taken(room).await? {
            return Ok(false);
        }
        self.forget_archive(room, below).await?;
        self.writer.write(Create { room: room.clone(), new: new.clone(), max_of_creator }).await
    }

    async fn load(&self, room: &BareJid) -> Result<Option<StoredRoom>> {
        let mut reader = self.reader().await?;
        let mut on = reader.begin().await?;
        room::load(&mut on, room).await
    }

    async fn change(&self, room: &BareJid, change: RoomChange) -> Result<bool> {
        self.writer.write(ChangeRoom { room: room.clone(), change }).await
    }

    async fn remove(&self, room: &BareJid) -> Result<bool> {
        if !room::exists(&mut *self.reader().await?, room).await? {
            return Ok(false);
        }
        self.forget_archive(room, self.writer.newest()).await?;
        self.writer.write(Remove(room.clone())).await
    }

    async fn list(&self, query: RoomQuery<'_>) -> Result<Vec<RoomSummary>> {
        // A search may read all rooms of the domain. There is one at a time for each domain.
        let domain = BareJid::from_parts(None, query.domain).ok().filter(|_| query.has_words());
        let _turn = match &domain {
            Some(domain) => Some(self.turns.take(Requester::Account(domain)).await),
            None => None,
        };
        room_list::list(&mut *self.reader().await?, query).await
    }

    async fn count(&self, domain: &str, public_only: bool) -> Result<u64> {
        room_list::count(&mut *self.reader().await?, domain, public_only).await
    }

    async fn occupied(&self, after: Option<&BareJid>, limit: usize) -> Result<Vec<BareJid>> {
        room_list::occupied(&mut *self.reader().await?, after, limit).await
    }

    async fn mentioning(
        &self,
        domain: &str,
        text: &str,
        after: Option<&BareJid>,
        limit: usize,
    ) -> Result<Vec<BareJid>> {
        room_list::mentioning(&mut *self.reader().await?, domain, text, after, limit).await
    }

    async fn rooms_of(
        &self,
        user: &BareJid,
        after: Option<&BareJid>,
        limit: usize,
    ) -> Result<Vec<(BareJid, RoomMember)>> {
        room_list::rooms_of(&mut *self.reader().await?, user, after, limit).await
    }
}

impl Database {
    /// There is a room or an account of this address.
    async fn is_taken(&self, jid: &BareJid) -> Result<bool> {
        let mut on = self.reader().await?;
        Ok(room::exists(&mut on, jid).await? || account::find(&mut on, jid).await?.is_some())
    }
}

struct Create {
    room: BareJid,
    new: StoredRoom,
    max_of_creator: u64,
}

#[async_trait]
impl Change for Create {
    type Answer = bool;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<bool> {
        let (jid, new) = (&self.room, &self.new);
        let old = on.owner_if_any(jid).await?.map(|known| known.number);
        let connection = on.tx.connection().await?;
        if let Some(old) = old
            && (room::exists(&mut *connection, jid).await?
                || account::exists(&mut *connection, old).await?)
        {
            return Ok(false);
        }
        let count = room_list::of_creator(connection, &new.creator, jid.domain()).await?;
        if count >= self.max_of_creator {
            return Err(StorageError::Limit(ROOMS_OF_CREATOR));
        }
        if let Some(old) = old {
            purge(on, jid, old).await?;
        }
        let known = on.owner(jid).await?;
        let (owner, quota) = (known.number, Some(u64::MAX));
        let connection = on.tx.connection().await?;
        owner::set_quota(&mut *connection, owner, quota).await?;
        room::insert(connection, owner, jid, new).await?;
        room_people::put_members(&mut on.tx, owner, &new.members).await?;
        room_people::put_occupants(&mut on.tx, owner, &new.occupants).await?;
        on.memory.remember(jid, Known { quota, room: Room::first(quota, u64::MAX), ..known });
        Ok(true)
    }
}

struct ChangeRoom {
    room: BareJid,
    change: RoomChange,
}

#[async_trait]
impl Change for ChangeRoom {
    type Answer = bool;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<bool> {
        let (jid, change) = (&self.room, &self.change);
        let Some(known) = on.owner_if_any(jid).await? else { return Ok(false) };
        let owner = known.number;
        let connection = on.tx.connection().await?;
        if !room::exists(&mut *connection, jid).await? {
            return Ok(false);
        }
        if let Some(settings) = &change.settings {
            room::set_settings(&mut *connection, owner, jid, settings).await?;
        }
        if let Some(subject) = &change.subject {
            room::set_subject(&mut *connection, owner, subject.as_deref()).await?;
        }
        if let Some(extra) = &change.extra {
            room::set_extra(&mut *connection, owner, extra.as_deref()).await?;
        }
        room_people::forget_members(&mut on.tx, owner, &change.forget_members).await?;
        room_people::put_members(&mut on.tx, owner, &change.members).await?;
        room_people::remove_occupants(&mut on.tx, owner, &change.gone).await?;
        room_people::put_occupants(&mut on.tx, owner, &change.occupants).await?;
        let is_same = change.gone.is_empty() && change.occupants.is_empty();
        if change.settings.is_some() || !is_same {
            room::notice_occupants(&mut on.tx, owner).await?;
        }
        Ok(true)
    }
}

struct Remove(BareJid);

#[async_trait]
impl Change for Remove {
    type Answer = bool;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<bool> {
        let Some(known) = on.owner_if_any(&self.0).await? else { return Ok(false) };
        if !room::exists(on.tx.connection().await?, &self.0).await? {
            return Ok(false);
        }
        purge(on, &self.0, known.number).await?;
        Ok(true)
    }
}
