//! The older door to messages that wait, on the same tables.

use async_trait::async_trait;
use bytes::Bytes;

use super::release::release;
use super::writer::{Change, Known, Writing};
use super::{Database, bound};
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::offline::waiting_only;
use crate::storage::{ArchiveStore, OfflineMessage, OfflineStore, Result};

#[async_trait]
impl OfflineStore for Database {
    async fn keep(&self, owner: &BareJid, at: Timestamp, xml: Bytes, limit: u32) -> Result<i64> {
        let kept = ArchiveStore::keep(self, waiting_only(owner, at, xml, limit)).await?;
        kept.receipt.await?;
        Ok(kept.id.get())
    }

    async fn page(&self, owner: &BareJid, after: i64, limit: usize) -> Result<Vec<OfflineMessage>> {
        let rows = sqlx::query_as::<_, (i64, i64, Vec<u8>)>(
            "SELECT m.id, m.at, m.xml \
             FROM owner o JOIN waiting w ON w.owner = o.number JOIN message m ON m.id = w.message \
             WHERE o.jid = $1 AND w.message > $2 ORDER BY w.message LIMIT $3",
        )
        .bind(owner.as_str())
        .bind(after)
        .bind(bound(limit))
        .fetch_all(&self.reads)
        .await?;
        let message = |(id, at, xml)| OfflineMessage {
            id,
            at: Timestamp::from_micros(at),
            xml: Bytes::from(xml),
        };
        Ok(rows.into_iter().map(message).collect())
    }

    async fn forget(&self, owner: &BareJid, up_to: i64) -> Result<u64> {
        self.writer.write(Forget::new(owner, up_to)).await
    }

    async fn count(&self, owner: &BareJid) -> Result<u64> {
        let (count,) = sqlx::query_as::<_, (i64,)>(
            "SELECT count(*) FROM owner o JOIN waiting w ON w.owner = o.number WHERE o.jid = $1",
        )
        .bind(owner.as_str())
        .fetch_one(&self.reads)
        .await?;
        Ok(count.unsigned_abs())
    }
}

/// Messages to be forgotten.
pub(super) struct Forget {
    owner: BareJid,
    up_to: i64,
}

impl Forget {
    pub(super) fn new(owner: &BareJid, up_to: i64) -> Self {
        Self { owner: owner.clone(), up_to }
    }
}

#[async_trait]
impl Change for Forget {
    type Answer = u64;

    async fn apply(&self, on: &mut Writing<'_>) -> Result<u64> {
        let Some(known) = on.owner_if_any(&self.owner).await? else { return Ok(0) };
        let alone = sqlx::query_as::<_, (i64,)>(
            "SELECT message FROM waiting WHERE owner = $1 AND message <= $2 AND alone",
        )
        .bind(known.number)
        .bind(self.up_to)
        .fetch_all(&mut *on.connection)
        .await?;
        release(on, alone.into_iter().map(|(id,)| id).collect()).await?;
        let marks = sqlx::query("DELETE FROM waiting WHERE owner = $1 AND message <= $2")
            .bind(known.number)
            .bind(self.up_to)
            .execute(&mut *on.connection)
            .await?;
        on.memory.remember(&self.owner, Known { waiting: None, ..known });
        Ok(marks.rows_affected())
    }
}
