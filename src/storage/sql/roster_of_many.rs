//! One contact in the rosters of many owners.

use std::sync::LazyLock;

use super::multi_row::MultiRow;
use super::roster::item;
use super::{Connection, jid};
use crate::jid::{BareJid, Jid};
use crate::storage::{Result, RosterItem};

/// The item with this address of each of these owners that has one.
pub(in crate::storage) async fn find_in_each(
    on: &mut Connection,
    owners: &[BareJid],
    contact: &Jid,
) -> Result<Vec<(BareJid, RosterItem)>> {
    let mut found = Vec::new();
    for statement in FIND_IN_EACH.pieces(owners, |statement, owner| {
        statement.bind(owner.to_string()).bind(contact.to_string())
    }) {
        for row in statement.fetch_all(&mut *on).await? {
            found.push((jid(&row, "owner", "owner")?.to_bare(), item(&row)?));
        }
    }
    Ok(found)
}

static FIND_IN_EACH: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new(
        "WITH wanted (owner, contact) AS (VALUES ",
        2,
        ") SELECT o.jid AS owner, i.jid, i.name, i.groups, i.subscription, i.pending_out, \
         i.pending_in, i.approved, i.listed FROM wanted w JOIN owner o ON o.jid = w.owner \
         JOIN roster_item i ON i.owner = o.number AND i.jid = w.contact",
    )
});

/// Statements that must not walk through a table.
#[cfg(test)]
pub(in crate::storage) fn statements() -> impl Iterator<Item = String> {
    FIND_IN_EACH.texts()
}
