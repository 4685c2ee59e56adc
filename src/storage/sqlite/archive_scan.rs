//! Reads what a query finds, piece by piece. Each piece is a short statement, for which the account waits
//! its turn ([`crate::storage::read_scheduler`]).
//!
//! A range of ids in which everything is found is one piece. Otherwise a piece is a range of [`BLOCK`]
//! rows, a block that has rows to be found ([`super::block_counts`]), or a list of ids.

use std::collections::VecDeque;

use bytes::Bytes;
use futures_util::TryStreamExt;
use sqlx::Row;

use super::Database;
use super::archive_query::{
    ArchiveQuery, BACKWARDS, FORWARDS, LISTED, LISTED_IDS, TEXT, TEXT_BACKWARDS,
};
use super::block_counts::{AT_ONCE, BLOCK, SaveBlocks};
use super::delete_messages::list;
use crate::jid::Jid;
use crate::payload::datetime::Timestamp;
use crate::storage::archive::PAGE_BYTES;
use crate::storage::read_scheduler::ReadTurn;
use crate::storage::sql::{DbRow, Statement, jid, message_id, row_limit};
use crate::storage::{Page, Result, Stored, Way};

/// A scan between two ids, from one end to the other.
pub(super) struct ArchiveScan<'a, 't> {
    database: &'a Database,
    turn: &'a mut ReadTurn<'t>,
    owner: i64,
    find: &'a ArchiveQuery,
    backwards: bool,
    /// What is left is between these ids.
    low: i64,
    high: i64,
    kind: Kind,
    ready: VecDeque<Piece>,
    /// The id up to which there are blocks, once that is known.
    end: Option<i64>,
    /// How many pieces were outside of blocks so far.
    beyond: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// Everything between the two ids is found.
    Whole,
    /// Some of it is found, by blocks.
    Blocks,
    /// The query names ids.
    Listed,
    /// Ids are found by words.
    Text,
}

/// Where something may be found.
#[derive(Clone, Debug)]
enum Piece {
    /// Between two ids. How many are found there, if that is known.
    Between(i64, i64, Option<i64>),
    /// Among these ids, in the order of the scan.
    Listed(Vec<i64>),
}

impl<'a, 't> ArchiveScan<'a, 't> {
    /// A scan that reads rows.
    pub(super) fn new(
        database: &'a Database,
        turn: &'a mut ReadTurn<'t>,
        owner: i64,
        find: &'a ArchiveQuery,
        backwards: bool,
    ) -> Self {
        let kind = match (&find.words, &find.only) {
            (Some(_), _) => Kind::Text,
            (None, Some(_)) => Kind::Listed,
            (None, None) if find.takes_all() => Kind::Whole,
            (None, None) => Kind::Blocks,
        };
        let (low, high) = find.ids;
        let (ready, end, beyond) = (VecDeque::new(), None, 0);
        Self { database, turn, owner, find, backwards, low, high, kind, ready, end, beyond }
    }

    /// A scan that counts rows, or finds positions.
    pub(super) fn counting(mut self) -> Self {
        if self.kind == Kind::Whole {
            self.kind = Kind::Blocks;
        }
        self
    }

    /// The next piece, when it is this account's turn. `None` at the end.
    async fn next(&mut self) -> Result<Option<Piece>> {
        while self.ready.is_empty() && self.low < self.high.saturating_sub(1) {
            self.turn.pass().await;
            match self.kind {
                Kind::Whole => {
                    self.ready.push_back(Piece::Between(self.low, self.high, None));
                    self.low = self.high;
                }
                Kind::Listed => {
                    let only = self.find.only.clone().unwrap_or_default();
                    self.push_list(only);
                    self.low = self.high;
                }
                Kind::Text => self.search().await?,
                Kind::Blocks => self.step().await?,
            }
        }
        Ok(self.ready.pop_front())
    }

    fn push_list(&mut self, mut ids: Vec<i64>) {
        ids.sort_unstable();
        if self.backwards {
            ids.reverse();
        }
        self.ready.push_back(Piece::Listed(ids));
    }

    /// Messages with the words. The owner may not have some of them any more.
    async fn search(&mut self) -> Result<()> {
        let rows = sqlx::query(if self.backwards { TEXT_BACKWARDS } else { TEXT })
            .bind(self.owner)
            .bind(self.low)
            .bind(self.high)
            .bind(self.find.words.clone())
            .bind(row_limit(CANDIDATES))
            .fetch_all(&mut *self.database.reader().await?)
            .await?;
        let ids = rows.iter().map(|row| row.try_get(0)).collect::<std::result::Result<_, _>>();
        let mut ids: Vec<i64> = ids?;
        match ids.last() {
            Some(last) if ids.len() == CANDIDATES => self.shorten(*last),
            _ => self.low = self.high,
        }
        if let Some(only) = &self.find.only {
            ids.retain(|id| only.binary_search(id).is_ok());
        }
        if !ids.is_empty() {
            self.push_list(ids);
        }
        Ok(())
    }

    /// The scan has come up to this id, inclusive.
    fn shorten(&mut self, to: i64) {
        if self.backwards {
            self.high = to;
        } else {
            self.low = to;
        }
    }

    async fn step(&mut self) -> Result<()> {
        let mut end = match self.end {
            Some(end) => end,
            None => self.database.blocks_end(self.owner).await?,
        };
        if self.beyond == PATIENCE && !self.is_in_blocks(end) {
            end = self.extend(end).await?;
            self.beyond += 1;
        }
        self.end = Some(end);
        if self.is_in_blocks(end) { self.known(end).await } else { self.unknown(end).await }
    }

    /// The scan goes on within the blocks, which end at `end`.
    fn is_in_blocks(&self, end: i64) -> bool {
        if self.backwards { self.high - 1 <= end } else { self.low < end }
    }

    /// Adds pieces that are blocks.
    async fn known(&mut self, end: i64) -> Result<()> {
        let (low, high) = (self.low, self.high);
        let blocks =
            self.database.blocks(self.owner, self.find.bare(), (low, high), self.backwards).await?;
        let is_all = (blocks.len() as i64) < AT_ONCE;
        let last = blocks.last().copied();
        for block in blocks {
            let is_whole = block.after >= low && block.last < high;
            let (from, to) = (block.after.max(low), high.min(block.last + 1));
            let is_exact = is_whole && self.find.takes_all_of_peer(from, to);
            let rows = block.rows.filter(|_| is_exact);
            self.ready.push_back(Piece::Between(from, to, rows));
        }
        match last.filter(|_| !is_all) {
            Some(block) if self.backwards => self.high = block.after + 1,
            Some(block) => self.low = block.last,
            None if self.backwards => self.high = self.low,
            None => self.low = end,
        }
        Ok(())
    }

    /// Adds a piece outside of the blocks.
    async fn unknown(&mut self, end: i64) -> Result<()> {
        self.beyond += 1;
        let low = if self.backwards { self.low.max(end) } else { self.low };
        let at = self.database.reach(self.owner, (low, self.high), self.backwards).await?;
        let piece = match at {
            Some(id) if self.backwards => (id - 1, self.high),
            Some(id) => (low, id + 1),
            None => (low, self.high),
        };
        self.ready.push_back(Piece::Between(piece.0, piece.1, None));
        match at {
            Some(id) => self.shorten(id),
            None if self.backwards => self.high = low + 1,
            None => self.low = self.high,
        }
        Ok(())
    }

    /// Counts blocks of the rows that are in none yet. Returns up to which id there are blocks then.
    async fn extend(&mut self, mut end: i64) -> Result<i64> {
        loop {
            let (after, mut blocks) = (end, Vec::new());
            while blocks.len() < BLOCKS_OF_A_CHANGE
                && let Some(block) = self.database.count_block(self.owner, end).await?
            {
                end = block.last;
                blocks.push(block);
                self.turn.pass().await;
            }
            if blocks.is_empty() {
                return Ok(after);
            }
            let is_all = blocks.len() < BLOCKS_OF_A_CHANGE;
            // This account reads nothing while it waits for the writer.
            self.turn.give_up();
            let change = SaveBlocks { owner: self.owner, after, blocks };
            if let Err(error) = self.database.writer.write(change).await {
                // The query can be answered without them.
                tracing::debug!(%error, "blocks of an archive were not kept");
                return Ok(after);
            }
            self.turn.pass().await;
            end = self.database.blocks_end(self.owner).await?;
            if is_all || end <= after {
                return Ok(end);
            }
        }
    }

    /// The first `max` rows of the scan, in the order of their ids.
    pub(super) async fn page(mut self, max: usize) -> Result<Page> {
        let mut page = Page { complete: true, ..Page::default() };
        let mut bytes = 0;
        while page.complete
            && let Some(piece) = self.next().await?
        {
            self.turn.pass().await;
            // One row more than wanted shows whether there are more.
            let wanted = row_limit((max - page.rows.len()).saturating_add(1));
            let mut on = self.database.reader().await?;
            let mut rows = self.statement(&piece, wanted).fetch(&mut *on);
            while let Some(row) = rows.try_next().await? {
                if page.rows.len() == max || bytes > PAGE_BYTES {
                    page.complete = false;
                    break;
                }
                let row = stored(&row)?;
                bytes += row.xml.len();
                page.rows.push(row);
            }
        }
        if self.backwards {
            page.rows.reverse();
        }
        Ok(page)
    }

    /// The statement that reads whole rows of a piece.
    fn statement(&self, piece: &Piece, wanted: i64) -> Statement {
        match piece {
            Piece::Between(low, high, _) => {
                let statement = if self.backwards { BACKWARDS } else { FORWARDS };
                self.find.bind(statement, self.owner, *low, *high).bind(wanted)
            }
            Piece::Listed(ids) => {
                let (low, high) = self.find.ids;
                self.find.bind(LISTED, self.owner, low, high).bind(list(ids))
            }
        }
    }

    /// The id at a position of the scan, counted from 0.
    pub(super) async fn find_position(&mut self, position: u64) -> Result<Option<i64>> {
        let mut left = position;
        while let Some(piece) = self.next().await? {
            let found = self.count(&piece).await?;
            if left < found {
                return self.at(&piece, left).await;
            }
            left -= found;
        }
        Ok(None)
    }

    /// How many rows are found. `None` if too many would have to be read to count them.
    pub(super) async fn count_all(mut self) -> Result<Option<u64>> {
        let (mut total, mut read) = (0, 0);
        while let Some(piece) = self.next().await? {
            read += usize::from(!matches!(piece, Piece::Between(.., Some(_))));
            if read > MOST_COUNTED {
                return Ok(None);
            }
            total += self.count(&piece).await?;
        }
        Ok(Some(total))
    }

    /// How many rows of a piece are found.
    async fn count(&mut self, piece: &Piece) -> Result<u64> {
        let (low, high) = match piece {
            Piece::Between(.., Some(rows)) => return Ok(rows.unsigned_abs()),
            Piece::Between(low, high, None) => (*low, *high),
            Piece::Listed(ids) => return Ok(self.listed(ids).await?.len() as u64),
        };
        self.turn.pass().await;
        let row = self.find.bind(self.find.count(low, high), self.owner, low, high);
        let count: i64 = row.fetch_one(&mut *self.database.reader().await?).await?.try_get(0)?;
        Ok(count.unsigned_abs())
    }

    /// The id at a position of a piece.
    async fn at(&mut self, piece: &Piece, position: u64) -> Result<Option<i64>> {
        let (low, high) = match piece {
            Piece::Between(low, high, _) => (*low, *high),
            Piece::Listed(ids) => {
                let ids = self.listed(ids).await?;
                let position = usize::try_from(position).unwrap_or(usize::MAX);
                return Ok(ids.get(position).copied());
            }
        };
        self.turn.pass().await;
        let row = self
            .find
            .bind(self.find.at(low, high, self.backwards), self.owner, low, high)
            .bind(i64::try_from(position).unwrap_or(i64::MAX))
            .fetch_optional(&mut *self.database.reader().await?)
            .await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// The ids of a list that are found.
    async fn listed(&mut self, ids: &[i64]) -> Result<Vec<i64>> {
        self.turn.pass().await;
        let (low, high) = self.find.ids;
        let rows = self
            .find
            .bind(LISTED_IDS, self.owner, low, high)
            .bind(list(ids))
            .fetch_all(&mut *self.database.reader().await?)
            .await?;
        let ids = rows.iter().map(|row| row.try_get(0)).collect::<std::result::Result<_, _>>();
        Ok(ids?)
    }
}

impl Database {
    /// The id of the row that is one block away from one end. `None` if there are fewer rows.
    async fn reach(
        &self,
        owner: i64,
        (low, high): (i64, i64),
        backwards: bool,
    ) -> Result<Option<i64>> {
        let row = sqlx::query_as::<_, (i64,)>(if backwards { REACH_BACKWARDS } else { REACH })
            .bind(owner)
            .bind(low)
            .bind(high)
            .bind(BLOCK - 1)
            .fetch_optional(&mut *self.reader().await?)
            .await?;
        Ok(row.map(|(id,)| id))
    }
}

fn stored(row: &DbRow) -> Result<Stored> {
    let peer: Jid = jid(row, "peer", "archive")?;
    let way = if row.try_get::<i64, _>("way")? == 0 { Way::Received } else { Way::Sent };
    Ok(Stored {
        id: message_id(row.try_get("id")?)?,
        at: Timestamp::from_micros(row.try_get("at")?),
        with: peer,
        way,
        xml: Bytes::from(row.try_get::<Vec<u8>, _>("xml")?),
    })
}

macro_rules! reach {
    ($order:literal) => {
        concat!(
            "SELECT a.id FROM archive a WHERE a.owner = $1 AND a.volume_first < $3 \
             AND a.volume_first >= \
             coalesce((SELECT max(first) FROM archive_volume WHERE first <= $2), 0) \
             AND a.first < $3 AND a.first >= coalesce((SELECT max(s.first) FROM archive_segment s \
             WHERE s.volume = a.volume AND s.owner = a.owner AND s.first <= $2), 0) \
             AND a.id > $2 AND a.id < $3 ORDER BY ",
            $order,
            " LIMIT 1 OFFSET $4"
        )
    };
}

const REACH: &str = reach!("a.volume, a.first, a.id");
const REACH_BACKWARDS: &str = reach!("a.volume DESC, a.first DESC, a.id DESC");

/// Pieces outside of blocks after which blocks are counted. Small archives never come that far.
const PATIENCE: usize = 2;
/// Blocks that are handed to the writer together.
const BLOCKS_OF_A_CHANGE: usize = if cfg!(test) { 2 } else { 64 };
/// Messages with the words of a search that are read in one piece.
const CANDIDATES: usize = if cfg!(test) { 4 } else { 256 };

/// Pieces that are read, at most, to count what is found: 65,536 rows.
const MOST_COUNTED: usize = 128;

/// All statements, for tests.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 2] = [REACH, REACH_BACKWARDS];

#[cfg(test)]
mod tests;
