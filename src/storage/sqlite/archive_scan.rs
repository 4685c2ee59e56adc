//! Goes through what a query may find in an archive, piece by piece, from one end to the other. Each piece
//! is read by a short statement, for which the account waits its turn
//! ([`crate::storage::read_scheduler`]).
//!
//! A range of ids in which everything is found is one piece. Otherwise a piece is a range of [`BLOCK`]
//! rows, a block that has rows to be found ([`super::block_counts`]), or a list of ids. If words are to be found, each
//! piece is read, and becomes the list of those that have them.

use std::collections::VecDeque;

use super::archive_query::ArchiveQuery;
use super::block_counts::{self, AT_ONCE, BLOCK};
use super::database::Database;
use super::extend_blocks::extend_blocks;
use crate::storage::Result;
use crate::storage::read_scheduler::ReadTurn;
use crate::storage::sql::Connection;

/// A scan between two ids, from one end to the other.
pub(super) struct ArchiveScan<'a, 't> {
    pub(super) database: &'a Database,
    pub(super) turn: &'a mut ReadTurn<'t>,
    pub(super) owner: i64,
    pub(super) query: &'a ArchiveQuery,
    pub(super) backwards: bool,
    /// The rest of the scan is between these ids.
    low: i64,
    high: i64,
    kind: Kind,
    ready: VecDeque<Piece>,
    /// The id up to which there are blocks, once that is known.
    blocks_end: Option<i64>,
    /// How many pieces were outside of blocks so far.
    outside: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// Everything between the two ids is found.
    Whole,
    /// Some of it is found, by blocks.
    Blocks,
    /// The query names ids.
    Listed,
}

/// Where something may be found.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    /// Between two ids, without them. How many rows are found there, if that is known.
    Between(i64, i64, Option<i64>),
    /// Only these ids, in the order of the scan.
    Listed(Vec<i64>),
}

impl<'a, 't> ArchiveScan<'a, 't> {
    /// A scan that reads rows.
    pub(super) fn new(
        database: &'a Database,
        turn: &'a mut ReadTurn<'t>,
        owner: i64,
        query: &'a ArchiveQuery,
        backwards: bool,
    ) -> Self {
        let kind = match &query.only {
            Some(_) => Kind::Listed,
            None if query.takes_all() => Kind::Whole,
            None => Kind::Blocks,
        };
        let (low, high) = query.ids;
        let (ready, blocks_end, outside) = (VecDeque::new(), None, 0);
        Self {
            database,
            turn,
            owner,
            query,
            backwards,
            low,
            high,
            kind,
            ready,
            blocks_end,
            outside,
        }
    }

    /// A scan that counts rows, or finds positions.
    pub(super) fn counting(mut self) -> Self {
        if self.kind == Kind::Whole {
            self.kind = Kind::Blocks;
        }
        self
    }

    /// The next piece, when it is this account's turn. `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Piece>> {
        while self.ready.is_empty() && self.low < self.high.saturating_sub(1) {
            self.turn.pass().await;
            match self.kind {
                Kind::Whole => {
                    self.ready.push_back(Piece::Between(self.low, self.high, None));
                    self.low = self.high;
                }
                Kind::Listed => {
                    let only = self.query.only.clone().unwrap_or_default();
                    self.push_list(only);
                    self.low = self.high;
                }
                Kind::Blocks => self.next_by_blocks().await?,
            }
        }
        match self.ready.pop_front() {
            Some(piece) if self.query.words.is_some() => Ok(Some(self.find_words(&piece).await?)),
            piece => Ok(piece),
        }
    }

    fn push_list(&mut self, mut ids: Vec<i64>) {
        ids.sort_unstable();
        if self.backwards {
            ids.reverse();
        }
        self.ready.push_back(Piece::Listed(ids));
    }

    /// The scan has come up to this id, inclusive.
    fn skip_to(&mut self, id: i64) {
        if self.backwards {
            self.high = id;
        } else {
            self.low = id;
        }
    }

    async fn next_by_blocks(&mut self) -> Result<()> {
        let mut end = match self.blocks_end {
            Some(end) => end,
            None => block_counts::end(&mut *self.database.reader().await?, self.owner).await?,
        };
        if self.outside == PATIENCE && !self.is_in_blocks(end) {
            end = extend_blocks(self.database, self.turn, self.owner, end).await?;
            self.outside += 1;
        }
        self.blocks_end = Some(end);
        if self.is_in_blocks(end) {
            self.add_blocks(end).await
        } else {
            self.add_range_outside(end).await
        }
    }

    /// The scan goes on within the blocks, which end at `end`.
    fn is_in_blocks(&self, end: i64) -> bool {
        if self.backwards { self.high - 1 <= end } else { self.low < end }
    }

    /// Adds pieces that are blocks.
    async fn add_blocks(&mut self, end: i64) -> Result<()> {
        let (low, high) = (self.low, self.high);
        let mut on = self.database.reader().await?;
        let (peer, backwards) = (self.query.bare(), self.backwards);
        let blocks =
            block_counts::between(&mut on, self.owner, peer, (low, high), backwards).await?;
        drop(on);
        let is_all = (blocks.len() as i64) < AT_ONCE;
        let last = blocks.last().copied();
        for block in blocks {
            let is_whole = block.after >= low && block.last < high;
            let (from, to) = (block.after.max(low), high.min(block.last + 1));
            let is_exact = is_whole && self.query.takes_all_of_peer(from, to);
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

    /// Adds a piece outside of the blocks, which end at `end`.
    async fn add_range_outside(&mut self, end: i64) -> Result<()> {
        self.outside += 1;
        let low = if self.backwards { self.low.max(end) } else { self.low };
        let mut on = self.database.reader().await?;
        let at = one_block_away(&mut on, self.owner, (low, self.high), self.backwards).await?;
        drop(on);
        let piece = match at {
            Some(id) if self.backwards => (id - 1, self.high),
            Some(id) => (low, id + 1),
            None => (low, self.high),
        };
        self.ready.push_back(Piece::Between(piece.0, piece.1, None));
        match at {
            Some(id) => self.skip_to(id),
            None if self.backwards => self.high = low + 1,
            None => self.low = self.high,
        }
        Ok(())
    }
}

/// The id of the row that is one block away from one end. `None` if there are fewer rows.
async fn one_block_away(
    on: &mut Connection,
    owner: i64,
    (low, high): (i64, i64),
    backwards: bool,
) -> Result<Option<i64>> {
    let row = sqlx::query_as::<_, (i64,)>(if backwards { AWAY_BACKWARDS } else { AWAY })
        .bind(owner)
        .bind(low)
        .bind(high)
        .bind(BLOCK - 1)
        .fetch_optional(on)
        .await?;
    Ok(row.map(|(id,)| id))
}

macro_rules! away {
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

const AWAY: &str = away!("a.volume, a.first, a.id");
const AWAY_BACKWARDS: &str = away!("a.volume DESC, a.first DESC, a.id DESC");

/// Pieces outside of blocks after which blocks are counted. Small archives never come that far.
const PATIENCE: usize = 2;

/// All statements, for tests.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 2] = [AWAY, AWAY_BACKWARDS];

#[cfg(test)]
mod tests;
