//! Items of nodes of XEP-0060.

use std::sync::LazyLock;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use sqlx::Row;

use super::multi_row::MultiRow;
use super::transaction::Transaction;
use super::{Connection, DbRow, jid, pubsub_entity, row_limit};
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::{LAST_PAYLOAD, LastItem, LastItemPage, PubSubItem, Result};

/// An item without its payload.
#[derive(Clone, Debug)]
pub(in crate::storage) struct ItemRow {
    pub(in crate::storage) id: String,
    pub(in crate::storage) position: i64,
    /// The bytes that count for the quota.
    pub(in crate::storage) bytes: i64,
    pub(in crate::storage) published: i64,
}

/// The item with this identifier, without its payload.
pub(in crate::storage) async fn find(
    on: &mut Connection,
    node: i64,
    id: &str,
) -> Result<Option<ItemRow>> {
    let row = sqlx::query(
        "SELECT id, position, CAST(octet_length(id) + octet_length(publisher) + \
         octet_length(payload) AS BIGINT) AS bytes, published \
         FROM pubsub_item WHERE node = $1 AND id = $2",
    )
    .bind(node)
    .bind(id)
    .fetch_optional(on)
    .await?;
    row.as_ref().map(item_row).transpose()
}

/// The oldest items, without their payloads.
pub(in crate::storage) async fn oldest(
    on: &mut Connection,
    node: i64,
    limit: usize,
) -> Result<Vec<ItemRow>> {
    let rows = sqlx::query(
        "SELECT id, position, CAST(octet_length(id) + octet_length(publisher) + \
         octet_length(payload) AS BIGINT) AS bytes, published \
         FROM pubsub_item WHERE node = $1 ORDER BY position LIMIT +$2",
    )
    .bind(node)
    .bind(row_limit(limit))
    .fetch_all(on)
    .await?;
    rows.iter().map(item_row).collect()
}

fn item_row(row: &DbRow) -> Result<ItemRow> {
    Ok(ItemRow {
        id: row.try_get("id")?,
        position: row.try_get("position")?,
        bytes: row.try_get("bytes")?,
        published: row.try_get("published")?,
    })
}

/// Removes items and adds others, from this position on, together with what else is queued.
pub(in crate::storage) async fn replace(
    on: &mut Transaction<'_>,
    node: i64,
    removed: impl Iterator<Item = i64>,
    first: i64,
    added: &[PubSubItem],
) -> Result<()> {
    for position in removed {
        on.make_room(1).await?;
        on.queue("DELETE FROM pubsub_item WHERE node = $1 AND position = $2", |statement| {
            statement.bind(node).bind(position)
        });
    }
    for (position, item) in (first..).zip(added) {
        on.make_room(1).await?;
        on.queue(
            "INSERT INTO pubsub_item (node, position, id, publisher, published, payload) \
             VALUES ($1, $2, $3, $4, $5, $6)",
            |statement| {
                let statement = statement.bind(node).bind(position).bind(item.id.clone());
                let statement = statement.bind(item.publisher.to_string());
                statement.bind(item.published.as_micros()).bind(item.payload.to_vec())
            },
        );
    }
    Ok(())
}

/// Removes the item at this position.
pub(in crate::storage) async fn delete(
    on: &mut Connection,
    node: i64,
    position: i64,
) -> Result<()> {
    sqlx::query("DELETE FROM pubsub_item WHERE node = $1 AND position = $2")
        .bind(node)
        .bind(position)
        .execute(on)
        .await?;
    Ok(())
}

/// Removes all items.
pub(in crate::storage) async fn delete_all(on: &mut Connection, node: i64) -> Result<()> {
    sqlx::query("DELETE FROM pubsub_item WHERE node = $1").bind(node).execute(on).await?;
    Ok(())
}

/// The item with this identifier.
pub(in crate::storage) async fn get(
    on: &mut Connection,
    node: i64,
    id: &str,
    since: i64,
    with_payload: bool,
) -> Result<Option<PubSubItem>> {
    let row = sqlx::query(if with_payload { WITH_ID } else { WITH_ID_BARE })
        .bind(node)
        .bind(id)
        .bind(since)
        .fetch_optional(on)
        .await?;
    row.as_ref().map(item).transpose()
}

const WITH_ID: &str = "SELECT id, publisher, published, payload FROM pubsub_item \
    WHERE node = $1 AND id = $2 AND published >= $3";
const WITH_ID_BARE: &str = "SELECT id, publisher, published, x'' AS payload FROM pubsub_item \
    WHERE node = $1 AND id = $2 AND published >= $3";

/// Items between two positions, both excluded, in the order of their positions or against it: as many as have
/// not more bytes together than `max_bytes`, and one more. `max_bytes`: `None` for items without their payloads.
pub(in crate::storage) async fn between(
    on: &mut Connection,
    node: i64,
    (above, below): (i64, i64),
    newest_first: bool,
    (offset, limit): (i64, usize),
    since: i64,
    max_bytes: Option<usize>,
) -> Result<Vec<PubSubItem>> {
    let statement = match (max_bytes.is_some(), newest_first) {
        (true, true) => NEWEST_FIRST,
        (true, false) => OLDEST_FIRST,
        (false, true) => NEWEST_BARE,
        (false, false) => OLDEST_BARE,
    };
    let max_bytes = max_bytes.unwrap_or(usize::MAX);
    let mut rows = sqlx::query(statement)
        .bind(node)
        .bind(above)
        .bind(below)
        .bind(since)
        .bind(row_limit(limit))
        .bind(offset)
        .fetch(on);
    let (mut items, mut bytes) = (Vec::new(), 0);
    while bytes <= max_bytes
        && let Some(row) = rows.try_next().await?
    {
        let one = item(&row)?;
        bytes += one.payload.len();
        items.push(one);
    }
    Ok(items)
}

const OLDEST_FIRST: &str = "SELECT id, publisher, published, payload FROM pubsub_item \
    WHERE node = $1 AND position > $2 AND position < $3 AND published >= $4 \
    ORDER BY position LIMIT +$5 OFFSET +$6";
const NEWEST_FIRST: &str = "SELECT id, publisher, published, payload FROM pubsub_item \
    WHERE node = $1 AND position > $2 AND position < $3 AND published >= $4 \
    ORDER BY position DESC LIMIT +$5 OFFSET +$6";

const OLDEST_BARE: &str = "SELECT id, publisher, published, x'' AS payload FROM pubsub_item \
    WHERE node = $1 AND position > $2 AND position < $3 AND published >= $4 \
    ORDER BY position LIMIT +$5 OFFSET +$6";
const NEWEST_BARE: &str = "SELECT id, publisher, published, x'' AS payload FROM pubsub_item \
    WHERE node = $1 AND position > $2 AND position < $3 AND published >= $4 \
    ORDER BY position DESC LIMIT +$5 OFFSET +$6";

/// How many items there are below a position.
pub(in crate::storage) async fn count_below(
    on: &mut Connection,
    node: i64,
    below: i64,
    since: i64,
) -> Result<u64> {
    let (count,) = sqlx::query_as::<_, (i64,)>(
        "SELECT count(*) FROM pubsub_item WHERE node = $1 AND position < $2 AND published >= $3",
    )
    .bind(node)
    .bind(below)
    .bind(since)
    .fetch_one(on)
    .await?;
    Ok(count.unsigned_abs())
}

/// The last item of each node of these owners, which are sorted; of no further owner when there are so many
/// bytes.
pub(in crate::storage) async fn last_of(
    on: &mut Connection,
    owners: &[BareJid],
    max_bytes: usize,
) -> Result<LastItemPage> {
    let (mut items, mut bytes) = (Vec::<LastItem>::new(), 0);
    for statement in LAST.pieces(owners, |statement, owner| statement.bind(owner.to_string())) {
        let mut rows = statement.fetch(&mut *on);
        while let Some(row) = rows.try_next().await? {
            let one = last_item(&row)?;
            if bytes >= max_bytes && items.last().is_some_and(|last| last.owner != one.owner) {
                let owners = owners.partition_point(|owner| *owner < one.owner);
                return Ok(LastItemPage { items, owners });
            }
            bytes += one.bytes();
            items.push(one);
        }
    }
    Ok(LastItemPage { items, owners: owners.len() })
}

fn last_item(row: &DbRow) -> Result<LastItem> {
    let payload: Option<Vec<u8>> = row.try_get("payload")?;
    Ok(LastItem {
        owner: pubsub_entity::bare(row.try_get("owner")?, "owner")?,
        node: row.try_get("name")?,
        config: row.try_get("config")?,
        affiliations: row.try_get::<i64, _>("affiliations")?.unsigned_abs(),
        is_whole: payload.is_some(),
        item: item_of(row, payload.unwrap_or_default())?,
    })
}

static LAST: LazyLock<MultiRow> = LazyLock::new(|| {
    let before = format!(
        "SELECT o.jid AS owner, n.name, n.config, i.id, i.publisher, i.published, \
         CASE WHEN octet_length(i.payload) <= {LAST_PAYLOAD} THEN i.payload END AS payload, \
         (SELECT count(*) FROM pubsub_affiliation a WHERE a.node = n.number) AS affiliations \
         FROM owner o JOIN pubsub_node n ON n.owner = o.number \
         JOIN pubsub_item i ON i.node = n.number AND i.position = \
         (SELECT max(j.position) FROM pubsub_item j WHERE j.node = n.number) \
         WHERE o.jid IN (VALUES "
    );
    MultiRow::new(&before, 1, ") ORDER BY o.jid, n.name")
});

fn item(row: &DbRow) -> Result<PubSubItem> {
    item_of(row, row.try_get("payload")?)
}

fn item_of(row: &DbRow, payload: Vec<u8>) -> Result<PubSubItem> {
    Ok(PubSubItem {
        id: row.try_get("id")?,
        publisher: jid(row, "publisher", "pubsub_item")?,
        published: Timestamp::from_micros(row.try_get("published")?),
        payload: Bytes::from(payload),
    })
}
