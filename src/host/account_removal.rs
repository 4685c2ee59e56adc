//! The removal of an account: the same for a client that cancels its registration (XEP-0077 §3.2), for a
//! command of the administrator, and for web pages.

use super::lifecycle::{self, Event};
use super::{Cx, Invalidation};
use crate::jid::BareJid;
use crate::session::CloseReason;
use crate::storage;

/// Removes an account with all its data, tells the features, and closes its sessions. The session that
/// asks for it, if one does, stays for its answer: the caller closes it. Answers how many sessions were
/// closed; `None` if there is no such account.
///
/// The account is removed before its sessions are closed: a client that is closed first could log in
/// again in between.
///
/// # Errors
/// If the store fails: then nothing has changed.
pub async fn remove_account(cx: &mut Cx<'_>, user: &BareJid) -> storage::Result<Option<usize>> {
    let (_, contacts) = cx.server.storage.roster().load(user).await?;
    // A login that stores a token at this moment would leave it behind.
    let turn = cx.server.sessions.revocations().turn(user).await;
    if !cx.server.storage.accounts().remove(user).await? {
        return Ok(None);
    }
    drop(turn);
    cx.server.invalidate(&Invalidation::Account(user.clone()));
    lifecycle::tell(cx, Event::AccountRemoved { user, contacts: &contacts }).await;
    let asks = cx.origin.session();
    Ok(Some(cx.server.sessions.revoke(user, asks, &CloseReason::AccountRemoved)))
}
