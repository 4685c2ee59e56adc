//! Archives: what is asked of them, and what they forget.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::TryStreamExt;
use sqlx::Row;

use super::release::{list, release};
use super::writer::{Change, Writing};
use super::{Database, DbRow, bound, closed, jid, segment};
use crate::jid::{BareJid, Jid};
use crate::payload::datetime::Timestamp;
use crate::storage::archive::PAGE_BYTES;
use crate::storage::words::words;
use crate::storage::{
    ArchiveStore, Count, End, Kept, MessageId, NewMessage, Page, Query, Result, Retention,
    StorageError, Stored, Waiting, Way,
};

#[async_trait]
impl ArchiveStore for Database {
    async fn keep(&self, message: NewMessage) -> Result<Kept> {
        self.writer.keep(message).await
    }

    fn newest(&self) -> Option<MessageId> {
        self.writer.newest()
    }

    async fn delivered(&self, owner: &BareJid, ids: &[MessageId]) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        self.writer.clear(owner.clone(), ids.into()).await
    }

    async fn waiting(
        &self,
        owner: &BareJid,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<Waiting>> {
        self.settle_marks().await?;
        let rows = sqlx::query_as::<_, (i64, i64, bool, Vec<u8>)>(
            "SELECT m.id, m.at, w.alone, m.xml \
             FROM owner o JOIN waiting w ON w.owner = o.number JOIN message m ON m.id = w.message \
             WHERE o.jid = $1 AND w.message > $2 ORDER BY w.message LIMIT $3",
        )
        .bind(owner.as_str())
        .bind(after.map_or(0, MessageId::get))
        .bind(bound(limit))
        .fetch_all(&self.reads)
        .await?;
        let waiting = |(id, at, alone, xml): (i64, i64, bool, Vec<u8>)| {
            Ok(Waiting {
                id: number(id)?,
                at: Timestamp::from_micros(at),
                archived: !alone,
                xml: Bytes::from(xml),
            })
        };
        rows.into_iter().map(waiting).collect()
    }

    async fn waiting_count(&self, owner: &BareJid) -> Result<u64> {
        self.settle_marks().await?;
        let (count,) = sqlx::query_as::<_, (i64,)>(
            "SELECT count(*) FROM owner o JOIN waiting w ON w.owner = o.number WHERE o.jid = $1",
        )
        .bind(owner.as_str())
        .fetch_one(&self.reads)
        .await?;
        Ok(count.unsigned_abs())
    }

    async fn page(&self, owner: &BareJid, query: &Query) -> Result<Option<Page>> {
        self.settle_messages().await?;
        let _turn = self.scans.acquire().await.map_err(|_| closed())?;
        if !self.has_all(owner, &query.named).await? {
            return Ok(None);
        }
        let Some(mut find) = Find::new(query, self.lag.load(Ordering::Acquire)) else {
            let count = query.count.then(Count::default);
            return Ok(Some(Page { rows: Vec::new(), complete: true, count }));
        };
        if let Some(index) = query.index {
            find.ids.0 = self.before_index(owner, query, &find, index).await?;
        }
        let mut page = self.rows(owner, query, &find).await?;
        if query.count {
            page.count = Some(self.count_found(owner, query, &find, page.rows.first()).await?);
        }
        Ok(Some(page))
    }

    async fn ends(&self, owner: &BareJid) -> Result<Option<(End, End)>> {
        self.settle_messages().await?;
        let rows = sqlx::query_as::<_, (i64, i64)>(
            "SELECT id, at FROM message WHERE id IN ( \
             (SELECT id FROM archive WHERE owner = (SELECT number FROM owner WHERE jid = $1) \
             ORDER BY volume, first, id LIMIT 1), \
             (SELECT id FROM archive WHERE owner = (SELECT number FROM owner WHERE jid = $1) \
             ORDER BY volume DESC, first DESC, id DESC LIMIT 1)) ORDER BY id",
        )
        .bind(owner.as_str())
        .fetch_all(&self.reads)
        .await?;
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(None) };
        let end = |row: &(i64, i64)| Ok::<_, StorageError>((number(row.0)?, micros(row.1)));
        Ok(Some((end(first)?, end(last)?)))
    }

    async fn owners(&self, after: Option<&BareJid>, limit: usize) -> Result<Vec<BareJid>> {
        let rows = sqlx::query(
            "SELECT o.jid FROM owner o WHERE o.jid > $1 \
             AND EXISTS (SELECT 1 FROM archive a WHERE a.owner = o.number) \
             ORDER BY o.jid LIMIT $2",
        )
        .bind(after.map_or("", |a| a.as_str()))
        .bind(bound(limit))
        .fetch_all(&self.reads)
        .await?;
        rows.iter().map(|row| Ok(jid(row, "jid", "owner")?.to_bare())).collect()
    }

    async fn expire(&self, owner: &BareJid, retention: Retention) -> Result<u64> {
        // To find out what is too old must not hold up those who write: most often it is nothing.
        match self.too_old(owner, retention).await? {
            Some(below) => self.writer.write(Expire { owner: owner.clone(), below }).await,
            None => Ok(0),
        }
    }
}

impl Database {
    /// Waits until what was handed over can be read.
    async fn settle_messages(&self) -> Result<()> {
        if self.writer.is_keeping() { self.writer.catch_up().await } else { Ok(()) }
    }

    /// The same, with marks that are to fall.
    async fn settle_marks(&self) -> Result<()> {
        if self.writer.is_busy() { self.writer.catch_up().await } else { Ok(()) }
    }

    /// All of these are in the archive.
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
            .fetch_optional(&self.reads)
            .await?;
        Ok(count.is_some_and(|(count,)| count.unsigned_abs() == ids.len() as u64))
    }

    /// Ids below are to be forgotten; `None` if there are none.
    async fn too_old(&self, owner: &BareJid, retention: Retention) -> Result<Option<i64>> {
        let mut below = retention.before.map(Timestamp::as_micros);
        if let Some(keep) = retention.keep {
            let newest_of_old = sqlx::query_as::<_, (i64,)>(
                "SELECT id FROM archive WHERE owner = (SELECT number FROM owner WHERE jid = $1) \
                 ORDER BY volume DESC, first DESC, id DESC LIMIT 1 OFFSET $2",
            )
            .bind(owner.as_str())
            .bind(i64::try_from(keep).unwrap_or(i64::MAX))
            .fetch_optional(&self.reads)
            .await?;
            below = below.max(newest_of_old.map(|(id,)| id + 1));
        }
        let Some(below) = below else { return Ok(None) };
        let oldest = sqlx::query_as::<_, (i64,)>(
            "SELECT id FROM archive WHERE owner = (SELECT number FROM owner WHERE jid = $1) \
             ORDER BY volume, first, id LIMIT 1",
        )
        .bind(owner.as_str())
        .fetch_optional(&self.reads)
        .await?;
        Ok(oldest.filter(|(id,)| *id < below).map(|_| below))
    }

    async fn rows(&self, owner: &BareJid, query: &Query, find: &Find) -> Result<Page> {
        let statement = if query.backwards { BACKWARDS } else { FORWARDS };
        // One more than wanted tells whether there are more.
        let wanted = bound(query.max.saturating_add(1));
        let mut stream = find.bind(statement, owner).bind(wanted).fetch(&self.reads);
        let mut page = Page { complete: true, ..Page::default() };
        let mut bytes = 0;
        while let Some(row) = stream.try_next().await? {
            if page.rows.len() == query.max || bytes > PAGE_BYTES {
                page.complete = false;
                break;
            }
            let row = stored(&row)?;
            bytes += row.xml.len();
            page.rows.push(row);
        }
        if query.backwards {
            page.rows.reverse();
        }
        Ok(page)
    }

    /// An id below that of the message at this position, and not below those before it.
    async fn before_index(
        &self,
        owner: &BareJid,
        query: &Query,
        find: &Find,
        index: u64,
    ) -> Result<i64> {
        let row = find
            .bind(if query.has_times() { AT } else { AT_ALL_TIMES }, owner)
            .bind(i64::try_from(index).unwrap_or(i64::MAX))
            .fetch_optional(&self.reads)
            .await?;
        Ok(row.map(|row| row.try_get::<i64, _>(0)).transpose()?.map_or(i64::MAX, |id| id - 1))
    }

    async fn count_found(
        &self,
        owner: &BareJid,
        query: &Query,
        find: &Find,
        first: Option<&Stored>,
    ) -> Result<Count> {
        // Where the client stands in its paging does not change how many there are (XEP-0059 §2.6).
        let whole = Query { after: None, before: None, ..query.clone() };
        let whole =
            Find::new(&whole, self.lag.load(Ordering::Acquire)).unwrap_or_else(|| find.clone());
        let row = whole
            .bind(if query.has_times() { COUNT } else { COUNT_ALL_TIMES }, owner)
            .bind(first.map_or(i64::MAX, |f| f.id.get()))
            .fetch_one(&self.reads)
            .await?;
        let total: i64 = row.try_get(0)?;
        let before: i64 = row.try_get(1)?;
        Ok(Count { total: total.unsigned_abs(), before: before.unsigned_abs() })
    }
}

/// The bounds of a query, as the database wants them.
#[derive(Clone, Debug)]
struct Find {
    ids: (i64, i64),
    times: (i64, i64),
    with: Option<String>,
    /// Between these texts lie the full addresses of a bare one.
    full: (String, String),
    only: Option<String>,
    words: Option<Vec<String>>,
}

impl Find {
    /// `None` if nothing can be found.
    fn new(query: &Query, lag: i64) -> Option<Self> {
        let start = query.start.map_or(i64::MIN, Timestamp::as_micros);
        let end = query.end.map_or(i64::MAX, Timestamp::as_micros);
        // An id is not below the microseconds of its message, and not far above.
        let mut low =
            query.above.max(query.after).map_or(0, MessageId::get).max(start.saturating_sub(1));
        let below = [query.below, query.before].into_iter().flatten().min();
        let mut high = below.map_or(i64::MAX, MessageId::get).min(end.saturating_add(lag + 1));
        if let Some(ids) = &query.ids {
            low = low.max(ids.iter().min()?.get() - 1);
            high = high.min(ids.iter().max()?.get() + 1);
        }
        let words = query.text.as_ref().map(|text| words(text, WORDS));
        if words.as_ref().is_some_and(Vec::is_empty) {
            return None;
        }
        let with = query.with.as_ref().map(|w| w.as_str().to_owned());
        let full = match &query.with {
            // `0` comes behind `/`.
            Some(with) if with.is_bare() => (format!("{with}/"), format!("{with}0")),
            _ => (String::new(), String::new()),
        };
        let numbers = |ids: &Vec<MessageId>| ids.iter().map(|id| id.get()).collect::<Vec<_>>();
        let only = query.ids.as_ref().map(|ids| list(&numbers(ids)));
        Some(Self { ids: (low, high), times: (start, end), with, full, only, words })
    }

    fn bind(&self, statement: &'static str, owner: &BareJid) -> super::many::Statement {
        sqlx::query(statement)
            .bind(owner.as_str())
            .bind(self.ids.0)
            .bind(self.ids.1)
            .bind(self.times.0)
            .bind(self.times.1)
            .bind(self.with.clone())
            .bind(self.full.0.clone())
            .bind(self.full.1.clone())
            .bind(self.only.clone())
            .bind(self.words.as_ref().map(|words| expression(words)))
    }
}

/// In the language of FTS5, all words in quotes: none of them can be an operator. The statement
/// puts the owner before it.
fn expression(words: &[String]) -> String {
    let quoted: Vec<String> =
        words.iter().map(|w| format!("words : \"{}\"", w.replace('"', ""))).collect();
    quoted.join(" AND ")
}

macro_rules! find {
    ($what:literal, $join:literal, $times:literal, $order:literal) => {
        concat!(
            "WITH found (id) AS MATERIALIZED (SELECT rowid FROM archive_text \
             WHERE archive_text MATCH \
             'holders : \"o' || (SELECT number FROM owner WHERE jid = $1) || '\" AND ' || $10) \
             SELECT ",
            $what,
            " FROM archive a ",
            $join,
            " WHERE a.owner = (SELECT number FROM owner WHERE jid = $1) \
             AND a.volume_first < $3 AND a.volume_first >= \
             coalesce((SELECT max(first) FROM archive_volume WHERE first <= $2), 0) \
             AND a.first < $3 AND a.first >= coalesce((SELECT max(s.first) FROM archive_segment s \
             WHERE s.volume = a.volume AND s.owner = a.owner AND s.first <= $2), 0) \
             AND a.id > $2 AND a.id < $3 ",
            $times,
            " AND ($6 IS NULL OR a.peer = $6 OR (a.peer > $7 AND a.peer < $8)) \
             AND ($9 IS NULL OR a.id IN (SELECT value FROM json_each($9))) \
             AND ($10 IS NULL OR a.id IN found) ",
            $order
        )
    };
    ($what:literal, all times, $order:literal) => {
        find!($what, "", "", $order)
    };
    ($what:literal, $order:literal) => {
        find!($what, "CROSS JOIN message m ON m.id = a.id", "AND m.at >= $4 AND m.at <= $5", $order)
    };
}

const FORWARDS: &str =
    find!("a.id, m.at, a.peer, a.way, m.xml", "ORDER BY a.volume, a.first, a.id LIMIT $11");
const BACKWARDS: &str = find!(
    "a.id, m.at, a.peer, a.way, m.xml",
    "ORDER BY a.volume DESC, a.first DESC, a.id DESC LIMIT $11"
);
/// How many there are, and before an id.
const COUNT: &str = find!("count(*), count(*) FILTER (WHERE a.id < $11)", "");
/// As fast as narrow rows can be read.
const COUNT_ALL_TIMES: &str = find!("count(*), count(*) FILTER (WHERE a.id < $11)", all times, "");
/// Which message is at a position.
const AT: &str = find!("a.id", "ORDER BY a.volume, a.first, a.id LIMIT 1 OFFSET $11");
const AT_ALL_TIMES: &str =
    find!("a.id", all times, "ORDER BY a.volume, a.first, a.id LIMIT 1 OFFSET $11");
/// How many of these there are.
const HAS: &str = "SELECT count(*) FROM owner o CROSS JOIN json_each($2) wanted \
    CROSS JOIN archive_row a WHERE o.jid = $1 AND a.owner = o.number AND a.id = wanted.value \
    AND a.segment = (SELECT s.segment FROM archive_segment s WHERE s.volume = (SELECT number \
    FROM archive_volume WHERE first <= wanted.value ORDER BY number DESC LIMIT 1) \
    AND s.owner = o.number AND s.first <= wanted.value ORDER BY s.first DESC LIMIT 1)";

/// How many words can be asked for.
const WORDS: usize = 16;

/// What an archive is to forget.
pub(super) struct Expire {
    pub(super) owner: BareJid,
    /// Ids below are to be forgotten.
    pub(super) below: i64,
}

#[async_trait]
impl Change for Expire {
    type Answer = u64;

    async fn apply(&self, on: &mut Writing<'_>) -> Result<u64> {
        let Some(known) = on.owner_if_any(&self.owner).await? else { return Ok(0) };
        let owner = known.number;
        let rows = sqlx::query_as::<_, (i64, bool)>(
            "SELECT a.id, EXISTS \
             (SELECT 1 FROM waiting w WHERE w.owner = a.owner AND w.message = a.id) \
             FROM archive a WHERE a.owner = $1 AND a.volume_first < $2 AND a.first < $2 AND a.id < $2 \
             ORDER BY a.volume, a.first, a.id LIMIT $3",
        )
        .bind(owner)
        .bind(self.below)
        .bind(AT_ONCE)
        .fetch_all(&mut *on.connection)
        .await?;
        let Some((last, _)) = rows.last().copied() else { return Ok(0) };
        // What waits is held by its mark from now on.
        if rows.iter().any(|(_, waits)| *waits) {
            sqlx::query("UPDATE waiting SET alone = 1 WHERE owner = $1 AND message <= $2")
                .bind(owner)
                .bind(last)
                .execute(&mut *on.connection)
                .await?;
        }
        let gone = rows.iter().filter(|(_, waits)| !waits).map(|(id, _)| *id).collect();
        release(on, gone).await?;
        segment::forget(on, owner, last).await?;
        Ok(rows.len() as u64)
    }
}

/// How many messages are forgotten in one change, so that it does not hold up the others.
const AT_ONCE: i64 = 500;

fn stored(row: &DbRow) -> Result<Stored> {
    let peer: Jid = jid(row, "peer", "archive")?;
    let way = if row.try_get::<i64, _>("way")? == 0 { Way::Received } else { Way::Sent };
    Ok(Stored {
        id: number(row.try_get("id")?)?,
        at: micros(row.try_get("at")?),
        with: peer,
        way,
        xml: Bytes::from(row.try_get::<Vec<u8>, _>("xml")?),
    })
}

fn micros(at: i64) -> Timestamp {
    Timestamp::from_micros(at)
}

fn number(id: i64) -> Result<MessageId> {
    MessageId::new(id).ok_or_else(|| StorageError::Inconsistent {
        table: "message",
        key: id.to_string(),
        problem: "not a number of a message".into(),
    })
}

#[cfg(test)]
mod tests {
    use sqlx::Connection as _;

    use super::*;
    use crate::storage::SqliteStorage;
    use crate::storage::sql::{Connection, release, resumption, segment};
    use crate::tasks::Tasks;

    /// How the database goes about it, one step a line.
    async fn plan(connection: &mut Connection, statement: &str) -> Vec<String> {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let rows = sqlx::query(explain).fetch_all(connection).await.unwrap();
        rows.iter().map(|row| row.get::<String, _>("detail")).collect()
    }

    #[tokio::test]
    async fn no_frequent_statement_walks_through_a_table() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("waxwing.sqlite");
        SqliteStorage::open(&path, 1, &Tasks::new()).await.unwrap();
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
        let mut connection = Connection::connect_with(&options).await.unwrap();
        let mut statements: Vec<String> =
            [FORWARDS, BACKWARDS, COUNT, COUNT_ALL_TIMES, AT, AT_ALL_TIMES, HAS]
                .map(str::to_owned)
                .into();
        statements.extend(segment::statements());
        statements.extend(release::statements());
        statements.extend(resumption::statements());
        for statement in statements {
            let plan = plan(&mut connection, &statement).await;
            // What is bound, and the words of a search, are no tables.
            let walks = |step: &&String| {
                step.starts_with("SCAN")
                    && [
                        "message",
                        "m ",
                        "archive_row",
                        "archive_segment",
                        "a ",
                        "s ",
                        "waiting",
                        "owner",
                        "resumable",
                        "handled",
                    ]
                    .iter()
                    .any(|table| format!("{} ", &step[5..]).starts_with(table))
            };
            assert_eq!(plan.iter().find(walks), None, "{statement}: {plan:?}");
            let sorts = |step: &&String| step.contains("USE TEMP B-TREE");
            assert_eq!(plan.iter().find(sorts), None, "{statement}: {plan:?}");
        }
    }
}
