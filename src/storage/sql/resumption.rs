//! Sessions that can be resumed. What changes with each message stands apart (`handled`).

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use bytes::Bytes;
use sqlx::Row;

use super::writer::{Change, Nothing, Writing};
use super::{Database, DbRow, keep::write_handled};
use crate::jid::{BareJid, Jid};
use crate::payload::datetime::Timestamp;
use crate::storage::{
    Handled, Receipt, Result, Resumable, ResumptionStore, SavedSession, SessionNumber, StorageError,
};

#[async_trait]
impl ResumptionStore for Database {
    async fn begin(
        &self,
        owner: &BareJid,
        resource: &str,
        key: &str,
    ) -> Result<(SessionNumber, Receipt)> {
        let number = SessionNumber(self.last_session.fetch_add(1, Ordering::Relaxed) + 1);
        let begin =
            Begin { number, owner: owner.clone(), resource: resource.into(), key: key.into() };
        Ok((number, self.writer.hand_over(begin).await?))
    }

    async fn handled(&self, handled: Handled) -> Result<Receipt> {
        self.writer.handled(handled).await
    }

    async fn save(&self, sessions: Vec<SavedSession>) -> Result<()> {
        self.writer.write(Save(sessions)).await
    }

    async fn find(&self, key: &str) -> Result<Option<Resumable>> {
        self.writer.write(Nothing).await?;
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
        self.writer.write(Nothing).await?;
        let rows = sqlx::query(
            "SELECT r.number, o.jid, r.resource, r.key, h.count, r.ended, r.state \
             FROM resumable r JOIN owner o ON o.number = r.owner \
             LEFT JOIN handled h ON h.session = r.number ORDER BY r.number",
        )
        .fetch_all(&self.reads)
        .await?;
        rows.iter().map(resumable).collect()
    }

    async fn begin_anew(&self, at: Timestamp) -> Result<()> {
        self.writer.write(BeginAnew(at)).await
    }

    async fn end(&self, session: SessionNumber, at: Timestamp) -> Result<()> {
        self.writer.end(session, at).await
    }

    async fn expire(&self, before: Timestamp) -> Result<u64> {
        self.writer.write(Expire(before)).await
    }
}

struct Begin {
    number: SessionNumber,
    owner: BareJid,
    resource: String,
    key: String,
}

#[async_trait]
impl Change for Begin {
    type Answer = ();

    async fn apply(&self, on: &mut Writing<'_>) -> Result<()> {
        let owner = on.owner(&self.owner).await?.number;
        sqlx::query("INSERT INTO resumable (number, owner, resource, key) VALUES ($1, $2, $3, $4)")
            .bind(self.number.0)
            .bind(owner)
            .bind(self.resource.as_str())
            .bind(self.key.as_str())
            .execute(&mut *on.connection)
            .await?;
        Ok(())
    }
}

struct Save(Vec<SavedSession>);

#[async_trait]
impl Change for Save {
    type Answer = ();

    async fn apply(&self, on: &mut Writing<'_>) -> Result<()> {
        for session in &self.0 {
            sqlx::query("UPDATE resumable SET state = $2, ended = NULL WHERE number = $1")
                .bind(session.number.0)
                .bind(&session.state[..])
                .execute(&mut *on.connection)
                .await?;
        }
        write_handled(on, self.0.iter().map(|s| (s.number.0, s.handled)).collect()).await
    }
}

struct BeginAnew(Timestamp);

#[async_trait]
impl Change for BeginAnew {
    type Answer = ();

    async fn apply(&self, on: &mut Writing<'_>) -> Result<()> {
        sqlx::query("UPDATE resumable SET ended = $1 WHERE ended IS NULL AND state IS NULL")
            .bind(self.0.as_micros())
            .execute(&mut *on.connection)
            .await?;
        sqlx::query("UPDATE resumable SET state = NULL WHERE state IS NOT NULL")
            .execute(&mut *on.connection)
            .await?;
        Ok(())
    }
}

/// A session has ended.
pub(super) async fn write_end(on: &mut Writing<'_>, number: i64, at: Timestamp) -> Result<()> {
    sqlx::query("UPDATE resumable SET ended = $2, state = NULL WHERE number = $1")
        .bind(number)
        .bind(at.as_micros())
        .execute(&mut *on.connection)
        .await?;
    Ok(())
}

struct Expire(Timestamp);

#[async_trait]
impl Change for Expire {
    type Answer = u64;

    async fn apply(&self, on: &mut Writing<'_>) -> Result<u64> {
        let gone = sqlx::query("DELETE FROM resumable WHERE ended < $1")
            .bind(self.0.as_micros())
            .execute(&mut *on.connection)
            .await?;
        // Counts that came late, or of owners that are gone, have no session.
        sqlx::query("DELETE FROM handled WHERE session NOT IN (SELECT number FROM resumable)")
            .execute(&mut *on.connection)
            .await?;
        Ok(gone.rows_affected())
    }
}

fn resumable(row: &DbRow) -> Result<Resumable> {
    let owner: Jid = super::jid(row, "jid", "owner")?;
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
