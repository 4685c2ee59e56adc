//! Rosters in memory.

use async_trait::async_trait;

use super::state::Owner;
use super::storage::MemoryStorage;
use crate::jid::{BareJid, Jid};
use crate::storage::roster::{MAX_REMOVED, first_version};
use crate::storage::{Result, RosterChange, RosterItem, RosterStore, RosterVersion, StorageError};

impl Owner {
    fn raise(&mut self) -> RosterVersion {
        let roster = &mut self.roster;
        if roster.version == 0 {
            roster.version = first_version(self.number);
            roster.since = roster.version;
        } else {
            roster.version += 1;
        }
        roster.version
    }

    fn put(&mut self, default: u64, item: &RosterItem, limit: u32) -> Result<RosterVersion> {
        let roster = &self.roster;
        let is_new = roster.items.get(&item.jid).is_none_or(|(_, old)| item.listed && !old.listed);
        let alike = roster.items.values().filter(|(_, i)| i.listed == item.listed).count();
        if is_new && alike >= limit as usize {
            return Err(StorageError::Limit("roster items"));
        }
        let old = roster.items.get(&item.jid).map_or(0, |(_, old)| old.bytes());
        self.change(default, old, item.bytes(), true)?;
        let version = self.raise();
        self.roster.items.insert(item.jid.clone(), (version, item.clone()));
        if item.listed {
            self.roster.removed.retain(|_, jid| *jid != item.jid);
        }
        Ok(version)
    }

    fn take(&mut self, jid: &Jid) -> Option<RosterVersion> {
        let (_, old) = self.roster.items.remove(jid)?;
        self.room = self.room.freed();
        let version = self.raise();
        let roster = &mut self.roster;
        // No client has seen an item that was not listed.
        if old.listed {
            roster.removed.retain(|_, other| *other != old.jid);
            roster.removed.insert(version, old.jid);
        }
        while roster.removed.len() > MAX_REMOVED {
            roster.since = roster.removed.pop_first().map_or(roster.since, |(version, _)| version);
        }
        Some(version)
    }
}

#[async_trait]
impl RosterStore for MemoryStorage {
    async fn load(&self, owner: &BareJid) -> Result<(RosterVersion, Vec<RosterItem>)> {
        let state = self.state()?;
        let Some(Owner { roster, .. }) = state.owners.get(owner) else {
            return Ok((0, Vec::new()));
        };
        let mut items: Vec<RosterItem> = roster.items.values().map(|(_, i)| i.clone()).collect();
        items.sort_by(|a, b| a.jid.as_str().cmp(b.jid.as_str()));
        Ok((roster.version, items))
    }

    async fn find(&self, owner: &BareJid, jid: &Jid) -> Result<Option<RosterItem>> {
        let state = self.state()?;
        let found = state.owners.get(owner).and_then(|o| o.roster.items.get(jid));
        Ok(found.map(|(_, item)| item.clone()))
    }

    async fn changes(
        &self,
        owner: &BareJid,
        since: RosterVersion,
        limit: usize,
    ) -> Result<(RosterVersion, Option<Vec<RosterChange>>)> {
        let state = self.state()?;
        let Some(Owner { roster, .. }) = state.owners.get(owner) else { return Ok((0, None)) };
        if roster.version == 0 || since < roster.since || since > roster.version {
            return Ok((roster.version, None));
        }
        let items = roster.items.values().filter(|(version, i)| *version > since && i.listed);
        let items = items.map(|(version, item)| (*version, item.jid.clone(), Some(item.clone())));
        let removed = roster.removed.range(since + 1..);
        let removed = removed.map(|(version, jid)| (*version, jid.clone(), None));
        let changes = items.chain(removed);
        let mut changes: Vec<_> =
            changes.map(|(version, jid, item)| RosterChange { version, jid, item }).collect();
        changes.sort_by_key(|change| change.version);
        Ok((roster.version, Some(changes).filter(|changes| changes.len() <= limit)))
    }

    async fn put(&self, owner: &BareJid, item: &RosterItem, limit: u32) -> Result<RosterVersion> {
        let mut state = self.state()?;
        let default = state.default_quota;
        state.owner(owner).put(default, item, limit)
    }

    async fn remove(&self, owner: &BareJid, jid: &Jid) -> Result<Option<RosterVersion>> {
        Ok(self.state()?.owners.get_mut(owner).and_then(|owner| owner.take(jid)))
    }

    async fn replace(
        &self,
        owner: &BareJid,
        jid: &Jid,
        old: Option<&RosterItem>,
        new: Option<&RosterItem>,
        limit: u32,
    ) -> Result<Option<RosterVersion>> {
        let mut state = self.state()?;
        let there = state.owners.get(owner).and_then(|o| o.roster.items.get(jid));
        if there.map(|(_, item)| item) != old {
            return Ok(None);
        }
        match new {
            Some(new) => {
                let default = state.default_quota;
                state.owner(owner).put(default, new, limit).map(Some)
            }
            None => Ok(state.owners.get_mut(owner).and_then(|owner| owner.take(jid))),
        }
    }
}
