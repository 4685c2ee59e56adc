//! Counts of an archive, by blocks of [`BLOCK`] rows: how many rows, and with which correspondents.
//!
//! A page by an id or a time is found at once. To find the messages with one correspondent, the number of
//! all messages, or the message at a position, all rows would have to be read. So each block is counted
//! once, and the counts are stored. A query then reads counts, and only the rows of blocks in which it
//! finds something.
//!
//! Blocks are counted when a query needs them, not when messages are written, because most archives are
//! only read from their ends. Counts are never wrong: new rows are above all blocks, and the oldest rows
//! are deleted first ([`forget`]).

use std::sync::LazyLock;

use async_trait::async_trait;
use rustc_hash::FxHashMap;

use super::change::Change;
use super::write_tx::WriteTx;
use crate::storage::Result;
use crate::storage::sql::multi_row::MultiRow;
use crate::storage::sql::{Connection, DbRow};
use sqlx::Row;

/// Rows of a block.
pub(super) const BLOCK: i64 = if cfg!(test) { 8 } else { 512 };

/// A block that was counted.
#[derive(Debug)]
pub(super) struct Block {
    first: i64,
    pub(super) last: i64,
    peers: FxHashMap<String, i64>,
}

/// A block, for a query: the ids above `after`, up to `last`.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoredBlock {
    pub(super) after: i64,
    pub(super) last: i64,
    /// How many rows of it are found. `None` if that is not known any more.
    pub(super) rows: Option<i64>,
}

/// The id up to which there are blocks.
pub(super) async fn end(on: &mut Connection, owner: i64) -> Result<i64> {
    let row = sqlx::query_as::<_, (Option<i64>,)>(END).bind(owner).fetch_one(on);
    Ok(row.await?.0.unwrap_or(0))
}

/// Some blocks with rows between two ids, from one end, [`AT_ONCE`] at most. With `peer`, only blocks with
/// messages to or from it.
pub(super) async fn between(
    on: &mut Connection,
    owner: i64,
    peer: Option<&str>,
    (low, high): (i64, i64),
    backwards: bool,
) -> Result<Vec<StoredBlock>> {
    let statement = match (peer.is_some(), backwards) {
        (false, false) => ALL,
        (false, true) => ALL_BACKWARDS,
        (true, false) => OF_PEER,
        (true, true) => OF_PEER_BACKWARDS,
    };
    let rows = sqlx::query_as::<_, (i64, i64, Option<i64>)>(statement)
        .bind(owner)
        .bind(low)
        .bind(high)
        .bind(AT_ONCE)
        .bind(peer)
        .fetch_all(on)
        .await?;
    Ok(rows.into_iter().map(|(after, last, rows)| StoredBlock { after, last, rows }).collect())
}

/// Counts the rows after an id. `None` if there are too few for a block.
pub(super) async fn count_next(
    on: &mut Connection,
    owner: i64,
    after: i64,
) -> Result<Option<Block>> {
    let rows: Vec<DbRow> = sqlx::query(COUNT_ONE)
        .bind(owner)
        .bind(after)
        .bind(i64::MAX)
        .bind(BLOCK)
        .fetch_all(on)
        .await?;
    let mut block = Block { first: i64::MAX, last: 0, peers: FxHashMap::default() };
    let mut count = 0;
    for row in rows {
        let (peer, rows): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        block.first = block.first.min(row.try_get(2)?);
        block.last = block.last.max(row.try_get(3)?);
        count += rows;
        block.peers.insert(peer, rows);
    }
    Ok((count == BLOCK).then_some(block))
}

/// Stores counts of blocks.
#[derive(Debug)]
pub(super) struct SaveBlocks {
    pub(super) owner: i64,
    /// Up to which id there were blocks when these were counted.
    pub(super) after: i64,
    /// In the order of their ids.
    pub(super) blocks: Vec<Block>,
}

#[async_trait]
impl Change for SaveBlocks {
    type Answer = ();

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<()> {
        let Some(first) = self.blocks.first() else { return Ok(()) };
        // Another query may have stored them already, and rows may have been deleted since. The oldest
        // rows are deleted first: if the first row is there, all of them are.
        let (end, is_there) = sqlx::query_as::<_, (Option<i64>, bool)>(STATE)
            .bind(self.owner)
            .bind(first.first)
            .fetch_one(on.tx.connection().await?)
            .await?;
        if end.unwrap_or(0) != self.after || !is_there {
            return Ok(());
        }
        let owner = self.owner;
        BLOCKS
            .execute(&mut on.tx, &self.blocks, |q, block| {
                q.bind(owner).bind(block.last).bind(BLOCK)
            })
            .await?;
        let mut peers: Vec<(&str, i64, i64)> = Vec::new();
        for block in &self.blocks {
            peers.extend(block.peers.iter().map(|(peer, rows)| (peer.as_str(), block.last, *rows)));
        }
        // In the order of the table, so that neighbours are on one page.
        peers.sort_unstable();
        PEERS
            .execute(&mut on.tx, &peers, |q, (peer, last, rows)| {
                q.bind(owner).bind((*peer).to_owned()).bind(*last).bind(*rows)
            })
            .await
    }
}

/// The rows of an owner up to this id were deleted: deletes their blocks. For the block that has lost
/// some of its rows, the count is not known any more.
pub(super) async fn forget(on: &mut WriteTx<'_>, owner: i64, last: i64) -> Result<()> {
    for statement in FORGET {
        sqlx::query(statement).bind(owner).bind(last).execute(on.tx.connection().await?).await?;
    }
    Ok(())
}

/// Blocks that are read in one statement.
pub(super) const AT_ONCE: i64 = if cfg!(test) { 3 } else { 256 };

const END: &str = "SELECT max(last) FROM archive_block WHERE owner = $1";

/// Owner $1, between the ids $2 and $3, $4 at most.
macro_rules! blocks {
    ($order:literal) => {
        blocks!("archive_block", "b.rows", "", $order)
    };
    // With the correspondent $5. If the count of the block is not known, this one is not, either.
    (of peer, $order:literal) => {
        blocks!(
            "archive_block_peer",
            "(SELECT iif(w.rows IS NULL, NULL, b.rows) FROM archive_block w \
             WHERE w.owner = $1 AND w.last = b.last)",
            "AND b.peer = $5",
            $order
        )
    };
    ($table:literal, $rows:literal, $peer:literal, $order:literal) => {
        concat!(
            "SELECT coalesce((SELECT max(p.last) FROM archive_block p \
             WHERE p.owner = $1 AND p.last < b.last), 0), b.last, ",
            $rows,
            " FROM ",
            $table,
            " b WHERE b.owner = $1 AND b.last > $2 AND b.last <= \
             coalesce((SELECT min(e.last) FROM archive_block e \
             WHERE e.owner = $1 AND e.last >= $3 - 1), $3) ",
            $peer,
            " ORDER BY b.last ",
            $order,
            " LIMIT +$4"
        )
    };
}

const ALL: &str = blocks!("");
const ALL_BACKWARDS: &str = blocks!("DESC");
const OF_PEER: &str = blocks!(of peer, "");
const OF_PEER_BACKWARDS: &str = blocks!(of peer, "DESC");

/// The rows after $2, $4 of them, by the bare address of the correspondent.
const COUNT_ONE: &str = "WITH one AS MATERIALIZED (SELECT a.id, a.peer FROM archive a \
    WHERE a.owner = $1 AND a.volume_first < $3 AND a.volume_first >= \
    coalesce((SELECT max(first) FROM archive_volume WHERE first <= $2), 0) \
    AND a.first < $3 AND a.first >= coalesce((SELECT max(s.first) FROM archive_segment s \
    WHERE s.volume = a.volume AND s.owner = a.owner AND s.first <= $2), 0) \
    AND a.id > $2 AND a.id < $3 ORDER BY a.volume, a.first, a.id LIMIT +$4) \
    SELECT substr(peer, 1, instr(peer || '/', '/') - 1), count(*), min(id), max(id) \
    FROM one GROUP BY 1";

const STATE: &str = "SELECT (SELECT max(last) FROM archive_block WHERE owner = $1), \
    EXISTS (SELECT 1 FROM archive_row a WHERE a.owner = $1 AND a.id = $2 AND a.segment = \
    (SELECT s.segment FROM archive_segment s WHERE s.volume = (SELECT number FROM archive_volume \
    WHERE first <= $2 ORDER BY number DESC LIMIT 1) AND s.owner = $1 AND s.first <= $2 \
    ORDER BY s.first DESC LIMIT 1))";

const FORGET: [&str; 3] = [
    "DELETE FROM archive_block_peer WHERE owner = $1 AND last <= $2",
    "DELETE FROM archive_block WHERE owner = $1 AND last <= $2",
    "UPDATE archive_block SET rows = NULL WHERE owner = $1 AND last = \
     (SELECT min(last) FROM archive_block WHERE owner = $1 AND last > $2)",
];

static BLOCKS: LazyLock<MultiRow> =
    LazyLock::new(|| MultiRow::new("INSERT INTO archive_block (owner, last, rows) VALUES ", 3, ""));
static PEERS: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new("INSERT INTO archive_block_peer (owner, peer, last, rows) VALUES ", 4, "")
});

/// Statements that must not read a whole table or sort, for tests.
#[cfg(test)]
pub(super) fn statements() -> Vec<String> {
    let questions = [END, ALL, ALL_BACKWARDS, OF_PEER, OF_PEER_BACKWARDS, STATE];
    questions.into_iter().chain(FORGET).map(str::to_owned).collect()
}
