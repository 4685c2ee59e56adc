//! How much an account stores, and its quota.

use std::sync::atomic::Ordering;

use async_trait::async_trait;

use super::change::Change;
use super::database::Database;
use super::quota::usage_of;
use super::write_tx::{Known, WriteTx};
use crate::jid::BareJid;
use crate::storage::sql::owner;
use crate::storage::usage::Room;
use crate::storage::{Result, Usage, UsageStore};

#[async_trait]
impl UsageStore for Database {
    async fn used(&self, owner: &BareJid) -> Result<Usage> {
        self.writer.flush().await?;
        let Some(number) = self.owner_number(owner).await? else { return Ok(Usage::default()) };
        usage_of(&mut *self.reader().await?, number).await
    }

    async fn quota(&self, jid: &BareJid) -> Result<Option<u64>> {
        let row = owner::find(&mut *self.reader().await?, jid).await?;
        Ok(row.and_then(|(_, quota)| quota))
    }

    async fn set_quota(&self, owner: &BareJid, bytes: Option<u64>) -> Result<()> {
        self.writer.write(SetQuota { owner: owner.clone(), bytes }).await
    }

    fn set_default_quota(&self, bytes: u64) {
        self.quota.store(bytes, Ordering::Release);
    }
}

struct SetQuota {
    owner: BareJid,
    bytes: Option<u64>,
}

#[async_trait]
impl Change for SetQuota {
    type Answer = ();

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<()> {
        let known = on.owner(&self.owner).await?;
        owner::set_quota(on.tx.connection().await?, known.number, self.bytes).await?;
        let known = Known { quota: self.bytes, room: Room::Unknown, ..known };
        on.memory.remember(&self.owner, known);
        Ok(())
    }
}
