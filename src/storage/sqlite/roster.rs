//! Rosters in SQLite.

use async_trait::async_trait;
use sqlx::Connection as _;

use super::change::Change;
use super::database::Database;
use super::quota;
use super::write_tx::WriteTx;
use crate::jid::{BareJid, Jid};
use crate::storage::sql::{roster, roster_of_many};
use crate::storage::{Result, RosterChange, RosterItem, RosterStore, RosterVersion, StorageError};

#[async_trait]
impl RosterStore for Database {
    async fn load(&self, owner: &BareJid) -> Result<(RosterVersion, Vec<RosterItem>)> {
        roster::load(&mut *self.reader().await?, owner).await
    }

    async fn find(&self, owner: &BareJid, jid: &Jid) -> Result<Option<RosterItem>> {
        roster::find(&mut *self.reader().await?, owner, jid).await
    }

    async fn find_in_each(
        &self,
        owners: &[BareJid],
        jid: &Jid,
    ) -> Result<Vec<(BareJid, RosterItem)>> {
        if owners.is_empty() {
            return Ok(Vec::new());
        }
        roster_of_many::find_in_each(&mut *self.reader().await?, owners, jid).await
    }

    async fn changes(
        &self,
        owner: &BareJid,
        since: RosterVersion,
        limit: usize,
    ) -> Result<(RosterVersion, Option<Vec<RosterChange>>)> {
        let mut reader = self.reader().await?;
        let mut on = reader.begin().await?;
        roster::changes(&mut on, owner, since, limit).await
    }

    async fn put(&self, owner: &BareJid, item: &RosterItem, limit: u32) -> Result<RosterVersion> {
        let jid = item.jid.clone();
        let change =
            Replace { owner: owner.clone(), jid, old: None, new: Some(item.clone()), limit };
        let version = self.writer.write(change).await?;
        version.ok_or_else(|| StorageError::Database("an item was not put".into()))
    }

    async fn remove(&self, owner: &BareJid, jid: &Jid) -> Result<Option<RosterVersion>> {
        let (owner, jid) = (owner.clone(), jid.clone());
        self.writer.write(Replace { owner, jid, old: None, new: None, limit: 0 }).await
    }

    async fn replace(
        &self,
        owner: &BareJid,
        jid: &Jid,
        old: Option<&RosterItem>,
        new: Option<&RosterItem>,
        limit: u32,
    ) -> Result<Option<RosterVersion>> {
        let (owner, jid) = (owner.clone(), jid.clone());
        let (old, new) = (Some(old.cloned()), new.cloned());
        self.writer.write(Replace { owner, jid, old, new, limit }).await
    }
}

/// Puts an item, or takes it away.
struct Replace {
    owner: BareJid,
    jid: Jid,
    /// What must be there now, if that matters.
    old: Option<Option<RosterItem>>,
    new: Option<RosterItem>,
    limit: u32,
}

#[async_trait]
impl Change for Replace {
    type Answer = Option<RosterVersion>;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<Option<RosterVersion>> {
        let known = match &self.new {
            Some(_) => Some(on.owner(&self.owner).await?),
            None => on.owner_if_any(&self.owner).await?,
        };
        let Some(owner) = known.map(|known| known.number) else { return Ok(None) };
        let there = roster::find_of(on.tx.connection().await?, owner, &self.jid).await?;
        if self.old.as_ref().is_some_and(|old| *old != there) {
            return Ok(None);
        }
        match (&self.new, there) {
            (Some(new), there) => {
                let old_bytes = there.as_ref().map_or(0, RosterItem::bytes);
                if there.is_none_or(|old| new.listed && !old.listed) {
                    self.check_limit(on, owner, new.listed).await?;
                }
                quota::charge(on, &self.owner, old_bytes, new.bytes(), true).await?;
                on.memory.take_senders(owner);
                roster::put(on.tx.connection().await?, owner, new).await.map(Some)
            }
            (None, Some(old)) => {
                on.memory.freed(&self.owner);
                on.memory.take_senders(owner);
                roster::remove(on.tx.connection().await?, owner, &old).await.map(Some)
            }
            (None, None) => Ok(None),
        }
    }
}

impl Replace {
    async fn check_limit(&self, on: &mut WriteTx<'_>, owner: i64, listed: bool) -> Result<()> {
        let alike = roster::count(on.tx.connection().await?, owner, listed).await?;
        if alike >= i64::from(self.limit) {
            return Err(StorageError::Limit("roster items"));
        }
        Ok(())
    }
}
