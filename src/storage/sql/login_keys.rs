//! What a login by token needs.

use sqlx::Row;

use super::Connection;
use super::account::{hash_of, scram_keys};
use crate::jid::BareJid;
use crate::storage::{Result, ScramKeys};

/// The keys of the cheapest hash, and a document of the same owner, with one statement.
pub(in crate::storage) async fn keys_and_document(
    on: &mut Connection,
    user: &BareJid,
    kind: &str,
    key: &str,
) -> Result<(Option<ScramKeys>, Option<String>)> {
    let row = sqlx::query(KEYS_AND_DOCUMENT)
        .bind(user.as_str())
        .bind(kind)
        .bind(key)
        .fetch_optional(on)
        .await?;
    let Some(row) = row else { return Ok((None, None)) };
    let document = row.try_get("xml")?;
    if row.try_get::<Option<i64>, _>("hash")?.is_none() {
        return Ok((None, document));
    }
    let keys = hash_of(&row)?.map(|hash| scram_keys(&row, user, hash)).transpose()?;
    Ok((keys, document))
}

/// For tests, too.
pub(in crate::storage) const KEYS_AND_DOCUMENT: &str = "SELECT k.hash, k.iterations, k.salt, k.stored_key, k.server_key, \
     d.xml FROM owner o LEFT JOIN scram_keys k ON k.owner = o.number \
     LEFT JOIN document d ON d.owner = o.number AND d.kind = $2 AND d.key = $3 \
     WHERE o.jid = $1 ORDER BY k.hash LIMIT 1";
