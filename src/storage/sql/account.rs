//! Accounts and keys. A login reads its keys with one statement.

use std::sync::LazyLock;

use sqlx::Row;

use super::multi_row::MultiRow;
use super::transaction::Transaction;
use super::{Connection, DbRow, Statement, jid, row_limit};
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::{Account, NewAccount, Result, ScramHash, ScramKeys, StorageError};

/// The account, if there is one.
pub(in crate::storage) async fn find(
    on: &mut Connection,
    user: &BareJid,
) -> Result<Option<Account>> {
    let row = sqlx::query(
        "SELECT o.jid, a.created, a.last_login, a.admin \
         FROM owner o JOIN account a ON a.owner = o.number WHERE o.jid = $1",
    )
    .bind(user.as_str())
    .fetch_optional(on)
    .await?;
    row.as_ref().map(account).transpose()
}

/// The keys of one hash.
pub(in crate::storage) async fn keys(
    on: &mut Connection,
    user: &BareJid,
    hash: ScramHash,
) -> Result<Option<ScramKeys>> {
    let row = sqlx::query(
        "SELECT k.iterations, k.salt, k.stored_key, k.server_key \
         FROM owner o JOIN scram_keys k ON k.owner = o.number \
         WHERE o.jid = $1 AND k.hash = $2",
    )
    .bind(user.as_str())
    .bind(hash_number(hash))
    .fetch_optional(on)
    .await?;
    row.map(|row| scram_keys(&row, user, hash)).transpose()
}

/// The keys of the hash with the lowest number: the cheapest one.
pub(in crate::storage) async fn cheapest_keys(
    on: &mut Connection,
    user: &BareJid,
) -> Result<Option<ScramKeys>> {
    let row = sqlx::query(
        "SELECT k.hash, k.iterations, k.salt, k.stored_key, k.server_key \
         FROM owner o JOIN scram_keys k ON k.owner = o.number \
         WHERE o.jid = $1 ORDER BY k.hash LIMIT 1",
    )
    .bind(user.as_str())
    .fetch_optional(on)
    .await?;
    let Some(row) = row else { return Ok(None) };
    hash_of(&row)?.map(|hash| scram_keys(&row, user, hash)).transpose()
}

/// The hashes of which an account has keys, the cheapest first.
pub(in crate::storage) async fn hashes(
    on: &mut Connection,
    user: &BareJid,
) -> Result<Vec<ScramHash>> {
    let rows = sqlx::query(
        "SELECT k.hash FROM owner o JOIN scram_keys k ON k.owner = o.number \
         WHERE o.jid = $1 ORDER BY k.hash",
    )
    .bind(user.as_str())
    .fetch_all(on)
    .await?;
    rows.iter().filter_map(|row| hash_of(row).transpose()).collect()
}

/// The hash of a row of keys. `None` for one of a later program, which is no use to this one.
pub(super) fn hash_of(row: &DbRow) -> Result<Option<ScramHash>> {
    let number: i64 = row.try_get("hash")?;
    let mut all = [ScramHash::Sha1, ScramHash::Sha256, ScramHash::Sha512].into_iter();
    Ok(all.find(|hash| hash_number(*hash) == number))
}

/// All administrators, in the order of their addresses.
pub(in crate::storage) async fn admins(on: &mut Connection) -> Result<Vec<BareJid>> {
    let rows = sqlx::query(
        "SELECT o.jid FROM account a JOIN owner o ON o.number = a.owner \
         WHERE a.admin ORDER BY o.jid",
    )
    .fetch_all(on)
    .await?;
    rows.iter().map(|row| Ok(jid(row, "jid", "owner")?.to_bare())).collect()
}

/// A page of accounts, in the order of their addresses.
pub(in crate::storage) async fn list(
    on: &mut Connection,
    domain: Option<&str>,
    after: Option<&BareJid>,
    limit: usize,
) -> Result<Vec<Account>> {
    // Two statements, because no plan is good for both.
    let query = match domain {
        None => sqlx::query(
            "SELECT o.jid, a.created, a.last_login, a.admin \
             FROM owner o JOIN account a ON a.owner = o.number \
             WHERE o.jid > $1 ORDER BY o.jid LIMIT +$2",
        ),
        Some(_) => sqlx::query(
            "SELECT o.jid, a.created, a.last_login, a.admin \
             FROM owner o JOIN account a ON a.owner = o.number \
             WHERE o.domain = $3 AND o.jid > $1 ORDER BY o.jid LIMIT +$2",
        ),
    };
    let query = query.bind(after.map_or("", |a| a.as_str())).bind(row_limit(limit));
    let query = if let Some(domain) = domain { query.bind(domain) } else { query };
    query.fetch_all(on).await?.iter().map(account).collect()
}

/// How many accounts there are in a domain, or in all.
pub(in crate::storage) async fn count(on: &mut Connection, domain: Option<&str>) -> Result<u64> {
    let query = match domain {
        None => sqlx::query_as::<_, (i64,)>("SELECT count(*) FROM account"),
        Some(domain) => sqlx::query_as(
            "SELECT count(*) FROM owner o JOIN account a ON a.owner = o.number \
             WHERE o.domain = $1",
        )
        .bind(domain),
    };
    Ok(query.fetch_one(on).await?.0.unsigned_abs())
}

/// The owner has an account.
pub(in crate::storage) async fn exists(on: &mut Connection, owner: i64) -> Result<bool> {
    let row = sqlx::query("SELECT 1 FROM account WHERE owner = $1")
        .bind(owner)
        .fetch_optional(on)
        .await?;
    Ok(row.is_some())
}

/// Makes the account of an owner that has none.
pub(in crate::storage) async fn insert(
    on: &mut Connection,
    owner: i64,
    new: &NewAccount,
) -> Result<()> {
    sqlx::query("INSERT INTO account (owner, created, admin) VALUES ($1, $2, $3)")
        .bind(owner)
        .bind(new.created.as_micros())
        .bind(new.admin)
        .execute(&mut *on)
        .await?;
    insert_keys(on, owner, &new.keys).await
}

/// Replaces all keys of an account.
pub(in crate::storage) async fn replace_keys(
    on: &mut Connection,
    owner: i64,
    keys: &[ScramKeys],
) -> Result<()> {
    sqlx::query("DELETE FROM scram_keys WHERE owner = $1").bind(owner).execute(&mut *on).await?;
    insert_keys(on, owner, keys).await
}

/// Adds keys of a hash to those of an account, unless it has some.
pub(in crate::storage) async fn add_keys(
    on: &mut Connection,
    owner: i64,
    keys: &ScramKeys,
) -> Result<()> {
    let statement = sqlx::query(
        "INSERT INTO scram_keys (owner, hash, iterations, salt, stored_key, server_key) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
    );
    bind_keys(statement, owner, keys).execute(on).await?;
    Ok(())
}

/// Gives or takes the role of an administrator. `false` if the owner has no account.
pub(in crate::storage) async fn set_admin(
    on: &mut Connection,
    owner: i64,
    admin: bool,
) -> Result<bool> {
    let done = sqlx::query("UPDATE account SET admin = $2 WHERE owner = $1")
        .bind(owner)
        .bind(admin)
        .execute(on)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Notes logins: owner, and microseconds since 1970. Does nothing for owners without an account.
pub(in crate::storage) async fn note_logins(
    on: &mut Transaction<'_>,
    logins: &[(i64, i64)],
) -> Result<()> {
    LOGINS.execute(on, logins, |q, (owner, at)| q.bind(*owner).bind(*at)).await
}

static LOGINS: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new(
        "WITH login (owner, at) AS (VALUES ",
        2,
        ") UPDATE account SET last_login = login.at FROM login WHERE account.owner = login.owner",
    )
});

/// Those that must not walk through a table.
#[cfg(test)]
pub(in crate::storage) fn statements() -> Vec<String> {
    LOGINS.texts().collect()
}

async fn insert_keys(on: &mut Connection, owner: i64, keys: &[ScramKeys]) -> Result<()> {
    const ONE: &str = "INSERT INTO scram_keys \
        (owner, hash, iterations, salt, stored_key, server_key) VALUES ($1, $2, $3, $4, $5, $6)";
    const THREE: &str = "INSERT INTO scram_keys \
        (owner, hash, iterations, salt, stored_key, server_key) VALUES ($1, $2, $3, $4, $5, $6), \
        ($7, $8, $9, $10, $11, $12), ($13, $14, $15, $16, $17, $18)";
    let statement = if keys.len() == 3 { THREE } else { ONE };
    for some in keys.chunks(if keys.len() == 3 { 3 } else { 1 }) {
        let mut query = sqlx::query(statement);
        for key in some {
            query = bind_keys(query, owner, key);
        }
        query.execute(&mut *on).await?;
    }
    Ok(())
}

/// The values of one row of keys.
fn bind_keys(statement: Statement, owner: i64, keys: &ScramKeys) -> Statement {
    statement
        .bind(owner)
        .bind(hash_number(keys.hash))
        .bind(i64::from(keys.iterations))
        .bind(&keys.salt[..])
        .bind(&keys.stored_key[..])
        .bind(&keys.server_key[..])
}

fn account(row: &DbRow) -> Result<Account> {
    Ok(Account {
        user: jid(row, "jid", "owner")?.to_bare(),
        created: Timestamp::from_micros(row.try_get("created")?),
        last_login: row.try_get::<Option<i64>, _>("last_login")?.map(Timestamp::from_micros),
        admin: row.try_get("admin")?,
    })
}

pub(super) fn scram_keys(row: &DbRow, user: &BareJid, hash: ScramHash) -> Result<ScramKeys> {
    let iterations: i64 = row.try_get("iterations")?;
    Ok(ScramKeys {
        hash,
        salt: row.try_get("salt")?,
        iterations: iterations.try_into().map_err(|_| StorageError::Inconsistent {
            table: "scram_keys",
            key: user.to_string(),
            problem: format!("{iterations} iterations"),
        })?,
        stored_key: row.try_get("stored_key")?,
        server_key: row.try_get("server_key")?,
    })
}

fn hash_number(hash: ScramHash) -> i64 {
    match hash {
        ScramHash::Sha1 => 1,
        ScramHash::Sha256 => 256,
        ScramHash::Sha512 => 512,
    }
}
