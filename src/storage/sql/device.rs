//! Devices: the clients that have logged in to an account.

use std::sync::LazyLock;

use sqlx::Row;

use super::multi_row::MultiRow;
use super::transaction::Transaction;
use super::{Connection, row_limit};
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::{Device, DeviceLogin, MOST_DEVICES, Result};

/// Notes logins of clients: owner, client, and microseconds since 1970. No client may be there twice. Does nothing
/// for owners without an account. Answers those that are new, by owner and id.
pub(in crate::storage) async fn note(
    on: &mut Transaction<'_>,
    logins: &[(i64, DeviceLogin, i64)],
) -> Result<Vec<(i64, String)>> {
    let mut new = Vec::new();
    let pieces = NOTE.pieces(logins, |q, (owner, login, at)| {
        q.bind(*owner)
            .bind(login.id.clone())
            .bind(login.software.clone())
            .bind(login.device.clone())
            .bind(*at)
            .bind(login.by_password)
    });
    for statement in pieces {
        for row in statement.fetch_all(on.connection().await?).await? {
            if row.try_get::<i64, _>("logins")? == 1 {
                new.push((row.try_get("owner")?, row.try_get("id")?));
            }
        }
    }
    Ok(new)
}

/// How many clients an owner has.
pub(in crate::storage) async fn count(on: &mut Connection, owner: i64) -> Result<u64> {
    let row = sqlx::query_as::<_, (i64,)>("SELECT count(*) FROM device WHERE owner = $1");
    Ok(row.bind(owner).fetch_one(on).await?.0.unsigned_abs())
}

/// Forgets the clients of an owner that were not seen for longest, but not this one, if there are more than
/// [`MOST_DEVICES`] of its kind: those by resource are counted apart.
pub(in crate::storage) async fn trim(on: &mut Connection, owner: i64, newest: &str) -> Result<()> {
    sqlx::query(
        "DELETE FROM device WHERE owner = $1 AND id <> $2 \
         AND (substr(id, 1, 9) = 'resource/') = (substr($2, 1, 9) = 'resource/') AND id NOT IN \
         (SELECT id FROM device WHERE owner = $1 AND id <> $2 \
         AND (substr(id, 1, 9) = 'resource/') = (substr($2, 1, 9) = 'resource/') \
         ORDER BY last_seen DESC, id LIMIT +$3)",
    )
    .bind(owner)
    .bind(newest)
    .bind(row_limit(MOST_DEVICES - 1))
    .execute(on)
    .await?;
    Ok(())
}

/// The clients of an owner, in the order of their ids.
pub(in crate::storage) async fn all(on: &mut Connection, user: &BareJid) -> Result<Vec<Device>> {
    let rows = sqlx::query(
        "SELECT d.id, d.software, d.device, d.first_seen, d.last_seen, d.password \
         FROM owner o JOIN device d ON d.owner = o.number WHERE o.jid = $1 ORDER BY d.id",
    )
    .bind(user.as_str())
    .fetch_all(on)
    .await?;
    let device = |row: &super::DbRow| {
        Ok(Device {
            id: row.try_get("id")?,
            software: row.try_get("software")?,
            device: row.try_get("device")?,
            first_seen: Timestamp::from_micros(row.try_get("first_seen")?),
            last_seen: Timestamp::from_micros(row.try_get("last_seen")?),
            knows_password: row.try_get("password")?,
        })
    };
    rows.iter().map(device).collect()
}

/// Forgets a client. `false` if there is none with this id.
pub(in crate::storage) async fn forget(on: &mut Connection, owner: i64, id: &str) -> Result<bool> {
    let done = sqlx::query("DELETE FROM device WHERE owner = $1 AND id = $2")
        .bind(owner)
        .bind(id)
        .execute(on)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Forgets clients that were last seen before this time, in microseconds since 1970.
pub(in crate::storage) async fn forget_unseen(
    on: &mut Connection,
    before: i64,
    limit: usize,
) -> Result<u64> {
    let done = sqlx::query(UNSEEN).bind(before).bind(row_limit(limit)).execute(on).await?;
    Ok(done.rows_affected())
}

/// The account has a new password, which no client has proven yet.
pub(in crate::storage) async fn password_changed(on: &mut Connection, owner: i64) -> Result<()> {
    sqlx::query("UPDATE device SET password = FALSE WHERE owner = $1 AND password")
        .bind(owner)
        .execute(on)
        .await?;
    Ok(())
}

static NOTE: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new(
        "WITH login (owner, id, software, device, at, password) AS (VALUES ",
        6,
        ") INSERT INTO device \
         (owner, id, software, device, first_seen, last_seen, logins, password) \
         SELECT l.owner, l.id, l.software, l.device, l.at, l.at, 1, l.password \
         FROM login l JOIN account a ON a.owner = l.owner WHERE TRUE \
         ON CONFLICT (owner, id) DO UPDATE SET \
         software = coalesce(excluded.software, device.software), \
         device = coalesce(excluded.device, device.device), \
         last_seen = excluded.last_seen, logins = device.logins + 1, \
         password = device.password OR excluded.password \
         RETURNING owner, id, logins",
    )
});

const UNSEEN: &str = "DELETE FROM device WHERE (owner, id) IN \
    (SELECT owner, id FROM device WHERE last_seen < $1 ORDER BY last_seen LIMIT +$2)";

/// Those that must not walk through a table.
#[cfg(test)]
pub(in crate::storage) fn statements() -> Vec<String> {
    NOTE.texts().chain([UNSEEN.to_owned()]).collect()
}
