//! Invitations: one row each.

use sqlx::Row;

use super::{Connection, DbRow, jid, row_limit};
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::{Invitation, InvitationId, InvitationKind, Result, StorageError};

/// Stores a new invitation.
pub(in crate::storage) async fn insert(
    on: &mut Connection,
    owner: i64,
    new: &Invitation,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO invitation (id, owner, kind, also, name, uses, created, expires) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(&new.id.bytes()[..])
    .bind(owner)
    .bind(new.kind.code())
    .bind(new.also)
    .bind(new.name.as_ref().map(|jid| jid.as_str()))
    .bind(i64::from(new.uses))
    .bind(new.created.as_micros())
    .bind(new.expires.as_micros())
    .execute(on)
    .await?;
    Ok(())
}

/// How many invitations an owner has, and how many of them can be used at this time, in microseconds since 1970.
pub(in crate::storage) async fn count(
    on: &mut Connection,
    owner: i64,
    now: i64,
) -> Result<(u64, u64)> {
    let (all, open) = sqlx::query_as::<_, (i64, i64)>(
        "SELECT count(*), count(CASE WHEN uses > 0 AND expires > $2 THEN 1 END) \
         FROM invitation WHERE owner = $1",
    )
    .bind(owner)
    .bind(now)
    .fetch_one(on)
    .await?;
    Ok((all.unsigned_abs(), open.unsigned_abs()))
}

/// Removes the invitations of an owner that cannot be used at this time, in microseconds since 1970.
pub(in crate::storage) async fn remove_closed(
    on: &mut Connection,
    owner: i64,
    now: i64,
) -> Result<()> {
    sqlx::query("DELETE FROM invitation WHERE owner = $1 AND (uses = 0 OR expires <= $2)")
        .bind(owner)
        .bind(now)
        .execute(on)
        .await?;
    Ok(())
}

/// Removes those that have expired before this time, in microseconds since 1970.
pub(in crate::storage) async fn sweep(
    on: &mut Connection,
    before: i64,
    limit: usize,
) -> Result<()> {
    sqlx::query(SWEEP).bind(before).bind(row_limit(limit)).execute(on).await?;
    Ok(())
}

/// An invitation by its id.
pub(in crate::storage) async fn find(
    on: &mut Connection,
    id: InvitationId,
) -> Result<Option<Invitation>> {
    let row = sqlx::query(FIND).bind(&id.bytes()[..]).fetch_optional(on).await?;
    row.as_ref().map(invitation).transpose()
}

/// The invitations of an owner, newest first.
pub(in crate::storage) async fn of(
    on: &mut Connection,
    inviter: &BareJid,
    limit: usize,
) -> Result<Vec<Invitation>> {
    let rows = sqlx::query(OF).bind(inviter.as_str()).bind(row_limit(limit)).fetch_all(on).await?;
    rows.iter().map(invitation).collect()
}

/// All invitations, newest first.
pub(in crate::storage) async fn all(on: &mut Connection, limit: usize) -> Result<Vec<Invitation>> {
    let rows = sqlx::query(
        "SELECT i.*, o.jid FROM invitation i JOIN owner o ON o.number = i.owner \
         ORDER BY i.created DESC, i.id DESC LIMIT +$1",
    )
    .bind(row_limit(limit))
    .fetch_all(on)
    .await?;
    rows.iter().map(invitation).collect()
}

/// Uses an invitation that expires after this time, in microseconds since 1970. `false` if there is none that can be
/// used.
pub(in crate::storage) async fn take(
    on: &mut Connection,
    id: InvitationId,
    now: i64,
) -> Result<bool> {
    let done = sqlx::query(
        "UPDATE invitation SET uses = uses - 1 WHERE id = $1 AND uses > 0 AND expires > $2",
    )
    .bind(&id.bytes()[..])
    .bind(now)
    .execute(on)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Lets an invitation be used once more.
pub(in crate::storage) async fn give_back(on: &mut Connection, id: InvitationId) -> Result<()> {
    sqlx::query("UPDATE invitation SET uses = uses + 1 WHERE id = $1")
        .bind(&id.bytes()[..])
        .execute(on)
        .await?;
    Ok(())
}

/// Removes an invitation, if it is of this owner, when one is given. `false` if there is none.
pub(in crate::storage) async fn remove(
    on: &mut Connection,
    owner: Option<i64>,
    id: InvitationId,
) -> Result<bool> {
    let done = sqlx::query("DELETE FROM invitation WHERE id = $1 AND owner = coalesce($2, owner)")
        .bind(&id.bytes()[..])
        .bind(owner)
        .execute(on)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// The open invitation with this name.
pub(in crate::storage) async fn with_name(
    on: &mut Connection,
    name: &BareJid,
    now: i64,
) -> Result<Option<InvitationId>> {
    let row = sqlx::query(WITH_NAME).bind(name.as_str()).bind(now).fetch_optional(on).await?;
    row.as_ref().map(id).transpose()
}

fn id(row: &DbRow) -> Result<InvitationId> {
    let bytes: &[u8] = row.try_get("id")?;
    InvitationId::from_bytes(bytes).ok_or_else(|| invalid(row, "the id has another length"))
}

fn invitation(row: &DbRow) -> Result<Invitation> {
    let kind = InvitationKind::from_code(row.try_get("kind")?);
    let name: Option<&str> = row.try_get("name")?;
    let name = name.map(BareJid::parse).transpose().map_err(|_| invalid(row, "bad name"))?;
    let uses: i64 = row.try_get("uses")?;
    Ok(Invitation {
        id: id(row)?,
        inviter: jid(row, "jid", "invitation")?.to_bare(),
        kind: kind.ok_or_else(|| invalid(row, "unknown kind"))?,
        also: row.try_get("also")?,
        name,
        uses: u32::try_from(uses).map_err(|_| invalid(row, "impossible number of uses"))?,
        created: Timestamp::from_micros(row.try_get("created")?),
        expires: Timestamp::from_micros(row.try_get("expires")?),
    })
}

fn invalid(row: &DbRow, problem: &str) -> StorageError {
    let key = row.try_get::<&[u8], _>("id").unwrap_or_default();
    StorageError::Inconsistent {
        table: "invitation",
        key: format!("{key:02x?}"),
        problem: problem.to_owned(),
    }
}

const FIND: &str = "SELECT i.*, o.jid FROM invitation i JOIN owner o ON o.number = i.owner \
    WHERE i.id = $1";
const OF: &str = "SELECT i.*, o.jid FROM owner o JOIN invitation i ON i.owner = o.number \
    WHERE o.jid = $1 ORDER BY i.created DESC, i.id DESC LIMIT +$2";
const WITH_NAME: &str =
    "SELECT id FROM invitation WHERE name = $1 AND uses > 0 AND expires > $2 LIMIT 1";
const SWEEP: &str = "DELETE FROM invitation WHERE id IN \
    (SELECT id FROM invitation WHERE expires < $1 ORDER BY expires LIMIT +$2)";

/// Those that must not walk through a table.
#[cfg(test)]
pub(in crate::storage) fn statements() -> Vec<String> {
    [FIND, OF, WITH_NAME, SWEEP].map(str::to_owned).to_vec()
}
