//! A query of an archive as the database wants it, and the statements that find it between two ids.

use std::sync::Arc;

use crate::payload::datetime::Timestamp;
use crate::storage::message_id::{IdClock, LEAST_LAG};
use crate::storage::sql::Statement;
use crate::storage::tokenizer::search_words;
use crate::storage::{MessageId, Query};

/// A query of an archive, as the database wants it.
#[derive(Clone, Debug)]
pub(super) struct ArchiveQuery {
    /// Only messages between these two ids are found, without the two.
    pub(super) ids: (i64, i64),
    times: (i64, i64),
    clock: IdClock,
    with: Option<With>,
    /// Only these ids, in ascending order.
    pub(super) only: Option<Vec<i64>>,
    /// All of these words are to be found.
    pub(super) words: Option<Arc<[String]>>,
}

/// Only messages to or from an address.
#[derive(Clone, Debug)]
struct With {
    jid: String,
    bare: String,
    /// The full addresses of a bare one are between these texts.
    full: (String, String),
}

impl ArchiveQuery {
    /// `None` if nothing can be found.
    pub(super) fn new(query: &Query, clock: IdClock) -> Option<Self> {
        let start = query.start.map_or(i64::MIN, Timestamp::as_micros);
        let end = query.end.map_or(i64::MAX, Timestamp::as_micros);
        let after = query.above.max(query.after).map_or(0, MessageId::get);
        let mut low = after.max(clock.lowest(start).saturating_sub(1));
        let below = [query.below, query.before].into_iter().flatten().min();
        let below = below.map_or(i64::MAX, MessageId::get);
        let mut high = below.min(clock.highest(end).saturating_add(1));
        let only = query.ids.as_ref().map(|ids| {
            let mut ids: Vec<i64> = ids.iter().map(|id| id.get()).collect();
            ids.sort_unstable();
            ids.dedup();
            ids
        });
        if let Some(ids) = &only {
            low = low.max(ids.first()? - 1);
            high = high.min(ids.last()? + 1);
        }
        let words = query.text.as_deref().map(search_words);
        if words.as_ref().is_some_and(Vec::is_empty) {
            return None;
        }
        let words = words.map(Arc::from);
        let with = query.with.as_ref().map(|with| With {
            jid: with.as_str().to_owned(),
            bare: with.bare_str().to_owned(),
            full: if with.is_bare() {
                // `0` is the character after `/`.
                (format!("{with}/"), format!("{with}0"))
            } else {
                (String::new(), String::new())
            },
        });
        Some(Self { ids: (low, high), times: (start, end), clock, with, only, words })
    }

    /// The same, between these ids.
    pub(super) fn between(&self, low: i64, high: i64) -> Self {
        Self { ids: (low, high), ..self.clone() }
    }

    /// The bare address of the correspondent, if one is asked for.
    pub(super) fn bare(&self) -> Option<&str> {
        self.with.as_ref().map(|with| with.bare.as_str())
    }

    /// Whether all messages between the two ids are found.
    pub(super) fn takes_all(&self) -> bool {
        self.with.is_none()
            && self.only.is_none()
            && self.words.is_none()
            && (self.clock.lag <= LEAST_LAG || !self.has_times())
    }

    /// Between these ids, all messages with the correspondent are found, or all if none is asked for.
    pub(super) fn takes_all_of_peer(&self, low: i64, high: i64) -> bool {
        let is_bare = self.with.as_ref().is_none_or(|with| with.jid == with.bare);
        is_bare && self.only.is_none() && self.words.is_none() && self.is_in_time(low, high)
    }

    /// All messages between these ids were taken between the times of the query.
    fn is_in_time(&self, low: i64, high: i64) -> bool {
        let (start, end) = self.times;
        (start == i64::MIN || self.clock.earliest(low.saturating_add(1)) >= start)
            && (end == i64::MAX || self.clock.latest(high.saturating_sub(1)) <= end)
    }

    fn has_times(&self) -> bool {
        self.times != (i64::MIN, i64::MAX)
    }

    /// The statement that counts between these ids.
    pub(super) fn count(&self, low: i64, high: i64) -> &'static str {
        if self.is_in_time(low, high) { COUNT_ALL_TIMES } else { COUNT }
    }

    /// The statement that finds an id by its position between these ids.
    pub(super) fn at(&self, low: i64, high: i64, backwards: bool) -> &'static str {
        match (self.is_in_time(low, high), backwards) {
            (true, false) => AT_ALL_TIMES,
            (true, true) => AT_ALL_TIMES_BACKWARDS,
            (false, false) => AT,
            (false, true) => AT_BACKWARDS,
        }
    }

    /// Binds the first eight parameters of the statements below.
    pub(super) fn bind(
        &self,
        statement: &'static str,
        owner: i64,
        low: i64,
        high: i64,
    ) -> Statement {
        let with = self.with.clone();
        let (jid, full) = with.map_or_else(Default::default, |with| (Some(with.jid), with.full));
        sqlx::query(statement)
            .bind(owner)
            .bind(low)
            .bind(high)
            .bind(self.times.0)
            .bind(self.times.1)
            .bind(jid)
            .bind(full.0)
            .bind(full.1)
    }
}

/// $1 is the owner, $2 and $3 are ids, $4 and $5 times, $6 is the correspondent, $7 and $8 are the bounds
/// of its full addresses.
macro_rules! find {
    ($what:literal, $join:literal, $times:literal, $order:literal) => {
        concat!(
            "SELECT ",
            $what,
            " FROM archive a ",
            $join,
            " WHERE a.owner = $1 AND a.volume_first < $3 AND a.volume_first >= \
             coalesce((SELECT max(first) FROM archive_volume WHERE first <= $2), 0) \
             AND a.first < $3 AND a.first >= coalesce((SELECT max(s.first) FROM archive_segment s \
             WHERE s.volume = a.volume AND s.owner = a.owner AND s.first <= $2), 0) \
             AND a.id > $2 AND a.id < $3 ",
            $times,
            " AND ($6 IS NULL OR a.peer = $6 OR (a.peer > $7 AND a.peer < $8)) ",
            $order
        )
    };
    ($what:literal, all times, $order:literal) => {
        find!($what, "", "", $order)
    };
    ($what:literal, $order:literal) => {
        find!($what, "CROSS JOIN message m ON m.id = a.id", "AND m.at >= $4 AND m.at <= $5", $order)
    };
}

/// Whole rows, $9 at most, oldest first.
pub(super) const FORWARDS: &str =
    find!("a.id, m.at, a.peer, a.way, m.xml", "ORDER BY a.volume, a.first, a.id LIMIT +$9");
/// The same, the newest first.
pub(super) const BACKWARDS: &str = find!(
    "a.id, m.at, a.peer, a.way, m.xml",
    "ORDER BY a.volume DESC, a.first DESC, a.id DESC LIMIT +$9"
);
/// What may have a word, $10 at the end of which and before which anything may stand: SQLite leaves out, without reading it to us,
/// what has not its letters. In a text with other letters than those of ASCII, or with references to letters, it may be there in
/// another form.
macro_rules! with_word {
    ($order:literal) => {
        find!(
            "a.id, m.xml",
            "CROSS JOIN message m ON m.id = a.id",
            "AND m.at >= $4 AND m.at <= $5 AND (CAST(m.xml AS TEXT) LIKE $10 \
             OR length(CAST(m.xml AS TEXT)) <> length(CAST(m.xml AS BLOB)) \
             OR instr(CAST(m.xml AS TEXT), '&#') > 0)",
            $order
        )
    };
}

/// Ids and messages that may have a word, $9 at most, oldest first.
pub(super) const WITH_WORD: &str = with_word!("ORDER BY a.volume, a.first, a.id LIMIT +$9");
/// The same, the newest first.
pub(super) const WITH_WORD_BACKWARDS: &str =
    with_word!("ORDER BY a.volume DESC, a.first DESC, a.id DESC LIMIT +$9");
/// How many there are.
const COUNT: &str = find!("count(*)", "");
/// The same without times: only narrow rows are read.
const COUNT_ALL_TIMES: &str = find!("count(*)", all times, "");
/// The id at position $9.
const AT: &str = find!("a.id", "ORDER BY a.volume, a.first, a.id LIMIT 1 OFFSET $9");
const AT_ALL_TIMES: &str =
    find!("a.id", all times, "ORDER BY a.volume, a.first, a.id LIMIT 1 OFFSET $9");
const AT_BACKWARDS: &str =
    find!("a.id", "ORDER BY a.volume DESC, a.first DESC, a.id DESC LIMIT 1 OFFSET $9");
const AT_ALL_TIMES_BACKWARDS: &str =
    find!("a.id", all times, "ORDER BY a.volume DESC, a.first DESC, a.id DESC LIMIT 1 OFFSET $9");

/// Those in a list of ids ($9, in JSON), in the order of the list.
macro_rules! listed {
    ($what:literal) => {
        concat!(
            "SELECT ",
            $what,
            " FROM json_each($9) wanted CROSS JOIN archive_row a \
             CROSS JOIN message m ON m.id = a.id \
             WHERE a.owner = $1 AND a.id = wanted.value AND a.id > $2 AND a.id < $3 \
             AND a.segment = (SELECT s.segment FROM archive_segment s \
             WHERE s.volume = (SELECT number FROM archive_volume \
             WHERE first <= wanted.value ORDER BY number DESC LIMIT 1) \
             AND s.owner = $1 AND s.first <= wanted.value ORDER BY s.first DESC LIMIT 1) \
             AND m.at >= $4 AND m.at <= $5 \
             AND ($6 IS NULL OR a.peer = $6 OR (a.peer > $7 AND a.peer < $8))"
        )
    };
}

/// Whole rows.
pub(super) const LISTED: &str = listed!("a.id, m.at, a.peer, a.way, m.xml");
/// Their ids only.
pub(super) const LISTED_IDS: &str = listed!("a.id");

/// All statements, for tests.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 12] = [
    FORWARDS,
    BACKWARDS,
    WITH_WORD,
    WITH_WORD_BACKWARDS,
    COUNT,
    COUNT_ALL_TIMES,
    AT,
    AT_ALL_TIMES,
    AT_BACKWARDS,
    AT_ALL_TIMES_BACKWARDS,
    LISTED,
    LISTED_IDS,
];
