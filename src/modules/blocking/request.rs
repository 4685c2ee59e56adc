//! Whom a user reports asks for nothing any more: a request for a subscription that waits for an answer goes away with the
//! report, and does not come back when the address is unblocked (XEP-0377 §6).

use super::report::Draft;
use crate::host::{Cx, Invalidation, RosterLocks};
use crate::jid::{BareJid, Jid};
use crate::storage::{self, RosterItem};

/// Removes the requests of those who are reported.
///
/// # Errors
/// If the store fails.
pub(super) async fn drop_reported(
    cx: &Cx<'_>,
    user: &BareJid,
    reports: &[Draft],
) -> storage::Result<()> {
    if reports.is_empty() {
        return Ok(());
    }
    let _lock = cx.server.shared::<RosterLocks>().lock(user).await;
    let limit = cx.server.config.load().limits.roster_items;
    let roster = cx.server.storage.roster();
    for report in reports {
        let jid = Jid::from(report.about().to_bare());
        // Another node may change the item meanwhile.
        while let Some(old) = roster.find(user, &jid).await?.filter(|old| old.pending_in.is_some())
        {
            let new = RosterItem { pending_in: None, ..old.clone() };
            let new = Some(new).filter(|new| new.listed);
            let done = roster.replace(user, &jid, Some(&old), new.as_ref(), limit).await?;
            cx.server.invalidate(&Invalidation::Roster(user.clone()));
            if done.is_some() {
                break;
            }
        }
    }
    Ok(())
}
