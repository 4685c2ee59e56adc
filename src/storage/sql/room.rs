//! Rooms. Who is in them, and what they know of users, is in `room_people.rs`; lists of rooms are in `room_list.rs`.

use std::sync::LazyLock;

use sqlx::Row;

use super::multi_row::MultiRow;
use super::transaction::Transaction;
use super::{Connection, jid, room_people};
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::{Result, RoomSettings, StoredRoom};

/// There is a room of this address.
pub(in crate::storage) async fn exists(on: &mut Connection, room: &BareJid) -> Result<bool> {
    let row = sqlx::query(EXISTS).bind(room.as_str()).fetch_optional(on).await?;
    Ok(row.is_some())
}

/// The room, if there is one. To be called within a transaction.
pub(in crate::storage) async fn load(
    on: &mut Connection,
    room: &BareJid,
) -> Result<Option<StoredRoom>> {
    let row = sqlx::query(LOAD).bind(room.as_str()).fetch_optional(&mut *on).await?;
    let Some(row) = row else { return Ok(None) };
    let owner: i64 = row.try_get("owner")?;
    Ok(Some(StoredRoom {
        created: Timestamp::from_micros(row.try_get("created")?),
        creator: jid(&row, "creator", "room")?.to_bare(),
        settings: RoomSettings {
            settings: row.try_get("settings")?,
            name: row.try_get("name")?,
            description: row.try_get("description")?,
            language: row.try_get("language")?,
            is_public: row.try_get("is_public")?,
            is_persistent: row.try_get("is_persistent")?,
        },
        subject: row.try_get("subject")?,
        extra: row.try_get("extra")?,
        members: room_people::members(&mut *on, owner).await?,
        occupants: room_people::occupants(on, owner).await?,
    }))
}

/// Makes the room of an owner, without members and occupants.
pub(in crate::storage) async fn insert(
    on: &mut Connection,
    owner: i64,
    room: &BareJid,
    new: &StoredRoom,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO room (owner, jid, domain, creator, created, is_public, is_persistent, \
         is_awake, language, name, description, searched, settings, subject, extra) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    )
    .bind(owner)
    .bind(room.as_str())
    .bind(room.domain())
    .bind(new.creator.as_str())
    .bind(new.created.as_micros())
    .bind(new.settings.is_public)
    .bind(new.settings.is_persistent)
    .bind(new.is_awake())
    .bind(&new.settings.language)
    .bind(&new.settings.name)
    .bind(&new.settings.description)
    .bind(new.settings.searched(room))
    .bind(&new.settings.settings)
    .bind(new.subject.as_deref())
    .bind(new.extra.as_deref())
    .execute(on)
    .await?;
    Ok(())
}

/// Replaces the settings. [`notice_occupants`] is to be called after it.
pub(in crate::storage) async fn set_settings(
    on: &mut Connection,
    owner: i64,
    room: &BareJid,
    new: &RoomSettings,
) -> Result<()> {
    sqlx::query(
        "UPDATE room SET is_public = $2, is_persistent = $3, language = $4, name = $5, \
         description = $6, searched = $7, settings = $8 WHERE owner = $1",
    )
    .bind(owner)
    .bind(new.is_public)
    .bind(new.is_persistent)
    .bind(&new.language)
    .bind(&new.name)
    .bind(&new.description)
    .bind(new.searched(room))
    .bind(&new.settings)
    .execute(on)
    .await?;
    Ok(())
}

/// Replaces the subject, or removes it.
pub(in crate::storage) async fn set_subject(
    on: &mut Connection,
    owner: i64,
    subject: Option<&str>,
) -> Result<()> {
    let update = sqlx::query("UPDATE room SET subject = $2 WHERE owner = $1");
    update.bind(owner).bind(subject).execute(on).await?;
    Ok(())
}

/// Replaces what the engine keeps besides, or removes it.
pub(in crate::storage) async fn set_extra(
    on: &mut Connection,
    owner: i64,
    extra: Option<&str>,
) -> Result<()> {
    let update = sqlx::query("UPDATE room SET extra = $2 WHERE owner = $1");
    update.bind(owner).bind(extra).execute(on).await?;
    Ok(())
}

/// Notes whether a server begins with this room, after its settings or its occupants have changed.
pub(in crate::storage) async fn notice_occupants(
    on: &mut Transaction<'_>,
    owner: i64,
) -> Result<()> {
    AWAKE.execute(on, &[owner], |q, owner| q.bind(*owner)).await
}

const EXISTS: &str = "SELECT 1 FROM owner o JOIN room r ON r.owner = o.number WHERE o.jid = $1";
const LOAD: &str = "SELECT r.owner, r.creator, r.created, r.is_public, r.is_persistent, \
    r.language, r.name, r.description, r.settings, r.subject, r.extra \
    FROM owner o JOIN room r ON r.owner = o.number WHERE o.jid = $1";
/// Writes the row only when the first occupant has come, or the last one has left.
static AWAKE: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new(
        "UPDATE room SET is_awake = NOT is_awake WHERE is_awake <> (NOT is_persistent OR EXISTS \
         (SELECT 1 FROM room_occupant p WHERE p.owner = room.owner)) AND owner IN (",
        1,
        ")",
    )
});

/// Statements that must not read a whole table, for tests.
#[cfg(test)]
pub(in crate::storage) fn statements() -> Vec<String> {
    AWAKE.texts().chain([EXISTS, LOAD].map(str::to_owned)).collect()
}
