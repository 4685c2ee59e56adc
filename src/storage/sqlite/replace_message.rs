//! Replaces the stanza of a message, for all who hold it.

use async_trait::async_trait;
use bytes::Bytes;

use super::change::Change;
use super::quota::charge;
use super::write_tx::WriteTx;
use crate::jid::{BareJid, Jid};
use crate::storage::Result;

/// The new stanza of a message that is in the archive of `owner`. Answers whether there is such a message.
pub(super) struct ReplaceMessage {
    pub(super) owner: BareJid,
    pub(super) id: i64,
    pub(super) xml: Bytes,
}

#[async_trait]
impl Change for ReplaceMessage {
    type Answer = bool;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<bool> {
        let Some(known) = on.owner_if_any(&self.owner).await? else { return Ok(false) };
        let found = sqlx::query_as::<_, (String, i64)>(FIND)
            .bind(known.number)
            .bind(self.id)
            .fetch_optional(on.tx.connection().await?)
            .await?;
        let Some((peer, old)) = found else { return Ok(false) };
        self.count_for(on, &self.owner, old.unsigned_abs()).await?;
        // The other side may hold it, too.
        let peer = Jid::parse(&peer).map(|peer| peer.to_bare());
        if let Some(peer) = peer.ok().filter(|peer| *peer != self.owner) {
            self.count_for(on, &peer, old.unsigned_abs()).await?;
        }
        let connection = on.tx.connection().await?;
        sqlx::query(REPLACE).bind(self.id).bind(&self.xml[..]).execute(connection).await?;
        Ok(true)
    }
}

impl ReplaceMessage {
    /// If `owner` holds the message, it counts for the quota with its new size from now on.
    async fn count_for(&self, on: &mut WriteTx<'_>, owner: &BareJid, old: u64) -> Result<()> {
        let Some(known) = on.owner_if_any(owner).await? else { return Ok(()) };
        let holds = sqlx::query_as::<_, (bool,)>(HOLDS)
            .bind(known.number)
            .bind(self.id)
            .fetch_one(on.tx.connection().await?)
            .await?;
        if !holds.0 {
            return Ok(());
        }
        let new = self.xml.len() as u64;
        charge(on, owner, old, new, false).await?;
        let connection = on.tx.connection().await?;
        sqlx::query(COUNT)
            .bind(known.number)
            .bind(self.id)
            .bind(i64::try_from(new).unwrap_or(i64::MAX))
            .execute(&mut *connection)
            .await?;
        sqlx::query(FORGET_SUM).bind(known.number).bind(self.id).execute(connection).await?;
        Ok(())
    }
}

const FIND: &str = "SELECT a.peer, CAST(octet_length(m.xml) AS BIGINT) \
    FROM archive a CROSS JOIN message m ON m.id = a.id \
    WHERE a.owner = $1 AND a.volume_first <= $2 AND a.first <= $2 AND a.id = $2";
const REPLACE: &str = "UPDATE message SET xml = $2 WHERE id = $1";
const COUNT: &str = "UPDATE archive_row SET bytes = $3 WHERE owner = $1 AND id = $2 AND segment IN \
    (SELECT s.segment FROM archive_volume v CROSS JOIN archive_segment s ON s.volume = v.number \
    WHERE v.first <= $2 AND s.owner = $1 AND s.first <= $2)";
/// The sum of the segment must be counted again.
const FORGET_SUM: &str = "UPDATE archive_segment SET bytes = NULL WHERE owner = $1 AND first <= $2 \
    AND volume IN (SELECT number FROM archive_volume WHERE first <= $2) AND EXISTS \
    (SELECT 1 FROM archive_row r WHERE r.segment = archive_segment.segment AND r.owner = $1 \
    AND r.id = $2)";
const HOLDS: &str = "SELECT EXISTS (SELECT 1 FROM archive a \
    WHERE a.owner = $1 AND a.volume_first <= $2 AND a.first <= $2 AND a.id = $2) \
    OR EXISTS (SELECT 1 FROM waiting w WHERE w.owner = $1 AND w.message = $2)";

/// All statements, for tests.
#[cfg(test)]
pub(super) fn statements() -> Vec<String> {
    [FIND, REPLACE, COUNT, FORGET_SUM, HOLDS].map(str::to_owned).into()
}
