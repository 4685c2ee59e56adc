//! A change of an item: it is stored, and the clients that have asked for the roster are told.

use crate::host::{Cx, Invalidation};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::session::SessionRef;
use crate::stanza::{Content, Head, Iq, IqKind, Stanza};
use crate::storage::{self, RosterItem, RosterVersion};
use crate::xml::{Node, element};

/// Replaces the item of `jid`, if it is still `old`. Answers the new version of the roster; `None` if another
/// task has changed the item meanwhile.
///
/// # Errors
/// If the roster is full, or the store fails.
pub(super) async fn replace(
    cx: &Cx<'_>,
    user: &BareJid,
    jid: &Jid,
    old: Option<&RosterItem>,
    new: Option<&RosterItem>,
) -> storage::Result<Option<RosterVersion>> {
    let limit = cx.server.config.load().limits.roster_items;
    let replaced = cx.server.storage.roster().replace(user, jid, old, new, limit).await;
    // Also after an error: nobody knows whether the change was made.
    cx.server.invalidate(&Invalidation::Roster(user.clone()));
    replaced.inspect_err(|error| cx.server.count_refusal(error))
}

/// The sessions that have asked for the roster (RFC 6121 §2.2).
pub(super) fn interested(cx: &Cx<'_>, user: &BareJid) -> Vec<SessionRef> {
    let sessions = cx.server.sessions.of(user).into_iter();
    sessions.filter(|session| session.flags().interested).collect()
}

/// A roster push (RFC 6121 §2.1.6).
pub(super) fn push(
    user: &BareJid,
    session: &SessionRef,
    item: Node,
    version: RosterVersion,
) -> Stanza {
    let query = element("query").ns(ns::ROSTER).attr("ver", version.to_string()).child(item);
    let mut head = Head::between(user.clone(), session.jid().clone());
    head.id = Some(format!("push{version}").into());
    Stanza::Iq(Iq { head, kind: IqKind::Set, content: Content::from(query) })
}
