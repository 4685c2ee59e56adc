//! Decides which messages of a batch are stored, and for whom. There are two limits: the number of
//! undelivered messages of an account, in shares of their senders ([`SenderShares`]), and the quota of an
//! account in bytes ([`Room`](crate::storage::usage::Room)).
//!
//! This is decided before the batch is written. Nearly always that takes no statement, because the writer
//! remembers enough. The database is asked when a limit is near.

use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use super::queued_message::QueuedMessage;
use super::quota;
use super::write_tx::{Known, WriteTx};
use crate::jid::BareJid;
use crate::storage::sender_shares::{SenderShares, Senders};
use crate::storage::sql::undelivered;
use crate::storage::{Holder, MessageId, OFFLINE_MESSAGES, Result, StorageError, Way};

/// Markers that are removed by the batch that adds them, so that they are never written.
pub(super) type Cleared<'a> = FxHashSet<(&'a BareJid, MessageId)>;

/// The owners of a batch. They are apart from the writer's memory, which forgets when it is full.
#[derive(Debug, Default)]
pub(super) struct Owners(FxHashMap<BareJid, Owner>);

#[derive(Debug)]
struct Owner {
    known: Known,
    /// Undelivered messages of the batch, by their places in it.
    waiting: SmallVec<[usize; 4]>,
    /// Bytes that the batch adds.
    bytes: u64,
    senders: Option<Senders>,
}

/// Decides for each message in turn. If there is no room for a marker, it is left out if the archive has
/// the message; otherwise the message is refused.
pub(super) async fn admit(
    on: &mut WriteTx<'_>,
    batch: &mut [&mut QueuedMessage],
    cleared: &Cleared<'_>,
) -> Result<Owners> {
    let mut owners = Owners::default();
    for place in 0..batch.len() {
        let (before, rest) = batch.split_at_mut(place);
        let Some(keep) = rest.first_mut() else { break };
        keep.refused = None;
        if !cleared.is_empty() {
            let id = keep.id;
            for holder in &mut keep.message.holders {
                holder.waiting &= !cleared.contains(&(&holder.owner, id));
            }
        }
        keep.refused = owners.decide(on, before, keep).await?.err();
        keep.message.merge_holders();
        if keep.refused.is_none() {
            owners.take(place, keep);
        }
    }
    Ok(owners)
}

impl Owners {
    /// The number of an owner of the batch.
    pub(super) fn number(&self, owner: &BareJid) -> i64 {
        self.0[owner].known.number
    }

    /// Puts what is known now into the writer's memory.
    pub(super) fn remember(self, on: &mut WriteTx<'_>) {
        for (jid, owner) in self.0 {
            on.memory.remember(&jid, owner.known);
            if let Some(senders) = owner.senders {
                on.memory.remember_senders(owner.known.number, senders);
            }
        }
    }

    /// The inner result says why the message is refused.
    async fn decide(
        &mut self,
        on: &mut WriteTx<'_>,
        before: &mut [&mut QueuedMessage],
        keep: &mut QueuedMessage,
    ) -> Result<std::result::Result<(), StorageError>> {
        let bytes = keep.message.xml.len() as u64;
        for holder in &mut keep.message.holders {
            if !self.0.contains_key(&holder.owner) {
                let known = on.owner(&holder.owner).await?;
                let senders = on.memory.take_senders(known.number);
                let owner = Owner { known, waiting: SmallVec::new(), bytes: 0, senders };
                self.0.insert(holder.owner.clone(), owner);
            }
            let Some(owner) = self.0.get_mut(&holder.owner) else { continue };
            if holder.waiting && !owner.may_wait(on, before, holder).await? {
                if !holder.archive {
                    return Ok(Err(StorageError::Limit(OFFLINE_MESSAGES)));
                }
                holder.waiting = false;
            }
            if owner.has_room(on, holder, bytes).await? {
                continue;
            }
            if holder.limit.is_some() {
                return Ok(Err(StorageError::Quota));
            }
            // It is delivered already, or the account has sent it: a refusal would be wrong.
            holder.archive = false;
        }
        Ok(Ok(()))
    }

    /// Notes that a message of the batch is stored.
    fn take(&mut self, place: usize, keep: &QueuedMessage) {
        let bytes = keep.message.xml.len() as u64;
        for holder in &keep.message.holders {
            let Some(owner) = self.0.get_mut(&holder.owner) else { continue };
            owner.bytes += bytes;
            owner.known.room.overdraw(bytes);
            if holder.waiting {
                owner.waiting.push(place);
                owner.known.waiting = owner.known.waiting.map(|n| n.saturating_add(1));
                if let Some(senders) = &mut owner.senders {
                    let sender = holder.with.bare_str();
                    match senders.is_contact(sender) {
                        Some(is_contact) => senders.add(sender, is_contact, 1),
                        // Whether that is a contact was not asked, because senders are not counted yet.
                        None => owner.senders = None,
                    }
                }
            }
        }
    }
}

impl Owner {
    /// Whether one more message may be undelivered. If its sender is within its share and another one is above its own,
    /// room is made: the other one loses a marker.
    async fn may_wait(
        &mut self,
        on: &mut WriteTx<'_>,
        before: &mut [&mut QueuedMessage],
        holder: &Holder,
    ) -> Result<bool> {
        let Some(limit) = holder.limit else { return Ok(true) };
        let waiting = match self.known.waiting {
            Some(waiting) => waiting,
            None => {
                let in_batch = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
                let waiting = undelivered::count_of(on.tx.connection().await?, self.known.number)
                    .await?
                    .saturating_add(in_batch);
                *self.known.waiting.insert(waiting)
            }
        };
        let shares = SenderShares::of(limit);
        let is_room = waiting < limit;
        let is_own = holder.with.bare_str() == holder.owner.as_str();
        if is_room && (holder.archive || is_own || shares.have_room_for_anybody(waiting)) {
            return Ok(true);
        }
        self.load_senders(on, before, holder).await?;
        let is_contact = self.is_contact(on, holder).await?;
        let Some(senders) = &mut self.senders else { return Ok(false) };
        let sender = holder.with.bare_str();
        // So that it is known whether that is a contact when the message is counted.
        senders.add(sender, is_contact, 0);
        let is_within = is_own || senders.is_within(&shares, sender, is_contact);
        if !is_within || is_room {
            return Ok(is_within);
        }
        for other in senders.over_share(&shares, holder.owner.as_str()) {
            if self.take_marker(on, before, &holder.owner, &other).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes the marker of the newest message from this sender that is in the archive.
    async fn take_marker(
        &mut self,
        on: &mut WriteTx<'_>,
        before: &mut [&mut QueuedMessage],
        owner: &BareJid,
        sender: &str,
    ) -> Result<bool> {
        // Messages of the batch are newer than all that are stored.
        let in_batch = (0..self.waiting.len()).rev().find(|index| {
            let Some(keep) = before.get_mut(self.waiting[*index]) else { return false };
            let is_meant = |h: &&mut Holder| {
                h.owner == *owner && h.waiting && h.archive && h.with.bare_str() == sender
            };
            let holder = keep.message.holders.iter_mut().find(is_meant);
            holder.map(|holder| holder.waiting = false).is_some()
        });
        if let Some(index) = in_batch {
            self.waiting.remove(index);
        } else {
            let number = self.known.number;
            if !undelivered::delete_newest_of(on.tx.connection().await?, number, sender).await? {
                return Ok(false);
            }
        }
        self.known.waiting = self.known.waiting.map(|n| n.saturating_sub(1));
        if let Some(senders) = &mut self.senders {
            senders.remove(sender);
        }
        Ok(true)
    }

    async fn load_senders(
        &mut self,
        on: &mut WriteTx<'_>,
        before: &[&mut QueuedMessage],
        holder: &Holder,
    ) -> Result<()> {
        if self.senders.is_some() {
            return Ok(());
        }
        let mut senders =
            undelivered::senders(on.tx.connection().await?, self.known.number).await?;
        for place in &self.waiting {
            let Some(keep) = before.get(*place) else { continue };
            for other in keep.message.holders.iter().filter(|h| h.owner == holder.owner) {
                let is_contact = is_contact(on, &self.known, other).await?;
                senders.add(other.with.bare_str(), is_contact, 1);
            }
        }
        self.senders = Some(senders);
        Ok(())
    }

    async fn is_contact(&self, on: &mut WriteTx<'_>, holder: &Holder) -> Result<bool> {
        let sender = holder.with.bare_str();
        match self.senders.as_ref().and_then(|senders| senders.is_contact(sender)) {
            Some(is_contact) => Ok(is_contact),
            None => is_contact(on, &self.known, holder).await,
        }
    }

    /// There is room for this number of bytes, or room was made.
    async fn has_room(
        &mut self,
        on: &mut WriteTx<'_>,
        holder: &Holder,
        bytes: u64,
    ) -> Result<bool> {
        if !holder.archive && !holder.waiting || self.known.room.has(bytes) {
            return Ok(true);
        }
        if !self.known.room.is_counted() {
            quota::count_used(on, &mut self.known, self.bytes).await?;
            if self.known.room.has(bytes) {
                return Ok(true);
            }
        }
        if holder.way == Way::Received && !is_contact(on, &self.known, holder).await? {
            return Ok(false);
        }
        quota::make_room(on, &holder.owner, &mut self.known, self.bytes, bytes).await
    }
}

/// The other side is in the roster of the owner, or is the owner.
async fn is_contact(on: &mut WriteTx<'_>, owner: &Known, holder: &Holder) -> Result<bool> {
    let sender = holder.with.bare_str();
    if sender == holder.owner.as_str() {
        return Ok(true);
    }
    undelivered::is_contact(on.tx.connection().await?, owner.number, sender).await
}
