//! Who is in a room, and what it knows of users.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use sqlx::Row;

use super::multi_row::MultiRow;
use super::transaction::Transaction;
use super::{Connection, DbRow, jid};
use crate::jid::{BareJid, FullJid};
use crate::payload::datetime::Timestamp;
use crate::storage::{Result, RoomAffiliation, RoomMember, RoomOccupant, StorageError};

/// What a room knows of users, in the order of their addresses.
pub(super) async fn members(on: &mut Connection, owner: i64) -> Result<Vec<RoomMember>> {
    let rows = sqlx::query(MEMBERS).bind(owner).fetch_all(on).await?;
    rows.iter().map(member).collect()
}

/// Who is in a room, in the order of the sessions' addresses.
pub(super) async fn occupants(on: &mut Connection, owner: i64) -> Result<Vec<RoomOccupant>> {
    let rows = sqlx::query(OCCUPANTS).bind(owner).fetch_all(on).await?;
    rows.iter().map(occupant).collect()
}

/// Stores what a room knows of users. Of two for one user, the last counts.
pub(in crate::storage) async fn put_members(
    on: &mut Transaction<'_>,
    owner: i64,
    members: &[RoomMember],
) -> Result<()> {
    // No statement may have a row twice.
    let last: BTreeMap<_, _> = members.iter().map(|member| (&member.jid, member)).collect();
    let rows: Vec<&RoomMember> = last.into_values().collect();
    PUT_MEMBERS
        .execute(on, &rows, |q, member| {
            q.bind(owner)
                .bind(member.jid.as_str())
                .bind(affiliation_to_column(member.affiliation))
                .bind(member.nick.as_deref())
                .bind(member.reason.as_deref())
                .bind(member.since.as_micros())
                .bind(member.version)
        })
        .await
}

/// Forgets what a room knows of users.
pub(in crate::storage) async fn forget_members(
    on: &mut Transaction<'_>,
    owner: i64,
    users: &[BareJid],
) -> Result<()> {
    FORGET_MEMBERS.execute(on, users, |q, user| q.bind(owner).bind(user.as_str())).await
}

/// Stores sessions that are in a room. Of two for one session, the last counts. [`super::room::notice_occupants`] is to be
/// called after it.
pub(in crate::storage) async fn put_occupants(
    on: &mut Transaction<'_>,
    owner: i64,
    occupants: &[RoomOccupant],
) -> Result<()> {
    let last: BTreeMap<_, _> = occupants.iter().map(|one| (&one.session, one)).collect();
    let rows: Vec<&RoomOccupant> = last.into_values().collect();
    PUT_OCCUPANTS
        .execute(on, &rows, |q, occupant| {
            q.bind(owner)
                .bind(occupant.session.as_str())
                .bind(occupant.nick.as_str())
                .bind(occupant.data.as_str())
        })
        .await
}

/// Removes sessions from a room. [`super::room::notice_occupants`] is to be called after it.
pub(in crate::storage) async fn remove_occupants(
    on: &mut Transaction<'_>,
    owner: i64,
    sessions: &[FullJid],
) -> Result<()> {
    GONE.execute(on, sessions, |q, session| q.bind(owner).bind(session.as_str())).await
}

pub(super) fn member(row: &DbRow) -> Result<RoomMember> {
    let jid = jid(row, "jid", "room_member")?.to_bare();
    Ok(RoomMember {
        affiliation: affiliation_from_column(row.try_get("affiliation")?, &jid)?,
        jid,
        nick: row.try_get("nick")?,
        reason: row.try_get("reason")?,
        since: Timestamp::from_micros(row.try_get("since")?),
        version: row.try_get("version")?,
    })
}

fn occupant(row: &DbRow) -> Result<RoomOccupant> {
    let session = jid(row, "session", "room_occupant")?;
    let full = session.to_full().ok_or_else(|| StorageError::Inconsistent {
        table: "room_occupant",
        key: session.to_string(),
        problem: "no resource".into(),
    })?;
    Ok(RoomOccupant { session: full, nick: row.try_get("nick")?, data: row.try_get("data")? })
}

fn affiliation_to_column(affiliation: RoomAffiliation) -> i64 {
    match affiliation {
        RoomAffiliation::None => 0,
        RoomAffiliation::Owner => 1,
        RoomAffiliation::Admin => 2,
        RoomAffiliation::Member => 3,
        RoomAffiliation::Outcast => 4,
    }
}

fn affiliation_from_column(value: i64, user: &BareJid) -> Result<RoomAffiliation> {
    Ok(match value {
        0 => RoomAffiliation::None,
        1 => RoomAffiliation::Owner,
        2 => RoomAffiliation::Admin,
        3 => RoomAffiliation::Member,
        4 => RoomAffiliation::Outcast,
        _ => {
            return Err(StorageError::Inconsistent {
                table: "room_member",
                key: user.to_string(),
                problem: format!("affiliation {value}"),
            });
        }
    })
}

const MEMBERS: &str = "SELECT m.jid, m.affiliation, m.nick, m.reason, m.since, m.version \
    FROM room_member m WHERE m.owner = $1 ORDER BY m.jid";
const OCCUPANTS: &str = "SELECT session, nick, data FROM room_occupant \
    WHERE owner = $1 ORDER BY session";

static PUT_MEMBERS: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new(
        "INSERT INTO room_member (owner, jid, affiliation, nick, reason, since, version) VALUES ",
        7,
        " ON CONFLICT (owner, jid) DO UPDATE SET affiliation = excluded.affiliation, \
         nick = excluded.nick, reason = excluded.reason, since = excluded.since, \
         version = excluded.version",
    )
});
// All rows have the same owner. As pairs with it, SQLite would look for them in the whole room.
static FORGET_MEMBERS: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new(
        "WITH gone (owner, jid) AS (VALUES ",
        2,
        ") DELETE FROM room_member WHERE owner = (SELECT max(owner) FROM gone) \
         AND jid IN (SELECT jid FROM gone)",
    )
});
static PUT_OCCUPANTS: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new(
        "INSERT INTO room_occupant (owner, session, nick, data) VALUES ",
        4,
        " ON CONFLICT (owner, session) DO UPDATE SET nick = excluded.nick, data = excluded.data",
    )
});
static GONE: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new(
        "WITH gone (owner, session) AS (VALUES ",
        2,
        ") DELETE FROM room_occupant WHERE owner = (SELECT max(owner) FROM gone) \
         AND session IN (SELECT session FROM gone)",
    )
});

/// Statements that must not read a whole table, for tests.
#[cfg(test)]
pub(in crate::storage) fn statements() -> Vec<String> {
    let many = PUT_MEMBERS.texts().chain(PUT_OCCUPANTS.texts()).chain(deletions());
    many.chain([MEMBERS, OCCUPANTS].map(str::to_owned)).collect()
}

/// Those that must not read a whole room.
#[cfg(test)]
pub(in crate::storage) fn deletions() -> impl Iterator<Item = String> {
    FORGET_MEMBERS.texts().chain(GONE.texts())
}
