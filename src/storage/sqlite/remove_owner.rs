//! Removes an owner: an account or a room.

use super::archive_segments;
use super::database::Database;
use super::expire_archive::ExpireArchive;
use super::write_tx::WriteTx;
use crate::jid::BareJid;
use crate::storage::sql::owner;
use crate::storage::{MessageId, Result};

impl Database {
    /// Forgets an archive up to a message, in pieces, so that other changes do not wait long. What comes after it
    /// is left to the change that removes the owner.
    pub(super) async fn forget_archive(
        &self,
        owner: &BareJid,
        newest: Option<MessageId>,
    ) -> Result<()> {
        let below = newest.map_or(0, |newest| newest.get() + 1);
        while self.writer.write(ExpireArchive { owner: owner.clone(), below }).await? > 0 {}
        Ok(())
    }
}

/// Removes an owner with all that is stored for it. Most tables refer to the owner and lose its rows with
/// it. Rows of the archive do not refer to it, and messages have no owner.
pub(super) async fn purge(on: &mut WriteTx<'_>, jid: &BareJid, owner: i64) -> Result<()> {
    for statement in PURGE {
        sqlx::query(statement).bind(owner).execute(on.tx.connection().await?).await?;
    }
    // What the account was at nodes of others must not be inherited by a later account with its address.
    for statement in FORGET_ENTITY {
        sqlx::query(statement).bind(jid.as_str()).execute(on.tx.connection().await?).await?;
    }
    archive_segments::forget(on, owner, i64::MAX).await?;
    on.memory.shorten(jid);
    on.memory.take_senders(owner);
    owner::delete(on.tx.connection().await?, owner).await?;
    on.memory.forget(jid);
    Ok(())
}

/// Affiliations and subscriptions of an address (XEP-0060), and its share of the nodes at a service: another owner of a
/// node has created it from now on. A node without one is deleted later. And what it was in rooms (XEP-0045 §5.2), but
/// for bans.
const FORGET_ENTITY: [&str; 4] = [
    "DELETE FROM pubsub_affiliation WHERE jid = $1",
    "UPDATE pubsub_node SET creator = coalesce((SELECT min(a.jid) FROM pubsub_affiliation a \
     WHERE a.node = pubsub_node.number AND a.affiliation = 1), creator) WHERE creator = $1",
    "DELETE FROM room_member WHERE jid = $1 AND affiliation > 0 AND affiliation < 4",
    "DELETE FROM pubsub_subscription WHERE bare = $1",
];

/// Messages that this owner holds are deleted if nobody else holds them.
const PURGE: [&str; 3] = [
    "DELETE FROM message WHERE holders <= 1 AND id IN \
     (SELECT id FROM archive WHERE owner = $1 UNION SELECT message FROM waiting WHERE owner = $1)",
    "UPDATE message SET holders = holders - 1 WHERE id IN \
     (SELECT id FROM archive WHERE owner = $1 UNION SELECT message FROM waiting WHERE owner = $1)",
    "DELETE FROM handled WHERE session IN (SELECT number FROM resumable WHERE owner = $1)",
];
