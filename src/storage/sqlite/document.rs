//! Documents: whatever a feature keeps under a kind and a key.

use async_trait::async_trait;

use super::writer::{Change, WriteTx};
use super::{Database, usage};
use crate::jid::BareJid;
use crate::storage::{DocumentStore, Result};

#[async_trait]
impl DocumentStore for Database {
    async fn get(&self, owner: &BareJid, kind: &str, key: &str) -> Result<Option<String>> {
        let row = sqlx::query_as::<_, (String,)>(
            "SELECT d.xml FROM owner o JOIN document d ON d.owner = o.number \
             WHERE o.jid = $1 AND d.kind = $2 AND d.key = $3",
        )
        .bind(owner.as_str())
        .bind(kind)
        .bind(key)
        .fetch_optional(&self.reads)
        .await?;
        Ok(row.map(|(xml,)| xml))
    }

    async fn all(&self, owner: &BareJid, kind: &str) -> Result<Vec<(String, String)>> {
        let rows = sqlx::query_as::<_, (String, String)>(
            "SELECT d.key, d.xml FROM owner o JOIN document d ON d.owner = o.number \
             WHERE o.jid = $1 AND d.kind = $2 ORDER BY d.key",
        )
        .bind(owner.as_str())
        .bind(kind)
        .fetch_all(&self.reads)
        .await?;
        Ok(rows)
    }

    async fn put(&self, owner: &BareJid, kind: &str, key: &str, xml: &str) -> Result<()> {
        let name = Name::new(owner, kind, key);
        self.writer.write(Put { name, xml: xml.to_owned(), within_quota: false }).await
    }

    async fn put_within_quota(
        &self,
        owner: &BareJid,
        kind: &str,
        key: &str,
        xml: &str,
    ) -> Result<()> {
        let name = Name::new(owner, kind, key);
        self.writer.write(Put { name, xml: xml.to_owned(), within_quota: true }).await
    }

    async fn remove(&self, owner: &BareJid, kind: &str, key: &str) -> Result<bool> {
        self.writer.write(Remove(Name::new(owner, kind, key))).await
    }
}

struct Name {
    owner: BareJid,
    kind: String,
    key: String,
}

impl Name {
    fn new(owner: &BareJid, kind: &str, key: &str) -> Self {
        Self { owner: owner.clone(), kind: kind.to_owned(), key: key.to_owned() }
    }
}

struct Put {
    name: Name,
    xml: String,
    within_quota: bool,
}

#[async_trait]
impl Change for Put {
    type Answer = ();

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<()> {
        let owner = on.owner(&self.name.owner).await?.number;
        let old = sqlx::query_as::<_, (i64,)>(
            "SELECT octet_length(xml) FROM document WHERE owner = $1 AND kind = $2 AND key = $3",
        )
        .bind(owner)
        .bind(self.name.kind.as_str())
        .bind(self.name.key.as_str())
        .fetch_optional(&mut *on.connection)
        .await?;
        let old = old.map_or(0, |(bytes,)| bytes.unsigned_abs());
        usage::change(on, &self.name.owner, old, self.xml.len() as u64, self.within_quota).await?;
        sqlx::query(
            "INSERT INTO document (owner, kind, key, xml) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (owner, kind, key) DO UPDATE SET xml = excluded.xml",
        )
        .bind(owner)
        .bind(self.name.kind.as_str())
        .bind(self.name.key.as_str())
        .bind(self.xml.as_str())
        .execute(&mut *on.connection)
        .await?;
        Ok(())
    }
}

struct Remove(Name);

#[async_trait]
impl Change for Remove {
    type Answer = bool;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<bool> {
        let Some(known) = on.owner_if_any(&self.0.owner).await? else { return Ok(false) };
        let done = sqlx::query("DELETE FROM document WHERE owner = $1 AND kind = $2 AND key = $3")
            .bind(known.number)
            .bind(self.0.kind.as_str())
            .bind(self.0.key.as_str())
            .execute(&mut *on.connection)
            .await?;
        on.memory.freed(&self.0.owner);
        Ok(done.rows_affected() > 0)
    }
}
