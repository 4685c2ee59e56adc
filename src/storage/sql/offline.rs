//! Messages that wait: the body once, by its number, and a narrow mark for who has not got it.
//!
//! What an archive will keep is the same body; it joins with a table of its own.

use std::fmt::Write as _;
use std::sync::LazyLock;

use async_trait::async_trait;
use bytes::Bytes;
use rustc_hash::FxHashMap;

use super::writer::{Change, Known, Writing};
use super::{Database, bound};
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::{OfflineMessage, OfflineStore, Result, StorageError};

#[async_trait]
impl OfflineStore for Database {
    async fn keep(&self, owner: &BareJid, at: Timestamp, xml: Bytes, limit: u32) -> Result<i64> {
        self.writer.keep(Keep::new(owner, at, xml, limit)).await
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

/// A message to be kept.
#[derive(Debug)]
pub(super) struct Keep {
    owner: BareJid,
    at: Timestamp,
    xml: Bytes,
    limit: u32,
}

impl Keep {
    pub(super) fn new(owner: &BareJid, at: Timestamp, xml: Bytes, limit: u32) -> Self {
        Self { owner: owner.clone(), at, xml, limit }
    }
}

#[async_trait]
impl Change for Keep {
    type Answer = i64;

    async fn apply(&self, on: &mut Writing<'_>) -> Result<i64> {
        keep_all(on, &[self]).await?.pop().expect("one answer for one change")
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
        let forgotten = forget_up_to(on, known.number, self.up_to).await?;
        on.memory.remember(&self.owner, Known { waiting: None, ..known });
        Ok(forgotten)
    }
}

/// Keeps many messages with few statements; answers for each in order.
pub(super) async fn keep_all(on: &mut Writing<'_>, all: &[&Keep]) -> Result<Vec<Result<i64>>> {
    let mut answers = Vec::with_capacity(all.len());
    let mut rows = Vec::with_capacity(all.len());
    // Counted apart, as the writer's memory forgets when it is full.
    let mut owners: FxHashMap<&BareJid, (i64, u32)> = FxHashMap::default();
    let mut id = last_message(on).await?;
    for keep in all {
        let (owner, mut waiting) = match owners.get(&keep.owner) {
            Some(known) => *known,
            None => count_waiting(on, &keep.owner).await?,
        };
        if waiting >= keep.limit {
            answers.push(Err(StorageError::Limit("offline messages")));
        } else {
            id += 1;
            waiting += 1;
            rows.push((owner, id, *keep));
            answers.push(Ok(id));
        }
        owners.insert(&keep.owner, (owner, waiting));
    }
    insert(on, &rows).await?;
    on.memory.last_message = Some(id);
    for (jid, (number, waiting)) in owners {
        on.memory.remember(jid, Known { number, waiting: Some(waiting) });
    }
    Ok(answers)
}

/// Forgets the marks of an owner, and the messages that nobody else needs.
pub(super) async fn forget_up_to(on: &mut Writing<'_>, owner: i64, up_to: i64) -> Result<u64> {
    sqlx::query(
        "DELETE FROM message WHERE id IN \
         (SELECT message FROM waiting WHERE owner = $1 AND message <= $2)",
    )
    .bind(owner)
    .bind(up_to)
    .execute(&mut *on.connection)
    .await?;
    let marks = sqlx::query("DELETE FROM waiting WHERE owner = $1 AND message <= $2")
        .bind(owner)
        .bind(up_to)
        .execute(&mut *on.connection)
        .await?;
    Ok(marks.rows_affected())
}

async fn last_message(on: &mut Writing<'_>) -> Result<i64> {
    if let Some(id) = on.memory.last_message {
        return Ok(id);
    }
    // Not `max(id)`: the newest may have been forgotten, and its id must not come again.
    let row = sqlx::query_as::<_, (i64,)>("SELECT seq FROM sqlite_sequence WHERE name = 'message'")
        .fetch_optional(&mut *on.connection)
        .await?;
    Ok(row.map_or(0, |(id,)| id))
}

async fn count_waiting(on: &mut Writing<'_>, jid: &BareJid) -> Result<(i64, u32)> {
    let known = on.owner(jid).await?;
    if let Some(waiting) = known.waiting {
        return Ok((known.number, waiting));
    }
    let (count,) = sqlx::query_as::<_, (i64,)>("SELECT count(*) FROM waiting WHERE owner = $1")
        .bind(known.number)
        .fetch_one(&mut *on.connection)
        .await?;
    Ok((known.number, u32::try_from(count).unwrap_or(u32::MAX)))
}

/// A statement of many rows, prepared for a few sizes: a statement costs more than a row.
struct Sized {
    rows: usize,
    messages: String,
    marks: String,
}

static STATEMENTS: LazyLock<[Sized; 4]> = LazyLock::new(|| [64, 16, 4, 1].map(sized));

fn sized(rows: usize) -> Sized {
    let mut messages = String::from("INSERT INTO message (id, at, xml) VALUES ");
    let mut marks = String::from("INSERT INTO waiting (owner, message) VALUES ");
    for row in 0..rows {
        let comma = if row == 0 { "" } else { ", " };
        let (m, w) = (row * 3, row * 2);
        write!(messages, "{comma}(${}, ${}, ${})", m + 1, m + 2, m + 3).expect("into a string");
        write!(marks, "{comma}(${}, ${})", w + 1, w + 2).expect("into a string");
    }
    Sized { rows, messages, marks }
}

async fn insert(on: &mut Writing<'_>, mut rows: &[(i64, i64, &Keep)]) -> Result<()> {
    for size in LazyLock::force(&STATEMENTS) {
        while rows.len() >= size.rows {
            let (now, later) = rows.split_at(size.rows);
            let mut messages = sqlx::query(size.messages.as_str());
            let mut marks = sqlx::query(size.marks.as_str());
            for (owner, id, keep) in now {
                messages = messages.bind(id).bind(keep.at.as_micros()).bind(&keep.xml[..]);
                marks = marks.bind(owner).bind(id);
            }
            messages.execute(&mut *on.connection).await?;
            marks.execute(&mut *on.connection).await?;
            rows = later;
        }
    }
    Ok(())
}
