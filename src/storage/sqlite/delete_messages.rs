//! Removes undelivered markers, and messages that nobody holds any more.

use super::write_tx::{Known, WriteTx};
use crate::jid::BareJid;
use crate::storage::sql::undelivered;
use crate::storage::{MessageId, Result};

/// Removes the markers of messages that were delivered.
pub(super) async fn clear_markers(
    on: &mut WriteTx<'_>,
    markers: &[(&BareJid, MessageId)],
) -> Result<()> {
    let mut pairs = Vec::with_capacity(markers.len());
    for (owner, id) in markers {
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
    let unheld = undelivered::delete(&mut on.tx, &pairs).await?;
    if !unheld.is_empty() {
        markers.iter().for_each(|(owner, _)| on.memory.freed(owner));
    }
    release_holders(on, unheld).await
}

/// Takes one holder from each of these messages; a message may be in the list several times. A message without a holder
/// is deleted.
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
            sqlx::query(statement).bind(&list).execute(on.tx.connection().await?).await?;
        }
        ids = again;
    }
    Ok(())
}

/// Ids as a list in JSON, for `json_each`.
pub(super) fn list(ids: &[i64]) -> String {
    let numbers: Vec<String> = ids.iter().map(i64::to_string).collect();
    format!("[{}]", numbers.join(","))
}

const RELEASE: [&str; 2] = [
    "DELETE FROM message WHERE id IN (SELECT value FROM json_each($1)) AND holders <= 1",
    "UPDATE message SET holders = holders - 1 WHERE id IN (SELECT value FROM json_each($1))",
];

/// All of them.
#[cfg(test)]
pub(super) fn statements() -> Vec<String> {
    RELEASE.map(str::to_owned).into()
}
