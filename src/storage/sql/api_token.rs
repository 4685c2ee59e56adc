//! Tokens for the HTTP API.

use sqlx::Row;

use super::{Connection, DbRow};
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::{ApiToken, ApiTokenHash, Result};

/// Adds a token of an owner that has an account. `false` if it has none.
pub(in crate::storage) async fn add(
    on: &mut Connection,
    owner: i64,
    hash: ApiTokenHash,
    token: &ApiToken,
) -> Result<bool> {
    let done = sqlx::query(
        "INSERT INTO api_token (hash, owner, id, name, scopes, created, expires) \
         SELECT $1, a.owner, $3, $4, $5, $6, $7 FROM account a WHERE a.owner = $2",
    )
    .bind(hash.to_vec())
    .bind(owner)
    .bind(&token.id)
    .bind(&token.name)
    .bind(&token.scopes)
    .bind(token.created.as_micros())
    .bind(token.expires.map(Timestamp::as_micros))
    .execute(on)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Removes the tokens of an owner that are over at a time, in microseconds since 1970.
pub(in crate::storage) async fn remove_over(
    on: &mut Connection,
    owner: i64,
    now: i64,
) -> Result<()> {
    sqlx::query("DELETE FROM api_token WHERE owner = $1 AND expires <= $2")
        .bind(owner)
        .bind(now)
        .execute(on)
        .await?;
    Ok(())
}

/// How many tokens an owner has.
pub(in crate::storage) async fn count(on: &mut Connection, owner: i64) -> Result<u64> {
    let row = sqlx::query_as::<_, (i64,)>("SELECT count(*) FROM api_token WHERE owner = $1");
    Ok(row.bind(owner).fetch_one(on).await?.0.unsigned_abs())
}

/// The token with this hash, and its owner.
pub(in crate::storage) async fn find(
    on: &mut Connection,
    hash: ApiTokenHash,
) -> Result<Option<(BareJid, ApiToken)>> {
    let row = sqlx::query(FIND).bind(hash.to_vec()).fetch_optional(on).await?;
    let Some(row) = row else { return Ok(None) };
    let owner = super::jid(&row, "jid", "owner")?.to_bare();
    Ok(Some((owner, token(&row)?)))
}

/// The tokens of an owner, in the order in which they were made.
pub(in crate::storage) async fn all(on: &mut Connection, owner: &BareJid) -> Result<Vec<ApiToken>> {
    let rows = sqlx::query(
        "SELECT t.id, t.name, t.scopes, t.created, t.expires, t.last_used \
         FROM owner o JOIN api_token t ON t.owner = o.number WHERE o.jid = $1 \
         ORDER BY t.created, t.id",
    )
    .bind(owner.as_str())
    .fetch_all(on)
    .await?;
    rows.iter().map(token).collect()
}

/// Notes that a token was used, at a time in microseconds since 1970.
pub(in crate::storage) async fn note(
    on: &mut Connection,
    hash: ApiTokenHash,
    at: i64,
) -> Result<()> {
    sqlx::query(NOTE).bind(at).bind(hash.to_vec()).execute(on).await?;
    Ok(())
}

/// Removes a token. `false` if the owner has none with this id.
pub(in crate::storage) async fn remove(on: &mut Connection, owner: i64, id: &str) -> Result<bool> {
    let done = sqlx::query("DELETE FROM api_token WHERE owner = $1 AND id = $2")
        .bind(owner)
        .bind(id)
        .execute(on)
        .await?;
    Ok(done.rows_affected() > 0)
}

fn token(row: &DbRow) -> Result<ApiToken> {
    let time = |at: Option<i64>| at.map(Timestamp::from_micros);
    Ok(ApiToken {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        scopes: row.try_get("scopes")?,
        created: Timestamp::from_micros(row.try_get("created")?),
        expires: time(row.try_get("expires")?),
        last_used: time(row.try_get("last_used")?),
    })
}

const FIND: &str = "SELECT o.jid, t.id, t.name, t.scopes, t.created, t.expires, t.last_used \
    FROM api_token t JOIN owner o ON o.number = t.owner WHERE t.hash = $1";
const NOTE: &str = "UPDATE api_token SET last_used = $1 WHERE hash = $2";

/// Those that must not walk through a table.
#[cfg(test)]
pub(in crate::storage) fn statements() -> Vec<String> {
    [FIND, NOTE].map(str::to_owned).to_vec()
}
