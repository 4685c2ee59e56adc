//! Undelivered markers: which messages an owner's clients have not received yet (XEP-0160).

use std::sync::LazyLock;

use bytes::Bytes;
use sqlx::Row;

use super::multi_row::MultiRow;
use super::transaction::Transaction;
use super::{Connection, message_id, row_limit};
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::sender_shares::Senders;
use crate::storage::{MessageId, Result, Waiting};

/// A marker to be written.
pub(in crate::storage) struct Marker<'a> {
    pub(in crate::storage) owner: i64,
    pub(in crate::storage) message: i64,
    /// The message is not in the owner's archive: it is deleted when it is delivered.
    pub(in crate::storage) is_only_holder: bool,
    /// The bare address of the other side.
    pub(in crate::storage) sender: &'a str,
}

/// Undelivered messages, oldest first, newer than `after`.
pub(in crate::storage) async fn page(
    on: &mut Connection,
    owner: &BareJid,
    after: Option<MessageId>,
    limit: usize,
) -> Result<Vec<Waiting>> {
    let rows = sqlx::query_as::<_, (i64, i64, bool, Vec<u8>)>(
        "SELECT m.id, m.at, w.alone, m.xml \
         FROM owner o JOIN waiting w ON w.owner = o.number JOIN message m ON m.id = w.message \
         WHERE o.jid = $1 AND w.message > $2 ORDER BY w.message LIMIT +$3",
    )
    .bind(owner.as_str())
    .bind(after.map_or(0, MessageId::get))
    .bind(row_limit(limit))
    .fetch_all(on)
    .await?;
    let waiting = |(id, at, is_only_holder, xml): (i64, i64, bool, Vec<u8>)| {
        Ok(Waiting {
            id: message_id(id)?,
            at: Timestamp::from_micros(at),
            archived: !is_only_holder,
            xml: Bytes::from(xml),
        })
    };
    rows.into_iter().map(waiting).collect()
}

/// How many messages are undelivered.
pub(in crate::storage) async fn count(on: &mut Connection, owner: &BareJid) -> Result<u64> {
    let (count,) = sqlx::query_as::<_, (i64,)>(
        "SELECT count(*) FROM owner o JOIN waiting w ON w.owner = o.number WHERE o.jid = $1",
    )
    .bind(owner.as_str())
    .fetch_one(on)
    .await?;
    Ok(count.unsigned_abs())
}

/// The same, for an owner whose number is known.
pub(in crate::storage) async fn count_of(on: &mut Connection, owner: i64) -> Result<u32> {
    let (count,) = sqlx::query_as::<_, (i64,)>(COUNT).bind(owner).fetch_one(on).await?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Who sent what is undelivered. What an owner sends to itself counts as a contact's.
pub(in crate::storage) async fn senders(on: &mut Connection, owner: i64) -> Result<Senders> {
    let rows = sqlx::query_as::<_, (String, i64, bool)>(SENDERS).bind(owner).fetch_all(on).await?;
    let mut senders = Senders::default();
    for (sender, count, is_contact) in rows {
        senders.add(&sender, is_contact, u32::try_from(count).unwrap_or(u32::MAX));
    }
    Ok(senders)
}

/// The address is in the owner's roster.
pub(in crate::storage) async fn is_contact(
    on: &mut Connection,
    owner: i64,
    address: &str,
) -> Result<bool> {
    let row = sqlx::query(CONTACT).bind(owner).bind(address).fetch_optional(on).await?;
    Ok(row.is_some())
}

/// Writes markers.
pub(in crate::storage) async fn insert(
    on: &mut Transaction<'_>,
    markers: &[Marker<'_>],
) -> Result<()> {
    INSERT
        .execute(on, markers, |q, marker| {
            q.bind(marker.owner)
                .bind(marker.message)
                .bind(marker.is_only_holder)
                .bind(marker.sender)
        })
        .await
}

/// Removes markers: owner and message. Returns the messages that nothing but their marker held.
pub(in crate::storage) async fn delete(
    on: &mut Transaction<'_>,
    markers: &[(i64, i64)],
) -> Result<Vec<i64>> {
    let mut unheld = Vec::new();
    for statement in DELETE_ONLY_HOLDER.pieces(markers, |q, (owner, id)| q.bind(*owner).bind(*id)) {
        for row in statement.fetch_all(on.connection().await?).await? {
            unheld.push(row.try_get(0)?);
        }
    }
    DELETE.execute(on, markers, |q, (owner, id)| q.bind(*owner).bind(*id)).await?;
    Ok(unheld)
}

/// Removes the marker of the newest message of a sender that is in the archive, too. `false` if there
/// is none.
pub(in crate::storage) async fn delete_newest_of(
    on: &mut Connection,
    owner: i64,
    sender: &str,
) -> Result<bool> {
    let done = sqlx::query(DELETE_NEWEST).bind(owner).bind(sender).execute(on).await?;
    Ok(done.rows_affected() > 0)
}

/// Messages up to this one leave the archive: their markers are all that holds them.
pub(in crate::storage) async fn become_only_holders(
    on: &mut Connection,
    owner: i64,
    last: i64,
) -> Result<()> {
    sqlx::query("UPDATE waiting SET alone = TRUE WHERE owner = $1 AND message <= $2")
        .bind(owner)
        .bind(last)
        .execute(on)
        .await?;
    Ok(())
}

/// The bytes of undelivered messages that are not in the archive.
pub(in crate::storage) async fn usage(on: &mut Connection, owner: i64) -> Result<i64> {
    let (bytes,) = sqlx::query_as::<_, (i64,)>(USAGE).bind(owner).fetch_one(on).await?;
    Ok(bytes)
}

const COUNT: &str = "SELECT count(*) FROM waiting WHERE owner = $1";
const CONTACT: &str = "SELECT 1 FROM roster_item WHERE owner = $1 AND jid = $2 \
    AND (listed OR subscription <> 0)";
const DELETE_NEWEST: &str = "DELETE FROM waiting WHERE owner = $1 AND message = \
    (SELECT w.message FROM waiting w WHERE w.owner = $1 AND w.sender = $2 AND NOT w.alone \
    ORDER BY w.message DESC LIMIT 1)";
const USAGE: &str = "SELECT CAST(coalesce(sum(octet_length(m.xml)), 0) AS BIGINT) \
    FROM waiting w JOIN message m ON m.id = w.message WHERE w.owner = $1 AND w.alone";
const SENDERS: &str = "SELECT w.sender, count(*), EXISTS (SELECT 1 FROM roster_item i \
    WHERE i.owner = $1 AND i.jid = w.sender AND (i.listed OR i.subscription <> 0)) \
    OR w.sender = (SELECT jid FROM owner WHERE number = $1) \
    FROM waiting w WHERE w.owner = $1 GROUP BY w.sender";

static INSERT: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new("INSERT INTO waiting (owner, message, alone, sender) VALUES ", 4, "")
});
// Pairs must come by a name, or SQLite walks through the whole table.
static DELETE_ONLY_HOLDER: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new(
        "WITH pair (owner, message) AS (VALUES ",
        2,
        ") DELETE FROM waiting WHERE (owner, message) IN (SELECT owner, message FROM pair) \
         AND alone RETURNING message",
    )
});
static DELETE: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new(
        "WITH pair (owner, message) AS (VALUES ",
        2,
        ") DELETE FROM waiting WHERE (owner, message) IN (SELECT owner, message FROM pair)",
    )
});

/// All that must not walk through a table, but the one that groups what waits for one owner.
#[cfg(test)]
pub(in crate::storage) fn statements() -> Vec<String> {
    let pairs = DELETE_ONLY_HOLDER.texts().chain(DELETE.texts());
    pairs.chain([COUNT, CONTACT, DELETE_NEWEST, USAGE].map(str::to_owned)).collect()
}
