//! Push registrations: one a row.

use sqlx::Row;

use super::{Connection, DbRow, jid};
use crate::jid::{BareJid, Jid};
use crate::payload::datetime::Timestamp;
use crate::storage::{PushDevice, PushRegistration, Result, StorageError};

/// The registrations of an account, in the order of their keys.
pub(in crate::storage) async fn all(
    on: &mut Connection,
    owner: &BareJid,
) -> Result<Vec<PushRegistration>> {
    let rows = sqlx::query(ALL).bind(owner.as_str()).fetch_all(on).await?;
    rows.iter().map(registration).collect()
}

/// Stores a registration in place of the one with the same key.
pub(in crate::storage) async fn put(
    on: &mut Connection,
    owner: i64,
    new: &PushRegistration,
) -> Result<()> {
    let (installation, resource) = match &new.device {
        PushDevice::Installation(id) => (Some(id.as_str()), None),
        PushDevice::Resource(resource) => (None, Some(resource.as_str())),
    };
    sqlx::query(
        "INSERT INTO push_registration \
         (owner, service, node, options, installation, resource, registered) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (owner, service, node) DO UPDATE SET options = excluded.options, \
         installation = excluded.installation, resource = excluded.resource, \
         registered = excluded.registered",
    )
    .bind(owner)
    .bind(new.service.as_str())
    .bind(&new.node)
    .bind(new.options.as_deref())
    .bind(installation)
    .bind(resource)
    .bind(new.registered.as_micros())
    .execute(on)
    .await?;
    Ok(())
}

/// Removes the registrations at a service: that of one node, or all. `registered`: only those that were
/// renewed last at that time. Answers how many there were.
pub(in crate::storage) async fn remove(
    on: &mut Connection,
    owner: i64,
    service: &Jid,
    node: Option<&str>,
    registered: Option<Timestamp>,
) -> Result<usize> {
    let done = sqlx::query(
        "DELETE FROM push_registration WHERE owner = $1 AND service = $2 \
         AND node = coalesce($3, node) AND registered = coalesce($4, registered)",
    )
    .bind(owner)
    .bind(service.as_str())
    .bind(node)
    .bind(registered.map(Timestamp::as_micros))
    .execute(on)
    .await?;
    Ok(usize::try_from(done.rows_affected()).unwrap_or(usize::MAX))
}

/// The bytes of an owner's registrations.
pub(in crate::storage) async fn usage(on: &mut Connection, owner: i64) -> Result<i64> {
    let (bytes,) = sqlx::query_as::<_, (i64,)>(USAGE).bind(owner).fetch_one(on).await?;
    Ok(bytes)
}

fn registration(row: &DbRow) -> Result<PushRegistration> {
    let (installation, resource): (Option<String>, Option<String>) =
        (row.try_get("installation")?, row.try_get("resource")?);
    let service = jid(row, "service", TABLE)?;
    let device = installation.map(PushDevice::Installation);
    let device = device.or(resource.map(PushDevice::Resource)).ok_or_else(|| {
        let problem = "no device".to_owned();
        StorageError::Inconsistent { table: TABLE, key: service.to_string(), problem }
    })?;
    Ok(PushRegistration {
        service,
        node: row.try_get("node")?,
        options: row.try_get("options")?,
        device,
        registered: Timestamp::from_micros(row.try_get("registered")?),
    })
}

const TABLE: &str = "push_registration";
const ALL: &str = "SELECT p.service, p.node, p.options, p.installation, p.resource, p.registered \
    FROM owner o JOIN push_registration p ON p.owner = o.number \
    WHERE o.jid = $1 ORDER BY p.service, p.node";
const USAGE: &str = "SELECT CAST(coalesce(sum(octet_length(service) + octet_length(node) + \
    coalesce(octet_length(options), 0) + coalesce(octet_length(installation), 0) + \
    coalesce(octet_length(resource), 0)), 0) AS BIGINT) FROM push_registration WHERE owner = $1";

/// Statements that must not read a whole table, for tests.
#[cfg(test)]
pub(in crate::storage) fn statements() -> Vec<String> {
    [ALL, USAGE].map(str::to_owned).into()
}
