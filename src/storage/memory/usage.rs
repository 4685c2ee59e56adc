//! How much an account in memory stores, and whether there is room for more.

use async_trait::async_trait;

use super::pubsub_node::StoredNode;
use super::state::Owner;
use super::storage::MemoryStorage;
use crate::jid::BareJid;
use crate::storage::sender_shares::{SenderShares, Senders};
use crate::storage::usage::{Room, slack};
use crate::storage::{Holder, PushRegistration, Result, StorageError, Usage, UsageStore, Way};

#[async_trait]
impl UsageStore for MemoryStorage {
    async fn used(&self, owner: &BareJid) -> Result<Usage> {
        Ok(self.state()?.owners.get(owner).map(Owner::usage).unwrap_or_default())
    }

    async fn quota(&self, owner: &BareJid) -> Result<Option<u64>> {
        Ok(self.state()?.owners.get(owner).and_then(|owner| owner.quota))
    }

    async fn set_quota(&self, owner: &BareJid, bytes: Option<u64>) -> Result<()> {
        let mut state = self.state()?;
        let owner = state.owner(owner);
        owner.quota = bytes;
        owner.room = Room::Unknown;
        Ok(())
    }

    fn set_default_quota(&self, bytes: u64) {
        if !self.replace_default_quota(bytes) {
            return;
        }
        if let Ok(mut state) = self.state() {
            for owner in state.owners.values_mut() {
                owner.room = Room::first(owner.quota, bytes);
            }
        }
    }
}

impl Owner {
    pub(super) fn usage(&self) -> Usage {
        let mut usage = Usage {
            archive: self.archive.values().map(|row| row.xml.len() as u64).sum(),
            push: self.push.iter().map(PushRegistration::bytes).sum(),
            pubsub: self.nodes.values().map(StoredNode::bytes).sum(),
            roster: self.roster.bytes(),
            ..Usage::default()
        };
        let alone = self.waiting.values().filter(|waiting| !waiting.message.archived);
        usage.waiting = alone.map(|waiting| waiting.message.xml.len() as u64).sum();
        for ((kind, _), xml) in &self.documents {
            *usage.documents.entry(kind.clone()).or_default() += xml.len() as u64;
        }
        usage
    }

    /// Whether one more message may be undelivered. If its sender is within its share and another one is above its own,
    /// room is made: the other one loses a marker.
    pub(super) fn may_wait(&mut self, holder: &Holder) -> bool {
        let Some(limit) = holder.limit else { return true };
        let shares = SenderShares::of(limit);
        let waiting = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
        let (sender, is_room) = (holder.with.to_bare(), waiting < limit);
        let is_own = sender == holder.owner;
        if is_room && (holder.archive || is_own || shares.have_room_for_anybody(waiting)) {
            return true;
        }
        let mut senders = Senders::default();
        for waiting in self.waiting.values() {
            let is_contact = self.is_contact(&holder.owner, &waiting.sender);
            senders.add(waiting.sender.as_str(), is_contact, 1);
        }
        let is_contact = self.is_contact(&holder.owner, &sender);
        let is_within = is_own || senders.is_within(&shares, sender.as_str(), is_contact);
        if !is_within || is_room {
            return is_within;
        }
        let over = senders.over_share(&shares, holder.owner.as_str());
        over.iter().any(|other| self.take_marker(other))
    }

    /// Removes the marker of the newest message from this sender that is in the archive.
    fn take_marker(&mut self, sender: &str) -> bool {
        let mut newest_first = self.waiting.iter().rev();
        let found = newest_first
            .find(|(_, found)| found.sender.as_str() == sender && found.message.archived)
            .map(|(id, _)| *id);
        found.and_then(|id| self.waiting.remove(&id)).is_some()
    }

    fn is_contact(&self, owner: &BareJid, sender: &BareJid) -> bool {
        owner == sender || self.roster.is_contact(sender)
    }

    /// There is room for this number of bytes, or room was made.
    pub(super) fn has_room(&mut self, default: u64, holder: &Holder, bytes: u64) -> bool {
        if !holder.archive && !holder.waiting || self.room.has(bytes) {
            return true;
        }
        self.count(default);
        if self.room.has(bytes) {
            return true;
        }
        let is_stranger =
            holder.way == Way::Received && !self.is_contact(&holder.owner, &holder.with.to_bare());
        !is_stranger && self.push_out(default, bytes)
    }

    /// Something changes from `old` to `new` bytes.
    pub(super) fn change(
        &mut self,
        default: u64,
        old: u64,
        new: u64,
        within_quota: bool,
    ) -> Result<()> {
        let more = new.saturating_sub(old);
        if more == 0 {
            self.room = self.room.freed();
            return Ok(());
        }
        if !self.room.has(more) {
            self.count(default);
        }
        if within_quota && !self.room.has(more) {
            return Err(StorageError::Quota);
        }
        self.room.overdraw(more);
        Ok(())
    }

    fn quota(&self, default: u64) -> u64 {
        self.quota.unwrap_or(default)
    }

    fn count(&mut self, default: u64) {
        if !self.room.is_counted() {
            self.room = Room::left(self.quota(default), self.usage().total());
        }
    }

    fn push_out(&mut self, default: u64, bytes: u64) -> bool {
        let quota = self.quota(default);
        if bytes > quota {
            return false;
        }
        let used = self.usage().total();
        let wanted = used.saturating_add(bytes).saturating_add(slack(quota)).saturating_sub(quota);
        let oldest_waiting = self.waiting.keys().next().copied();
        let mut freed = 0;
        while freed < wanted
            && let Some(oldest) = self.archive.first_entry()
            && oldest_waiting.is_none_or(|waiting| *oldest.key() < waiting)
        {
            freed += oldest.remove().xml.len() as u64;
        }
        self.room = Room::Unknown;
        self.count(default);
        self.room.has(bytes)
    }
}
