//! Rooms in memory.

use std::mem::take;

use async_trait::async_trait;

use super::state::State;
use super::storage::MemoryStorage;
use crate::jid::BareJid;
use crate::storage::room::ROOMS_OF_CREATOR;
use crate::storage::usage::Room;
use crate::storage::{
    Result, RoomAffiliation, RoomChange, RoomMember, RoomOccupant, RoomQuery, RoomStore,
    RoomSummary, StorageError, StoredRoom,
};

#[async_trait]
impl RoomStore for MemoryStorage {
    async fn create(&self, room: &BareJid, new: &StoredRoom, max_of_creator: u64) -> Result<bool> {
        let mut state = self.state()?;
        let old = state.owners.get(room);
        if old.is_some_and(|old| old.account.is_some() || old.group_chat.is_some()) {
            return Ok(false);
        }
        let is_own = |(jid, other): &(&BareJid, &StoredRoom)| {
            jid.domain() == room.domain() && other.creator == new.creator
        };
        if state.rooms().filter(is_own).count() as u64 >= max_of_creator {
            return Err(StorageError::Limit(ROOMS_OF_CREATOR));
        }
        let mut stored = new.clone();
        let (members, occupants) = (take(&mut stored.members), take(&mut stored.occupants));
        stored.put(members, occupants);
        state.remove(room);
        let owner = state.owner(room);
        owner.group_chat = Some(stored);
        owner.quota = Some(u64::MAX);
        owner.room = Room::first(owner.quota, u64::MAX);
        Ok(true)
    }

    async fn load(&self, room: &BareJid) -> Result<Option<StoredRoom>> {
        Ok(self.state()?.owners.get(room).and_then(|owner| owner.group_chat.clone()))
    }

    async fn change(&self, room: &BareJid, change: RoomChange) -> Result<bool> {
        let mut state = self.state()?;
        let owner = state.owners.get_mut(room);
        let Some(stored) = owner.and_then(|owner| owner.group_chat.as_mut()) else {
            return Ok(false);
        };
        stored.settings = change.settings.unwrap_or_else(|| stored.settings.clone());
        stored.subject = change.subject.unwrap_or_else(|| stored.subject.clone());
        stored.extra = change.extra.unwrap_or_else(|| stored.extra.clone());
        stored.members.retain(|member| !change.forget_members.contains(&member.jid));
        stored.occupants.retain(|occupant| !change.gone.contains(&occupant.session));
        stored.put(change.members, change.occupants);
        Ok(true)
    }

    async fn remove(&self, room: &BareJid) -> Result<bool> {
        let mut state = self.state()?;
        if state.owners.get(room).is_none_or(|owner| owner.group_chat.is_none()) {
            return Ok(false);
        }
        Ok(state.remove(room).is_some())
    }

    async fn list(&self, query: RoomQuery<'_>) -> Result<Vec<RoomSummary>> {
        let state = self.state()?;
        let (words, end) = (query.words(), query.end());
        let is_wanted = |(jid, room): &(&BareJid, &StoredRoom)| {
            let searched = || room.settings.searched(jid);
            jid.domain() == query.domain
                && (room.settings.is_public || !query.public_only)
                && query.after.is_none_or(|after| *jid > after)
                && end.flatten().is_none_or(|end| *jid < end)
                && (words.is_empty() || words.iter().all(|word| searched().contains(word)))
        };
        let found: Vec<_> = state.rooms().filter(is_wanted).collect();
        let more = found.len().saturating_sub(query.limit);
        let page = if end.is_some() { &found[more..] } else { &found[..found.len() - more] };
        Ok(page.iter().map(|(jid, room)| summary(jid, room)).collect())
    }

    async fn count(&self, domain: &str, public_only: bool) -> Result<u64> {
        let state = self.state()?;
        let rooms = state.rooms().filter(|(jid, _)| jid.domain() == domain);
        Ok(rooms.filter(|(_, room)| room.settings.is_public || !public_only).count() as u64)
    }

    async fn occupied(&self, after: Option<&BareJid>, limit: usize) -> Result<Vec<BareJid>> {
        let state = self.state()?;
        let rooms = state.rooms().filter(|(_, room)| room.is_awake()).map(|(jid, _)| jid);
        let rooms = rooms.filter(|jid| after.is_none_or(|after| *jid > after));
        Ok(rooms.take(limit).cloned().collect())
    }

    async fn mentioning(
        &self,
        domain: &str,
        text: &str,
        after: Option<&BareJid>,
        limit: usize,
    ) -> Result<Vec<BareJid>> {
        let state = self.state()?;
        let rooms = state.rooms().filter(|(jid, room)| {
            jid.domain() == domain
                && after.is_none_or(|after| *jid > after)
                && room.extra.as_ref().is_some_and(|extra| extra.contains(text))
        });
        Ok(rooms.take(limit).map(|(jid, _)| jid.clone()).collect())
    }

    async fn rooms_of(
        &self,
        user: &BareJid,
        after: Option<&BareJid>,
        limit: usize,
    ) -> Result<Vec<(BareJid, RoomMember)>> {
        let state = self.state()?;
        let rooms = state.rooms().filter(|(jid, _)| after.is_none_or(|after| *jid > after));
        let own = rooms.filter_map(|(jid, room)| {
            let mut members = room.members.iter();
            let member = members.find(|member| member.jid == *user)?;
            let is_affiliated = member.affiliation != RoomAffiliation::None;
            is_affiliated.then(|| (jid.clone(), member.clone()))
        });
        Ok(own.take(limit).collect())
    }
}

impl State {
    /// All rooms, in the order of their addresses.
    fn rooms(&self) -> impl Iterator<Item = (&BareJid, &StoredRoom)> {
        self.owners.iter().filter_map(|(jid, owner)| Some((jid, owner.group_chat.as_ref()?)))
    }
}

impl StoredRoom {
    /// Each takes the place of the one with the same address.
    fn put(&mut self, members: Vec<RoomMember>, occupants: Vec<RoomOccupant>) {
        for new in members {
            match self.members.binary_search_by(|member| member.jid.cmp(&new.jid)) {
                Ok(at) => self.members[at] = new,
                Err(at) => self.members.insert(at, new),
            }
        }
        for new in occupants {
            match self.occupants.binary_search_by(|occupant| occupant.session.cmp(&new.session)) {
                Ok(at) => self.occupants[at] = new,
                Err(at) => self.occupants.insert(at, new),
            }
        }
    }
}

fn summary(jid: &BareJid, room: &StoredRoom) -> RoomSummary {
    RoomSummary {
        room: jid.clone(),
        name: room.settings.name.clone(),
        description: room.settings.description.clone(),
        language: room.settings.language.clone(),
        is_public: room.settings.is_public,
        is_persistent: room.settings.is_persistent,
        created: room.created,
        creator: room.creator.clone(),
    }
}
