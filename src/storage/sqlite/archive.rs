//! Archives in SQLite.

use async_trait::async_trait;
use bytes::Bytes;

use super::archive_query::ArchiveQuery;
use super::archive_scan::ArchiveScan;
use super::database::Database;
use super::delete_messages::list;
use super::expire_archive::ExpireArchive;
use super::replace_message::ReplaceMessage;
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::read_scheduler::{ReadTurn, Requester};
use crate::storage::sql::{jid, message_id, row_limit, undelivered};
use crate::storage::{
    ArchiveStore, Count, End, Kept, MessageId, NewMessage, Page, Query, Result, Retention,
    StorageError, Stored, Waiting,
};

#[async_trait]
impl ArchiveStore for Database {
    async fn keep(&self, message: NewMessage) -> Result<Kept> {
        self.writer.keep(message).await
    }

    /// No other node writes to the file, and each query waits for what was handed over before it.
    fn horizon(&self) -> Option<MessageId> {
        self.writer.newest()
    }

    async fn advance_horizon(&self) -> Result<Option<MessageId>> {
        Ok(self.horizon())
    }

    async fn delivered(&self, owner: &BareJid, ids: &[MessageId]) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        self.writer.clear_markers(owner.clone(), ids.into()).await
    }

    async fn waiting(
        &self,
        owner: &BareJid,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<Waiting>> {
        let quiet = self.writer.quiet();
        if quiet.get(owner).is_some() {
            return Ok(Vec::new());
        }
        let seen = quiet.seen(owner);
        self.flush_markers().await?;
        let page = undelivered::page(&mut *self.reader().await?, owner, after, limit).await?;
        if page.is_empty() && after.is_none() && limit > 0 {
            quiet.hold(owner.clone(), (), 0, seen);
        }
        Ok(page)
    }

    async fn waiting_count(&self, owner: &BareJid) -> Result<u64> {
        self.flush_markers().await?;
        undelivered::count(&mut *self.reader().await?, owner).await
    }

    async fn page(&self, owner: &BareJid, query: &Query) -> Result<Option<Page>> {
        self.flush_messages().await?;
        let mut turn = self.turns.take(Requester::Account(owner)).await;
        if !self.has_all(owner, &query.named).await? {
            return Ok(None);
        }
        let nothing =
            Page { rows: Vec::new(), complete: true, count: query.count.then(Count::default) };
        let Some(mut find) = ArchiveQuery::new(query, self.id_clock()) else {
            return Ok(Some(nothing));
        };
        let Some(owner) = self.owner_number(owner).await? else { return Ok(Some(nothing)) };
        if let Some(index) = query.index {
            let mut walk = ArchiveScan::new(self, &mut turn, owner, &find, false).counting();
            find.ids.0 = walk.find_position(index).await?.map_or(i64::MAX, |id| id - 1);
        }
        let mut page = ArchiveScan::new(self, &mut turn, owner, &find, query.backwards)
            .page(query.max)
            .await?;
        if query.count {
            page.count = self.count_found(&mut turn, owner, query, page.rows.first()).await?;
        }
        Ok(Some(page))
    }

    async fn replace(&self, owner: &BareJid, id: MessageId, xml: Bytes) -> Result<bool> {
        self.flush_messages().await?;
        if !self.has_all(owner, &[id]).await? {
            return Ok(false);
        }
        self.writer.write(ReplaceMessage { owner: owner.clone(), id: id.get(), xml }).await
    }

    async fn ends(&self, owner: &BareJid) -> Result<Option<(End, End)>> {
        let held = self.writer.ends();
        if let Some(ends) = held.get(owner) {
            return Ok(ends);
        }
        let seen = held.seen(owner);
        self.flush_messages().await?;
        let rows = sqlx::query_as::<_, (i64, i64)>(
            "SELECT id, at FROM message WHERE id IN ( \
             (SELECT id FROM archive WHERE owner = (SELECT number FROM owner WHERE jid = $1) \
             ORDER BY volume, first, id LIMIT 1), \
             (SELECT id FROM archive WHERE owner = (SELECT number FROM owner WHERE jid = $1) \
             ORDER BY volume DESC, first DESC, id DESC LIMIT 1)) ORDER BY id",
        )
        .bind(owner.as_str())
        .fetch_all(&mut *self.reader().await?)
        .await?;
        let end = |row: &(i64, i64)| Ok::<_, StorageError>((message_id(row.0)?, micros(row.1)));
        let ends = match (rows.first(), rows.last()) {
            (Some(first), Some(last)) => Some((end(first)?, end(last)?)),
            _ => None,
        };
        held.hold(owner.clone(), ends, 0, seen);
        Ok(ends)
    }

    async fn owners(&self, after: Option<&BareJid>, limit: usize) -> Result<Vec<BareJid>> {
        let rows = sqlx::query(
            "SELECT o.jid FROM owner o WHERE o.jid > $1 \
             AND EXISTS (SELECT 1 FROM archive a WHERE a.owner = o.number) \
             ORDER BY o.jid LIMIT +$2",
        )
        .bind(after.map_or("", |a| a.as_str()))
        .bind(row_limit(limit))
        .fetch_all(&mut *self.reader().await?)
        .await?;
        rows.iter().map(|row| Ok(jid(row, "jid", "owner")?.to_bare())).collect()
    }

    async fn expire(&self, owner: &BareJid, retention: Retention) -> Result<u64> {
        // Mostly nothing is too old. The writer is only asked if something is.
        match self.too_old(owner, retention).await? {
            Some(below) => self.writer.write(ExpireArchive { owner: owner.clone(), below }).await,
            None => Ok(0),
        }
    }
}

impl Database {
    /// Waits until all messages that were handed over can be read.
    async fn flush_messages(&self) -> Result<()> {
        if self.writer.is_keeping() { self.writer.flush().await } else { Ok(()) }
    }

    /// The same, and until markers of delivered messages are removed.
    async fn flush_markers(&self) -> Result<()> {
        if self.writer.is_busy() { self.writer.flush().await } else { Ok(()) }
    }

    /// All of these messages are in the archive.
    async fn has_all(&self, owner: &BareJid, ids: &[MessageId]) -> Result<bool> {
        let mut ids: Vec<i64> = ids.iter().map(|id| id.get()).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Ok(true);
        }
        let count = sqlx::query_as::<_, (i64,)>(HAS)
            .bind(owner.as_str())
            .bind(list(&ids))
            .fetch_optional(&mut *self.reader().await?)
            .await?;
        Ok(count.is_some_and(|(count,)| count.unsigned_abs() == ids.len() as u64))
    }

    /// Messages with lower ids are too old. `None` if there are none.
    async fn too_old(&self, owner: &BareJid, retention: Retention) -> Result<Option<i64>> {
        let mut turn = self.turns.take(Requester::Background).await;
        let Some(number) = self.owner_number(owner).await? else { return Ok(None) };
        let mut below = retention.before.map(|before| self.id_clock().lowest(before.as_micros()));
        if let Some(keep) = retention.keep
            && let Some(all) = ArchiveQuery::new(&Query::default(), self.id_clock())
        {
            let mut walk = ArchiveScan::new(self, &mut turn, number, &all, true).counting();
            below = below.max(walk.find_position(keep).await?.map(|id| id + 1));
        }
        let Some(below) = below else { return Ok(None) };
        let oldest = sqlx::query_as::<_, (i64,)>(
            "SELECT id FROM archive WHERE owner = $1 ORDER BY volume, first, id LIMIT 1",
        )
        .bind(number)
        .fetch_optional(&mut *self.reader().await?)
        .await?;
        Ok(oldest.filter(|(id,)| *id < below).map(|_| below))
    }

    /// How many messages a query finds, and how many of them before `first`. `None` if too many rows would
    /// have to be read to count them.
    async fn count_found(
        &self,
        turn: &mut ReadTurn<'_>,
        owner: i64,
        query: &Query,
        first: Option<&Stored>,
    ) -> Result<Option<Count>> {
        // The page does not change how many messages are found (XEP-0059 §2.6).
        let whole = Query { after: None, before: None, ..query.clone() };
        let Some(find) = ArchiveQuery::new(&whole, self.id_clock()) else {
            return Ok(Some(Count::default()));
        };
        let (low, high) = find.ids;
        let first = first.map_or(high, |first| first.id.get());
        let (older, newer) = (find.between(low, first), find.between(first - 1, high));
        let before =
            ArchiveScan::new(self, turn, owner, &older, false).counting().count_all().await?;
        let behind = if first == high {
            Some(0)
        } else {
            ArchiveScan::new(self, turn, owner, &newer, false).counting().count_all().await?
        };
        let both = before.zip(behind);
        Ok(both.map(|(before, behind)| Count { total: before + behind, before }))
    }
}

/// How many messages of a list are in an archive.
pub(super) const HAS: &str = "SELECT count(*) FROM owner o CROSS JOIN json_each($2) wanted \
    CROSS JOIN archive_row a WHERE o.jid = $1 AND a.owner = o.number AND a.id = wanted.value \
    AND a.segment = (SELECT s.segment FROM archive_segment s WHERE s.volume = (SELECT number \
    FROM archive_volume WHERE first <= wanted.value ORDER BY number DESC LIMIT 1) \
    AND s.owner = o.number AND s.first <= wanted.value ORDER BY s.first DESC LIMIT 1)";

fn micros(at: i64) -> Timestamp {
    Timestamp::from_micros(at)
}
