//! Accounts and keys. A login reads its keys with one statement.

use async_trait::async_trait;
use sqlx::Row;

use super::archive::Expire;
use super::writer::{Change, WriteTx};
use super::{Database, archive_segments};
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::sql::{DbRow, jid, row_limit};
use crate::storage::{
    Account, AccountStore, Created, NewAccount, Result, ScramHash, ScramKeys, StorageError,
    new_secret,
};

#[async_trait]
impl AccountStore for Database {
    async fn create(&self, accounts: &[NewAccount]) -> Result<Vec<Created>> {
        self.writer.write(Create(accounts.to_vec())).await
    }

    async fn find(&self, user: &BareJid) -> Result<Option<Account>> {
        let row = sqlx::query(
            "SELECT o.jid, a.created, a.last_login, a.admin \
             FROM owner o JOIN account a ON a.owner = o.number WHERE o.jid = $1",
        )
        .bind(user.as_str())
        .fetch_optional(&self.reads)
        .await?;
        row.as_ref().map(account).transpose()
    }

    async fn keys(&self, user: &BareJid, hash: ScramHash) -> Result<Option<ScramKeys>> {
        let row = sqlx::query(
            "SELECT k.iterations, k.salt, k.stored_key, k.server_key \
             FROM owner o JOIN scram_keys k ON k.owner = o.number \
             WHERE o.jid = $1 AND k.hash = $2",
        )
        .bind(user.as_str())
        .bind(hash_number(hash))
        .fetch_optional(&self.reads)
        .await?;
        row.map(|row| keys(&row, user, hash)).transpose()
    }

    async fn set_keys(&self, user: &BareJid, keys: &[ScramKeys]) -> Result<bool> {
        self.writer.write(SetKeys { user: user.clone(), keys: keys.to_vec() }).await
    }

    async fn set_admin(&self, user: &BareJid, admin: bool) -> Result<bool> {
        self.writer.write(SetAdmin { user: user.clone(), admin }).await
    }

    async fn admins(&self) -> Result<Vec<BareJid>> {
        let rows = sqlx::query(
            "SELECT o.jid FROM account a JOIN owner o ON o.number = a.owner \
             WHERE a.admin ORDER BY o.jid",
        )
        .fetch_all(&self.reads)
        .await?;
        rows.iter().map(|row| Ok(jid(row, "jid", "owner")?.to_bare())).collect()
    }

    async fn note_login(&self, user: &BareJid, at: Timestamp) -> Result<()> {
        self.writer.login(user.clone(), at).await
    }

    async fn remove(&self, user: &BareJid) -> Result<bool> {
        // What may be large goes before it in pieces, so that nobody has to wait for all of it.
        let below = self.writer.newest().map_or(0, |newest| newest.get() + 1);
        while self.writer.write(Expire { owner: user.clone(), below }).await? > 0 {}
        self.writer.write(Remove(user.clone())).await
    }

    async fn list(
        &self,
        domain: Option<&str>,
        after: Option<&BareJid>,
        limit: usize,
    ) -> Result<Vec<Account>> {
        // Two statements, as no plan is good for both.
        let query = match domain {
            None => sqlx::query(
                "SELECT o.jid, a.created, a.last_login, a.admin \
                 FROM owner o JOIN account a ON a.owner = o.number \
                 WHERE o.jid > $1 ORDER BY o.jid LIMIT $2",
            ),
            Some(_) => sqlx::query(
                "SELECT o.jid, a.created, a.last_login, a.admin \
                 FROM owner o JOIN account a ON a.owner = o.number \
                 WHERE o.domain = $3 AND o.jid > $1 ORDER BY o.jid LIMIT $2",
            ),
        };
        let query = query.bind(after.map_or("", |a| a.as_str())).bind(row_limit(limit));
        let query = if let Some(domain) = domain { query.bind(domain) } else { query };
        query.fetch_all(&self.reads).await?.iter().map(account).collect()
    }

    async fn count(&self, domain: Option<&str>) -> Result<u64> {
        let query = match domain {
            None => sqlx::query_as::<_, (i64,)>("SELECT count(*) FROM account"),
            Some(domain) => sqlx::query_as(
                "SELECT count(*) FROM owner o JOIN account a ON a.owner = o.number \
                 WHERE o.domain = $1",
            )
            .bind(domain),
        };
        Ok(query.fetch_one(&self.reads).await?.0.unsigned_abs())
    }

    async fn secret(&self) -> Result<[u8; 32]> {
        if let Some(secret) = self.secret.get() {
            return Ok(*secret);
        }
        let secret = self.writer.write(Secret(new_secret()?)).await?;
        Ok(*self.secret.get_or_init(|| secret))
    }
}

struct Create(Vec<NewAccount>);

#[async_trait]
impl Change for Create {
    type Answer = Vec<Created>;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<Vec<Created>> {
        let mut answers = Vec::with_capacity(self.0.len());
        for new in &self.0 {
            // Nearly always there is none yet, so this comes before any question.
            let owner = match on.new_owner(&new.user).await? {
                Some(known) => known.number,
                None => {
                    let old = on.owner(&new.user).await?.number;
                    if has_account(on, old).await? {
                        answers.push(Created::Exists);
                        continue;
                    }
                    purge(on, &new.user, old).await?;
                    on.owner(&new.user).await?.number
                }
            };
            sqlx::query("INSERT INTO account (owner, created, admin) VALUES ($1, $2, $3)")
                .bind(owner)
                .bind(new.created.as_micros())
                .bind(new.admin)
                .execute(&mut *on.connection)
                .await?;
            insert_keys(on, owner, &new.keys).await?;
            answers.push(Created::Made);
        }
        Ok(answers)
    }
}

struct SetKeys {
    user: BareJid,
    keys: Vec<ScramKeys>,
}

#[async_trait]
impl Change for SetKeys {
    type Answer = bool;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<bool> {
        let Some(known) = on.owner_if_any(&self.user).await? else { return Ok(false) };
        if !has_account(on, known.number).await? {
            return Ok(false);
        }
        sqlx::query("DELETE FROM scram_keys WHERE owner = $1")
            .bind(known.number)
            .execute(&mut *on.connection)
            .await?;
        insert_keys(on, known.number, &self.keys).await?;
        Ok(true)
    }
}

struct SetAdmin {
    user: BareJid,
    admin: bool,
}

#[async_trait]
impl Change for SetAdmin {
    type Answer = bool;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<bool> {
        let Some(known) = on.owner_if_any(&self.user).await? else { return Ok(false) };
        let done = sqlx::query("UPDATE account SET admin = $2 WHERE owner = $1")
            .bind(known.number)
            .bind(self.admin)
            .execute(&mut *on.connection)
            .await?;
        Ok(done.rows_affected() > 0)
    }
}

struct Remove(BareJid);

#[async_trait]
impl Change for Remove {
    type Answer = bool;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<bool> {
        let Some(known) = on.owner_if_any(&self.0).await? else { return Ok(false) };
        let existed = has_account(on, known.number).await?;
        purge(on, &self.0, known.number).await?;
        Ok(existed)
    }
}

struct Secret([u8; 32]);

#[async_trait]
impl Change for Secret {
    type Answer = [u8; 32];

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<[u8; 32]> {
        sqlx::query(
            "INSERT INTO setting (name, value) VALUES ('secret', $1) ON CONFLICT (name) DO NOTHING",
        )
        .bind(&self.0[..])
        .execute(&mut *on.connection)
        .await?;
        let (value,) =
            sqlx::query_as::<_, (Vec<u8>,)>("SELECT value FROM setting WHERE name = 'secret'")
                .fetch_one(&mut *on.connection)
                .await?;
        value.try_into().map_err(|value: Vec<u8>| StorageError::Inconsistent {
            table: "setting",
            key: "secret".into(),
            problem: format!("{} bytes instead of 32", value.len()),
        })
    }
}

/// Notes a login; nothing if the account is gone by now.
pub(super) async fn write_login(on: &mut WriteTx<'_>, user: &BareJid, at: Timestamp) -> Result<()> {
    let Some(known) = on.owner_if_any(user).await? else { return Ok(()) };
    sqlx::query("UPDATE account SET last_login = $2 WHERE owner = $1")
        .bind(known.number)
        .bind(at.as_micros())
        .execute(&mut *on.connection)
        .await?;
    Ok(())
}

async fn has_account(on: &mut WriteTx<'_>, owner: i64) -> Result<bool> {
    let row = sqlx::query("SELECT 1 FROM account WHERE owner = $1")
        .bind(owner)
        .fetch_optional(&mut *on.connection)
        .await?;
    Ok(row.is_some())
}

/// Removes an owner with all that is kept. Most of what has the owner's number goes with the row of
/// the owner; rows of the archive do not, and bodies of messages have none.
async fn purge(on: &mut WriteTx<'_>, jid: &BareJid, owner: i64) -> Result<()> {
    for statement in PURGE {
        sqlx::query(statement).bind(owner).execute(&mut *on.connection).await?;
    }
    archive_segments::forget(on, owner, i64::MAX).await?;
    on.memory.take_senders(owner);
    sqlx::query("DELETE FROM owner WHERE number = $1")
        .bind(owner)
        .execute(&mut *on.connection)
        .await?;
    on.memory.forget(jid);
    Ok(())
}

/// Bodies which this owner holds: gone if nobody else does.
const PURGE: [&str; 4] = [
    "DELETE FROM archive_text WHERE rowid IN (SELECT id FROM message WHERE holders <= 1 AND id IN \
     (SELECT id FROM archive WHERE owner = $1 UNION SELECT message FROM waiting WHERE owner = $1))",
    "DELETE FROM message WHERE holders <= 1 AND id IN \
     (SELECT id FROM archive WHERE owner = $1 UNION SELECT message FROM waiting WHERE owner = $1)",
    "UPDATE message SET holders = holders - 1 WHERE id IN \
     (SELECT id FROM archive WHERE owner = $1 UNION SELECT message FROM waiting WHERE owner = $1)",
    "DELETE FROM handled WHERE session IN (SELECT number FROM resumable WHERE owner = $1)",
];

async fn insert_keys(on: &mut WriteTx<'_>, owner: i64, keys: &[ScramKeys]) -> Result<()> {
    const ONE: &str = "INSERT INTO scram_keys \
        (owner, hash, iterations, salt, stored_key, server_key) VALUES ($1, $2, $3, $4, $5, $6)";
    const THREE: &str = "INSERT INTO scram_keys \
        (owner, hash, iterations, salt, stored_key, server_key) VALUES ($1, $2, $3, $4, $5, $6), \
        ($7, $8, $9, $10, $11, $12), ($13, $14, $15, $16, $17, $18)";
    let statement = if keys.len() == 3 { THREE } else { ONE };
    for some in keys.chunks(if keys.len() == 3 { 3 } else { 1 }) {
        let mut query = sqlx::query(statement);
        for key in some {
            query = query
                .bind(owner)
                .bind(hash_number(key.hash))
                .bind(i64::from(key.iterations))
                .bind(&key.salt[..])
                .bind(&key.stored_key[..])
                .bind(&key.server_key[..]);
        }
        query.execute(&mut *on.connection).await?;
    }
    Ok(())
}

fn account(row: &DbRow) -> Result<Account> {
    Ok(Account {
        user: jid(row, "jid", "owner")?.to_bare(),
        created: Timestamp::from_micros(row.try_get("created")?),
        last_login: row.try_get::<Option<i64>, _>("last_login")?.map(Timestamp::from_micros),
        admin: row.try_get("admin")?,
    })
}

fn keys(row: &DbRow, user: &BareJid, hash: ScramHash) -> Result<ScramKeys> {
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
