//! Documents: XML by owner, kind and key.

use std::sync::LazyLock;

use sqlx::Row;

use super::multi_row::MultiRow;
use super::{Connection, jid};
use crate::jid::BareJid;
use crate::storage::Result;

/// One document.
pub(in crate::storage) async fn get(
    on: &mut Connection,
    owner: &BareJid,
    kind: &str,
    key: &str,
) -> Result<Option<String>> {
    let row = sqlx::query_as::<_, (String,)>(
        "SELECT d.xml FROM owner o JOIN document d ON d.owner = o.number \
         WHERE o.jid = $1 AND d.kind = $2 AND d.key = $3",
    )
    .bind(owner.as_str())
    .bind(kind)
    .bind(key)
    .fetch_optional(on)
    .await?;
    Ok(row.map(|(xml,)| xml))
}

/// All documents of a kind, in the order of their keys.
pub(in crate::storage) async fn all(
    on: &mut Connection,
    owner: &BareJid,
    kind: &str,
) -> Result<Vec<(String, String)>> {
    let rows = sqlx::query_as::<_, (String, String)>(
        "SELECT d.key, d.xml FROM owner o JOIN document d ON d.owner = o.number \
         WHERE o.jid = $1 AND d.kind = $2 ORDER BY d.key",
    )
    .bind(owner.as_str())
    .bind(kind)
    .fetch_all(on)
    .await?;
    Ok(rows)
}

/// Those of these owners that have documents of a kind.
pub(in crate::storage) async fn owners_with(
    on: &mut Connection,
    owners: &[BareJid],
    kind: &str,
) -> Result<Vec<BareJid>> {
    let mut found = Vec::new();
    for statement in OWNERS_WITH
        .pieces(owners, |statement, owner| statement.bind(owner.to_string()).bind(kind.to_owned()))
    {
        for row in statement.fetch_all(&mut *on).await? {
            found.push(jid(&row, "jid", "owner")?.to_bare());
        }
    }
    Ok(found)
}

/// The document of this kind and key of each of these owners that has one.
pub(in crate::storage) async fn of_each(
    on: &mut Connection,
    owners: &[BareJid],
    kind: &str,
    key: &str,
) -> Result<Vec<(BareJid, String)>> {
    let mut found = Vec::new();
    for statement in OF_EACH.pieces(owners, |statement, owner| {
        statement.bind(owner.to_string()).bind(kind.to_owned()).bind(key.to_owned())
    }) {
        for row in statement.fetch_all(&mut *on).await? {
            found.push((jid(&row, "jid", "owner")?.to_bare(), row.try_get("xml")?));
        }
    }
    Ok(found)
}

static OWNERS_WITH: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new(
        "WITH wanted (owner, kind) AS (VALUES ",
        2,
        ") SELECT o.jid FROM wanted w JOIN owner o ON o.jid = w.owner WHERE EXISTS \
         (SELECT 1 FROM document d WHERE d.owner = o.number AND d.kind = w.kind)",
    )
});

static OF_EACH: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new(
        "WITH wanted (owner, kind, key) AS (VALUES ",
        3,
        ") SELECT o.jid, d.xml FROM wanted w JOIN owner o ON o.jid = w.owner \
         JOIN document d ON d.owner = o.number AND d.kind = w.kind AND d.key = w.key",
    )
});

/// Statements that must not walk through a table.
#[cfg(test)]
pub(in crate::storage) fn statements() -> impl Iterator<Item = String> {
    OWNERS_WITH.texts().chain(OF_EACH.texts())
}

/// The bytes of a document; 0 if there is none.
pub(in crate::storage) async fn size(
    on: &mut Connection,
    owner: i64,
    kind: &str,
    key: &str,
) -> Result<u64> {
    let row = sqlx::query_as::<_, (i64,)>(
        "SELECT CAST(octet_length(xml) AS BIGINT) FROM document \
         WHERE owner = $1 AND kind = $2 AND key = $3",
    )
    .bind(owner)
    .bind(kind)
    .bind(key)
    .fetch_optional(on)
    .await?;
    Ok(row.map_or(0, |(bytes,)| bytes.unsigned_abs()))
}

/// Keeps a document in place of an older one.
pub(in crate::storage) async fn put(
    on: &mut Connection,
    owner: i64,
    kind: &str,
    key: &str,
    xml: &str,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO document (owner, kind, key, xml) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (owner, kind, key) DO UPDATE SET xml = excluded.xml",
    )
    .bind(owner)
    .bind(kind)
    .bind(key)
    .bind(xml)
    .execute(on)
    .await?;
    Ok(())
}

/// Removes a document. `false` if there is none.
pub(in crate::storage) async fn remove(
    on: &mut Connection,
    owner: i64,
    kind: &str,
    key: &str,
) -> Result<bool> {
    let done = sqlx::query("DELETE FROM document WHERE owner = $1 AND kind = $2 AND key = $3")
        .bind(owner)
        .bind(kind)
        .bind(key)
        .execute(on)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// The bytes of an owner's documents, by kind.
pub(in crate::storage) async fn usage(
    on: &mut Connection,
    owner: i64,
) -> Result<Vec<(String, i64)>> {
    let rows = sqlx::query_as(
        "SELECT kind, CAST(sum(octet_length(xml)) AS BIGINT) FROM document \
         WHERE owner = $1 GROUP BY kind",
    )
    .bind(owner)
    .fetch_all(on)
    .await?;
    Ok(rows)
}
