//! Sessions that can be resumed. What changes with each message stands apart (`handled`).

use std::sync::LazyLock;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use bytes::Bytes;
use sqlx::Row;

use super::Database;
use super::delete_messages::list;
use super::insert_messages::write_handled;
use super::writer::{Change, WriteTx};
use crate::jid::{BareJid, Jid};
use crate::payload::datetime::Timestamp;
use crate::storage::sql::multi_row::MultiRow;
use crate::storage::sql::{DbRow, jid};
use crate::storage::{
    Handled, NodeNumber, Receipt, Result, Resumable, ResumptionStore, SavedSession, SessionNumber, StorageError,
};

#[async_trait]
impl ResumptionStore for Database {
    async fn begin(
        &self,
        owner: &BareJid,
        resource: &str,
        key: &str,
    ) -> Result<(SessionNumber, Receipt)> {
        let counter = self.last_session.fetch_add(1, Ordering::Relaxed) + 1;
        let (node, number) = (self.node, SessionNumber::new(self.node, counter));
        let begin =
            Begin { number, node, owner: owner.clone(), resource: resource.into(), key: key.into() };
        Ok((number, self.writer.begin(begin).await?))
    }

    async fn handled(&self, handled: Handled) -> Result<Receipt> {
        self.writer.handled(handled).await
    }

    async fn save(&self, sessions: Vec<SavedSession>) -> Result<()> {
        self.writer.write(Save(sessions)).await
    }

    async fn find(&self, key: &str) -> Result<Option<Resumable>> {
        self.writer.flush().await?;
        let row = sqlx::query(
            "SELECT r.number, o.jid, r.resource, r.key, h.count, r.ended, r.state \
             FROM resumable r JOIN owner o ON o.number = r.owner \
             LEFT JOIN handled h ON h.session = r.number WHERE r.key = $1",
        )
        .bind(key)
        .fetch_optional(&self.reads)
        .await?;
        row.as_ref().map(resumable).transpose()
    }

    async fn all(&self) -> Result<Vec<Resumable>> {
        self.writer.flush().await?;
        let rows = sqlx::query(
            "SELECT r.number, o.jid, r.resource, r.key, h.count, r.ended, r.state \
             FROM resumable r JOIN owner o ON o.number = r.owner \
             LEFT JOIN handled h ON h.session = r.number \
             WHERE r.node = $1 AND r.ended IS NULL ORDER BY r.number",
        )
        .bind(i64::from(self.node.get()))
        .fetch_all(&self.reads)
        .await?;
        rows.iter().map(resumable).collect()
    }

    async fn begin_anew(&self, at: Timestamp) -> Result<()> {
        self.writer.write(BeginAnew { node: self.node, at }).await
    }

    async fn end(&self, session: SessionNumber, at: Timestamp) -> Result<()> {
        self.writer.end(session, at).await
    }

    async fn end_all(&self, owner: &BareJid, at: Timestamp) -> Result<u64> {
        self.writer.write(EndAll { owner: owner.clone(), at }).await
    }

    async fn expire(&self, before: Timestamp) -> Result<u64> {
        self.writer.write(Expire(before)).await
    }
}

/// A session that begins.
pub(super) struct Begin {
    number: SessionNumber,
    node: NodeNumber,
    owner: BareJid,
    resource: String,
    key: String,
}

/// Sessions have begun.
pub(super) async fn write_begun(on: &mut WriteTx<'_>, begun: &[&Begin]) -> Result<()> {
    let mut rows = Vec::with_capacity(begun.len());
    for session in begun {
        rows.push((on.owner(&session.owner).await?.number, *session));
    }
    BEGUN
        .execute(on.connection, &rows, |q, (owner, session)| {
            q.bind(session.number.0)
                .bind(*owner)
                .bind(session.resource.as_str())
                .bind(session.key.as_str())
                .bind(i64::from(session.node.get()))
        })
        .await
}

/// Sessions have ended: number, when.
pub(super) async fn write_ended(on: &mut WriteTx<'_>, ended: &[(i64, i64)]) -> Result<()> {
    ENDED.execute(on.connection, ended, |q, (number, at)| q.bind(*number).bind(*at)).await
}

struct Save(Vec<SavedSession>);

#[async_trait]
impl Change for Save {
    type Answer = ();

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<()> {
        for session in &self.0 {
            let done =
                sqlx::query("UPDATE resumable SET state = $2, ended = NULL WHERE number = $1")
                    .bind(session.number.0)
                    .bind(&session.state[..])
                    .execute(&mut *on.connection)
                    .await?;
            if done.rows_affected() == 0 {
                // Its beginning could not be written: the disk was full, or its account is gone.
                let key = session.number.0.to_string();
                let problem = "there is no such session".to_owned();
                return Err(StorageError::Inconsistent { table: "resumable", key, problem });
            }
        }
        write_handled(on, self.0.iter().map(|s| (s.number.0, s.handled)).collect()).await
    }
}

struct BeginAnew {
    node: NodeNumber,
    at: Timestamp,
}

#[async_trait]
impl Change for BeginAnew {
    type Answer = ();

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<()> {
        let node = i64::from(self.node.get());
        sqlx::query(LOST)
            .bind(node)
            .bind(self.at.as_micros())
            .execute(&mut *on.connection)
            .await?;
        sqlx::query(FORGOTTEN).bind(node).execute(&mut *on.connection).await?;
        // Counts that came late, or of owners that are gone, have no session.
        sqlx::query("DELETE FROM handled WHERE session NOT IN (SELECT number FROM resumable)")
            .execute(&mut *on.connection)
            .await?;
        Ok(())
    }
}

struct EndAll {
    owner: BareJid,
    at: Timestamp,
}

#[async_trait]
impl Change for EndAll {
    type Answer = u64;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<u64> {
        let saved = sqlx::query_as::<_, (i64,)>(SAVED_OF)
            .bind(self.owner.as_str())
            .fetch_one(&mut *on.connection)
            .await?;
        sqlx::query(END_ALL)
            .bind(self.owner.as_str())
            .bind(self.at.as_micros())
            .execute(&mut *on.connection)
            .await?;
        Ok(u64::try_from(saved.0).unwrap_or(0))
    }
}

struct Expire(Timestamp);

#[async_trait]
impl Change for Expire {
    type Answer = u64;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<u64> {
        let gone = sqlx::query_as::<_, (i64,)>(EXPIRED)
            .bind(self.0.as_micros())
            .bind(AT_ONCE)
            .fetch_all(&mut *on.connection)
            .await?;
        if gone.is_empty() {
            return Ok(0);
        }
        let gone: Vec<i64> = gone.into_iter().map(|(number,)| number).collect();
        let numbers = list(&gone);
        for statement in GONE {
            sqlx::query(statement).bind(&numbers).execute(&mut *on.connection).await?;
        }
        Ok(gone.len() as u64)
    }
}

/// How many sessions are forgotten in one change, so that it does not hold up the others.
const AT_ONCE: i64 = 500;

// Only what has not ended has something saved.
const LOST: &str = "UPDATE resumable SET ended = $2 \
    WHERE node = $1 AND ended IS NULL AND state IS NULL";
const FORGOTTEN: &str =
    "UPDATE resumable SET state = NULL \
    WHERE node = $1 AND ended IS NULL AND state IS NOT NULL";
const SAVED_OF: &str = "SELECT count(*) FROM resumable WHERE owner = (SELECT number FROM owner \
     WHERE jid = $1) AND ended IS NULL AND state IS NOT NULL";
const END_ALL: &str = "UPDATE resumable SET ended = $2, state = NULL WHERE owner = \
     (SELECT number FROM owner WHERE jid = $1) AND ended IS NULL";
const EXPIRED: &str = "SELECT number FROM resumable WHERE ended < $1 ORDER BY ended LIMIT $2";
const GONE: [&str; 2] = [
    "DELETE FROM handled WHERE session IN (SELECT value FROM json_each($1))",
    "DELETE FROM resumable WHERE number IN (SELECT value FROM json_each($1))",
];

static BEGUN: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new("INSERT INTO resumable (number, owner, resource, key, node) VALUES ", 5, "")
});
static ENDED: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new(
        "WITH gone (number, at) AS (VALUES ",
        2,
        ") UPDATE resumable SET ended = gone.at, state = NULL FROM gone \
         WHERE resumable.number = gone.number",
    )
});

/// All that must not walk through the table.
#[cfg(test)]
pub(super) fn statements() -> Vec<String> {
    let others = [LOST, FORGOTTEN, SAVED_OF, END_ALL, EXPIRED].into_iter().chain(GONE);
    ENDED.texts().chain(others.map(str::to_owned)).collect()
}

fn resumable(row: &DbRow) -> Result<Resumable> {
    let owner: Jid = jid(row, "jid", "owner")?;
    let number: i64 = row.try_get("number")?;
    let count = row.try_get::<Option<i64>, _>("count")?.unwrap_or(0);
    Ok(Resumable {
        number: SessionNumber(number),
        owner: owner.to_bare(),
        resource: row.try_get("resource")?,
        key: row.try_get("key")?,
        handled: count.try_into().map_err(|_| StorageError::Inconsistent {
            table: "handled",
            key: number.to_string(),
            problem: format!("{count} stanzas"),
        })?,
        ended: row.try_get::<Option<i64>, _>("ended")?.map(Timestamp::from_micros),
        state: row.try_get::<Option<Vec<u8>>, _>("state")?.map(Bytes::from),
    })
}
