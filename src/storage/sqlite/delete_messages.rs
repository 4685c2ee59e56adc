//! Marks that fall, and messages which nobody holds any more.

use std::sync::LazyLock;

use sqlx::Row;

use super::writer::{Known, WriteTx};
use crate::jid::BareJid;
use crate::storage::sql::multi_row::MultiRow;
use crate::storage::{MessageId, Result};

/// The marks of these fall.
pub(super) async fn clear_markers(
    on: &mut WriteTx<'_>,
    marks: &[(&BareJid, MessageId)],
) -> Result<()> {
    let mut pairs = Vec::with_capacity(marks.len());
    for (owner, id) in marks {
        let Some(known) = on.owner_if_any(owner).await? else { continue };
        if known.waiting.is_some() {
            on.memory.remember(owner, Known { waiting: None, ..known });
        }
        on.memory.take_senders(known.number);
        pairs.push((known.number, id.get()));
    }
    // In the order of the table: neighbours are on one page.
    pairs.sort_unstable();
    pairs.dedup();
    let mut gone = Vec::new();
    for statement in ALONE.pieces(&pairs, |q, (owner, id)| q.bind(*owner).bind(*id)) {
        for row in statement.fetch_all(&mut *on.connection).await? {
            gone.push(row.try_get(0)?);
        }
    }
    if !gone.is_empty() {
        marks.iter().for_each(|(owner, _)| on.memory.freed(owner));
    }
    ANY.execute(on.connection, &pairs, |q, (owner, id)| q.bind(*owner).bind(*id)).await?;
    release_holders(on, gone).await
}

/// One holder less for each of these, which may come several times. A body without is gone.
pub(super) async fn release_holders(on: &mut WriteTx<'_>, mut ids: Vec<i64>) -> Result<()> {
    while !ids.is_empty() {
        ids.sort_unstable();
        let mut again = Vec::new();
        ids.dedup_by(|later, first| {
            let same = later == first;
            if same {
                again.push(*later);
            }
            same
        });
        let list = list(&ids);
        for statement in RELEASE {
            sqlx::query(statement).bind(&list).execute(&mut *on.connection).await?;
        }
        ids = again;
    }
    Ok(())
}

/// Numbers as a list that the database can read.
pub(super) fn list(ids: &[i64]) -> String {
    let numbers: Vec<String> = ids.iter().map(i64::to_string).collect();
    format!("[{}]", numbers.join(","))
}

const RELEASE: [&str; 3] = [
    "DELETE FROM archive_text WHERE rowid IN \
     (SELECT id FROM message WHERE id IN (SELECT value FROM json_each($1)) AND holders <= 1)",
    "DELETE FROM message WHERE id IN (SELECT value FROM json_each($1)) AND holders <= 1",
    "UPDATE message SET holders = holders - 1 WHERE id IN (SELECT value FROM json_each($1))",
];

// Pairs must come by a name: otherwise the whole table is walked through.
static ALONE: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new(
        "WITH pair (owner, message) AS (VALUES ",
        2,
        ") DELETE FROM waiting WHERE (owner, message) IN (SELECT owner, message FROM pair) \
         AND alone RETURNING message",
    )
});
static ANY: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new(
        "WITH pair (owner, message) AS (VALUES ",
        2,
        ") DELETE FROM waiting WHERE (owner, message) IN (SELECT owner, message FROM pair)",
    )
});

/// All of them.
#[cfg(test)]
pub(super) fn statements() -> Vec<String> {
    let pairs = ALONE.texts().chain(ANY.texts());
    pairs.chain(RELEASE.map(str::to_owned)).collect()
}
