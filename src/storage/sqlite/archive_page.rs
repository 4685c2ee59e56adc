//! What is read of a scan through an archive: a page of messages, the id at a position, or a count.

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use sqlx::Row as _;

use super::archive_query::{
    BACKWARDS, FORWARDS, LISTED, LISTED_IDS, WITH_WORD, WITH_WORD_BACKWARDS,
};
use super::archive_scan::{ArchiveScan, Piece};
use super::delete_messages::list;
use crate::jid::Jid;
use crate::payload::datetime::Timestamp;
use crate::storage::archive::PAGE_BYTES;
use crate::storage::sql::{DbRow, Statement, jid, message_id, row_limit};
use crate::storage::tokenizer::has_words;
use crate::storage::{Page, Result, Stored, Way};

impl ArchiveScan<'_, '_> {
    /// The first `max` rows of the scan, in the order of their ids.
    pub(super) async fn page(mut self, max: usize) -> Result<Page> {
        let mut page = Page { complete: true, ..Page::default() };
        let mut bytes = 0;
        while page.complete
            && let Some(piece) = self.next().await?
        {
            if piece.is_empty() {
                continue;
            }
            self.turn.pass().await;
            // One row more than wanted shows whether there are more.
            let wanted = row_limit((max - page.rows.len()).saturating_add(1));
            let mut on = self.database.reader().await?;
            let mut rows = self.rows_of(&piece, wanted).fetch(&mut *on);
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

    /// Those rows of a piece that have the words. Words are compared while rows are read: not all rows of a piece are in
    /// memory at once.
    pub(super) async fn find_words(&mut self, piece: &Piece) -> Result<Piece> {
        let words = self.query.words.clone().unwrap_or_default();
        self.turn.pass().await;
        let mut ids = Vec::new();
        let mut on = self.database.reader().await?;
        let mut rows = self.rows_with(piece, &words).fetch(&mut *on);
        while let Some(row) = rows.try_next().await? {
            let xml = Bytes::from(row.try_get::<Vec<u8>, _>("xml")?);
            if has_words(&xml, &words) {
                ids.push(row.try_get("id")?);
            }
        }
        Ok(Piece::Listed(ids))
    }

    /// The statement that reads those rows of a piece that may have these words.
    fn rows_with(&self, piece: &Piece, words: &[String]) -> Statement {
        let Piece::Between(low, high, _) = piece else {
            return self.rows_of(piece, row_limit(usize::MAX));
        };
        let statement = if self.backwards { WITH_WORD_BACKWARDS } else { WITH_WORD };
        // The longest word is the rarest. Others are looked for in what has it.
        let longest = words.iter().filter(|word| word.is_ascii()).max_by_key(|word| word.len());
        let pattern = longest.map_or_else(|| "%".to_owned(), |word| format!("%{word}%"));
        let statement = self.query.bind(statement, self.owner, *low, *high);
        statement.bind(row_limit(usize::MAX)).bind(pattern)
    }

    /// The statement that reads whole rows of a piece.
    fn rows_of(&self, piece: &Piece, wanted: i64) -> Statement {
        match piece {
            Piece::Between(low, high, _) => {
                let statement = if self.backwards { BACKWARDS } else { FORWARDS };
                self.query.bind(statement, self.owner, *low, *high).bind(wanted)
            }
            Piece::Listed(ids) => {
                let (low, high) = self.query.ids;
                self.query.bind(LISTED, self.owner, low, high).bind(list(ids))
            }
        }
    }

    /// The id at a position of the scan, counted from 0.
    pub(super) async fn find_position(&mut self, position: u64) -> Result<Option<i64>> {
        let mut left = position;
        while let Some(piece) = self.next().await? {
            let found = self.count(&piece).await?;
            if left < found {
                return self.id_at(&piece, left).await;
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
            // They were read already.
            Piece::Listed(ids) if self.query.words.is_some() => return Ok(ids.len() as u64),
            Piece::Listed(ids) => return Ok(self.found_of(ids).await?.len() as u64),
        };
        self.turn.pass().await;
        let row = self.query.bind(self.query.count(low, high), self.owner, low, high);
        let count: i64 = row.fetch_one(&mut *self.database.reader().await?).await?.try_get(0)?;
        Ok(count.unsigned_abs())
    }

    /// The id at a position of a piece.
    async fn id_at(&mut self, piece: &Piece, position: u64) -> Result<Option<i64>> {
        let (low, high) = match piece {
            Piece::Between(low, high, _) => (*low, *high),
            Piece::Listed(ids) => {
                let ids = self.found_of(ids).await?;
                let position = usize::try_from(position).unwrap_or(usize::MAX);
                return Ok(ids.get(position).copied());
            }
        };
        self.turn.pass().await;
        let row = self
            .query
            .bind(self.query.at(low, high, self.backwards), self.owner, low, high)
            .bind(i64::try_from(position).unwrap_or(i64::MAX))
            .fetch_optional(&mut *self.database.reader().await?)
            .await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Those of the ids which are found.
    async fn found_of(&mut self, ids: &[i64]) -> Result<Vec<i64>> {
        self.turn.pass().await;
        let (low, high) = self.query.ids;
        let rows = self
            .query
            .bind(LISTED_IDS, self.owner, low, high)
            .bind(list(ids))
            .fetch_all(&mut *self.database.reader().await?)
            .await?;
        let ids = rows.iter().map(|row| row.try_get(0)).collect::<std::result::Result<_, _>>();
        Ok(ids?)
    }
}

impl Piece {
    /// Nothing is found in it.
    fn is_empty(&self) -> bool {
        matches!(self, Self::Listed(ids) if ids.is_empty())
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

/// Pieces that are read, at most, to count what is found: 65,536 rows.
const MOST_COUNTED: usize = 128;
