//! Lists of rooms.

use sqlx::{AssertSqlSafe, Row};

use super::room_people::member;
use super::{Connection, DbRow, jid, row_limit};
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::{Result, RoomMember, RoomQuery, RoomSummary};

/// Rooms of a domain, in the order of their addresses.
pub(in crate::storage) async fn list(
    on: &mut Connection,
    query: RoomQuery<'_>,
) -> Result<Vec<RoomSummary>> {
    let (words, end) = (query.words(), query.end());
    let shape = Shape {
        public_only: query.public_only,
        is_backwards: end.is_some(),
        has_end: end.flatten().is_some(),
        words: words.len(),
    };
    // The text consists of constants.
    let mut statement = sqlx::query(AssertSqlSafe(shape.statement()))
        .bind(query.domain)
        .bind(query.after.map_or("", |after| after.as_str()))
        .bind(row_limit(query.limit));
    if let Some(end) = end.flatten() {
        statement = statement.bind(end.as_str());
    }
    for word in &words {
        statement = statement.bind(pattern(word));
    }
    let rows = statement.fetch_all(on).await?;
    let mut rooms = rows.iter().map(summary).collect::<Result<Vec<_>>>()?;
    if shape.is_backwards {
        rooms.reverse();
    }
    Ok(rooms)
}

/// How many rooms a domain has.
pub(in crate::storage) async fn count(
    on: &mut Connection,
    domain: &str,
    public_only: bool,
) -> Result<u64> {
    let text = if public_only { COUNT_PUBLIC } else { COUNT };
    let (count,) = sqlx::query_as::<_, (i64,)>(text).bind(domain).fetch_one(on).await?;
    Ok(count.unsigned_abs())
}

/// How many rooms of a domain somebody has made.
pub(in crate::storage) async fn of_creator(
    on: &mut Connection,
    creator: &BareJid,
    domain: &str,
) -> Result<u64> {
    let count = sqlx::query_as::<_, (i64,)>(OF_CREATOR).bind(creator.as_str()).bind(domain);
    Ok(count.fetch_one(on).await?.0.unsigned_abs())
}

/// Rooms with which a server begins, in the order of their addresses.
pub(in crate::storage) async fn occupied(
    on: &mut Connection,
    after: Option<&BareJid>,
    limit: usize,
) -> Result<Vec<BareJid>> {
    let rows = sqlx::query(OCCUPIED)
        .bind(after.map_or("", |after| after.as_str()))
        .bind(row_limit(limit))
        .fetch_all(on)
        .await?;
    rows.iter().map(|row| Ok(jid(row, "jid", "room")?.to_bare())).collect()
}

/// Rooms of a domain in which a text occurs, in the order of their addresses.
pub(in crate::storage) async fn mentioning(
    on: &mut Connection,
    domain: &str,
    text: &str,
    after: Option<&BareJid>,
    limit: usize,
) -> Result<Vec<BareJid>> {
    let rows = sqlx::query(MENTIONING)
        .bind(domain)
        .bind(after.map_or("", |after| after.as_str()))
        .bind(row_limit(limit))
        .bind(pattern(text))
        .fetch_all(on)
        .await?;
    rows.iter().map(|row| Ok(jid(row, "jid", "room")?.to_bare())).collect()
}

/// Rooms in which a user has an affiliation, in the order of their addresses.
pub(in crate::storage) async fn rooms_of(
    on: &mut Connection,
    user: &BareJid,
    after: Option<&BareJid>,
    limit: usize,
) -> Result<Vec<(BareJid, RoomMember)>> {
    let rows = sqlx::query(ROOMS_OF)
        .bind(user.as_str())
        .bind(after.map_or("", |after| after.as_str()))
        .bind(row_limit(limit))
        .fetch_all(on)
        .await?;
    rows.iter().map(|row| Ok((jid(row, "room", "room")?.to_bare(), member(row)?))).collect()
}

/// What decides about the text of the statement that lists rooms.
#[derive(Clone, Copy)]
struct Shape {
    public_only: bool,
    is_backwards: bool,
    has_end: bool,
    words: usize,
}

impl Shape {
    fn statement(self) -> String {
        let mut text = LIST.to_owned();
        if self.public_only {
            text.push_str(" AND r.is_public");
        }
        if self.has_end {
            text.push_str(" AND r.jid < $4");
        }
        let first = if self.has_end { 5 } else { 4 };
        for position in first..first + self.words {
            text.push_str(&format!(" AND r.searched LIKE ${position} ESCAPE '!'"));
        }
        let order = if self.is_backwards { " DESC" } else { "" };
        text + " ORDER BY r.jid" + order + " LIMIT +$3"
    }
}

/// Finds a word anywhere in a text.
fn pattern(word: &str) -> String {
    let mut pattern = "%".to_owned();
    for letter in word.chars() {
        if matches!(letter, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(letter);
    }
    pattern + "%"
}

fn summary(row: &DbRow) -> Result<RoomSummary> {
    Ok(RoomSummary {
        room: jid(row, "jid", "room")?.to_bare(),
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        language: row.try_get("language")?,
        is_public: row.try_get("is_public")?,
        is_persistent: row.try_get("is_persistent")?,
        created: Timestamp::from_micros(row.try_get("created")?),
        creator: jid(row, "creator", "room")?.to_bare(),
    })
}

const LIST: &str = "SELECT r.jid, r.name, r.description, r.language, r.is_public, \
    r.is_persistent, r.created, r.creator FROM room r WHERE r.domain = $1 AND r.jid > $2";
const COUNT: &str = "SELECT count(*) FROM room r WHERE r.domain = $1";
const COUNT_PUBLIC: &str = "SELECT count(*) FROM room r WHERE r.domain = $1 AND r.is_public";
const OF_CREATOR: &str = "SELECT count(*) FROM room r WHERE r.creator = $1 AND r.domain = $2";
const OCCUPIED: &str =
    "SELECT r.jid FROM room r WHERE r.is_awake AND r.jid > $1 ORDER BY r.jid LIMIT +$2";
const MENTIONING: &str = "SELECT r.jid FROM room r WHERE r.domain = $1 AND r.jid > $2 \
    AND r.extra LIKE $4 ESCAPE '!' ORDER BY r.jid LIMIT +$3";
const ROOMS_OF: &str = "SELECT r.jid AS room, m.jid, m.affiliation, m.nick, m.reason, m.since, \
    m.version FROM room_member m JOIN room r ON r.owner = m.owner \
    WHERE m.jid = $1 AND m.affiliation > 0 AND r.jid > $2 ORDER BY r.jid LIMIT +$3";

/// Statements that must not read a whole table, for tests, each with the index that it must use.
#[cfg(test)]
pub(in crate::storage) fn statements() -> Vec<(String, &'static str)> {
    let mut statements = vec![
        (COUNT.to_owned(), "room_by_domain"),
        (COUNT_PUBLIC.to_owned(), "room_public"),
        (OF_CREATOR.to_owned(), "room_by_creator"),
        (OCCUPIED.to_owned(), "room_awake"),
        (MENTIONING.to_owned(), "room_by_domain"),
    ];
    for (is_backwards, has_end, words) in [(false, false, 0), (true, false, 2), (true, true, 1)] {
        for (public_only, index) in [(false, "room_by_domain"), (true, "room_public")] {
            let shape = Shape { public_only, is_backwards, has_end, words };
            statements.push((shape.statement(), index));
        }
    }
    statements
}

/// As [`statements`], but this one sorts what it finds.
#[cfg(test)]
pub(in crate::storage) const SORTING: (&str, &str) = (ROOMS_OF, "room_member_by_jid");
