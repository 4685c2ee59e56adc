//! Forgets the oldest messages of an archive.

use async_trait::async_trait;

use super::archive_segments;
use super::change::Change;
use super::delete_messages::release_holders;
use super::write_tx::WriteTx;
use crate::jid::BareJid;
use crate::storage::Result;
use crate::storage::sql::undelivered;

/// Forgets the oldest messages of an archive, [`AT_ONCE`] at most. Answers how many. A message that is not
/// delivered yet leaves the archive and stays until it is delivered.
pub(super) struct ExpireArchive {
    pub(super) owner: BareJid,
    /// Messages with lower ids are forgotten.
    pub(super) below: i64,
}

#[async_trait]
impl Change for ExpireArchive {
    type Answer = u64;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<u64> {
        let Some(known) = on.owner_if_any(&self.owner).await? else { return Ok(0) };
        let owner = known.number;
        let rows = sqlx::query_as::<_, (i64, bool)>(OLDEST)
            .bind(owner)
            .bind(self.below)
            .bind(AT_ONCE)
            .fetch_all(on.tx.connection().await?)
            .await?;
        let Some((last, _)) = rows.last().copied() else { return Ok(0) };
        // From now on, undelivered messages are held by their markers alone.
        if rows.iter().any(|(_, waits)| *waits) {
            undelivered::become_only_holders(on.tx.connection().await?, owner, last).await?;
        }
        let gone = rows.iter().filter(|(_, waits)| !waits).map(|(id, _)| *id).collect();
        release_holders(on, gone).await?;
        archive_segments::forget(on, owner, last).await?;
        on.memory.shorten(&self.owner);
        on.memory.freed(&self.owner);
        Ok(rows.len() as u64)
    }
}

/// How many messages are forgotten in one change, so that other changes do not wait long.
const AT_ONCE: i64 = 500;

/// The oldest messages of an archive, and whether they are undelivered.
pub(super) const OLDEST: &str = "SELECT a.id, EXISTS \
    (SELECT 1 FROM waiting w WHERE w.owner = a.owner AND w.message = a.id) \
    FROM archive a WHERE a.owner = $1 AND a.volume_first < $2 AND a.first < $2 AND a.id < $2 \
    ORDER BY a.volume, a.first, a.id LIMIT +$3";
