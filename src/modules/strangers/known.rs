//! Who is no stranger.

use super::conversation;
use crate::host::strangers::{self, Approach, Guarded};
use crate::host::{Cx, Halt, OurDomain, contact_list};
use crate::jid::{BareJid, Jid};
use crate::session::SessionRef;
use crate::storage::Subscription;

/// Whether `from` is no stranger to `user`.
///
/// # Errors
/// `internal-server-error` if the store fails.
pub(super) async fn is_known(
    cx: &Cx<'_>,
    guarded: &Guarded,
    user: &BareJid,
    approach: Approach,
    from: &Jid,
) -> Result<bool, Halt> {
    let bare = from.bare_str();
    if bare == user.as_str() {
        return Ok(true);
    }
    if guarded.known.contains(bare) {
        // The conversation goes on: it is not the one that was not used for longest.
        if guarded.known.is_due(bare, cx.server.clock.now()) {
            strangers::remember_later(cx.server, user, &guarded.known, &from.to_bare());
        }
        return Ok(true);
    }
    match cx.server.ours(from.domain()) {
        Some(OurDomain::Host(_)) if from.local().is_none() => return Ok(true),
        // Anybody can invite by a room of ours without naming who invites.
        Some(OurDomain::Service(_)) if approach != Approach::Invitation => return Ok(true),
        _ => {}
    }
    let sees_session = |session: &SessionRef| session.is_known_at(from);
    if cx.server.sessions.of(user).iter().any(sees_session) {
        return Ok(true);
    }
    let contact: Jid = from.to_bare().into();
    let item = contact_list::find(cx.server, user, &contact).await?;
    let is_contact = item.is_some_and(|item| {
        item.listed || item.pending_out || item.subscription != Subscription::None
    });
    Ok(is_contact || conversation::was_begun(cx, guarded, user, contact).await?)
}
