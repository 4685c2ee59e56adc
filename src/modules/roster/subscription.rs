//! What subscription stanzas change in a roster (RFC 6121 §3, appendix A). The router tells the contact.

use std::sync::Arc;

use super::change::{interested, push, replace};
use crate::host::{Cx, RosterLock, RosterLocks, privileges, stanza_log};
use crate::jid::{BareJid, Jid};
use crate::roster::item;
use crate::roster::subscription::{State, Step, Way};
use crate::stanza::{Condition, Content, Presence, PresenceKind, Stanza, StanzaError};
use crate::storage::{RosterItem, RosterVersion, Subscription};
use crate::xml::{Frame, Node};

/// What a subscription stanza has changed, and what the router has to do.
#[derive(Debug)]
pub struct Changed {
    /// The stanza goes on: outbound to the contact, inbound to the user's sessions.
    pub pass: bool,
    /// The server answers at once with `subscribed`.
    pub approve: bool,
    /// The contact may see the user from now on.
    pub opened: bool,
    /// From now on the contact may not see the user.
    pub closed: bool,
    /// The new item, if clients see a change.
    item: Option<(Node, RosterVersion)>,
    /// Held until the clients have been told.
    _lock: Option<RosterLock>,
}

/// Locks the roster of a user for [`subscription`]. `None` if the request that is handled holds the lock.
pub async fn lock(cx: &Cx<'_>, user: &BareJid) -> Option<RosterLock> {
    match cx.outbox.has_locked(user) {
        true => None,
        false => Some(cx.server.shared::<RosterLocks>().lock(user).await),
    }
}

/// Applies a subscription stanza between `user` and `contact` to the user's roster (RFC 6121 §3,
/// appendix A), which is locked by `lock`. The caller tells the clients by [`push_changed`], in the right order.
/// `is_invited`: the contact has shown an invitation of the user (XEP-0379), and is taken as approved in advance.
///
/// # Errors
/// `resource-constraint` if the roster is full, or too many requests wait; `forbidden` if a user
/// without an account adds a contact; `internal-server-error` if the store fails.
pub async fn subscription(
    cx: &Cx<'_>,
    lock: Option<RosterLock>,
    (user, contact): (&BareJid, &BareJid),
    way: Way,
    (presence, is_invited): (&Presence, bool),
) -> Result<Changed, StanzaError> {
    if way == Way::Outbound {
        cx.must_have_account(user).await?;
    }
    let jid: Jid = contact.clone().into();
    loop {
        let old = cx.server.storage.roster().find(user, &jid).await?;
        let item = old.clone().unwrap_or_else(|| item::new(jid.clone()));
        let before = State::of(&item);
        let is_approved = item.approved || is_invited;
        let step = before.step(is_approved, way, presence.kind).ok_or(Condition::BadRequest)?;
        let new = changed(item, step, way, presence);
        let version = match new == old {
            true => None,
            false => match replace(cx, user, &jid, old.as_ref(), new.as_ref()).await? {
                Some(version) => Some(version),
                None => continue,
            },
        };
        let is_seen = |new: &&RosterItem| new.listed && old.as_ref().is_none_or(|o| differ(o, new));
        let seen = new.as_ref().filter(is_seen).map(item::listed);
        return Ok(Changed {
            pass: step.pass,
            approve: step.approve,
            opened: !before.is_seen() && step.state.is_seen(),
            closed: before.is_seen() && !step.state.is_seen(),
            item: seen.zip(version),
            _lock: lock,
        });
    }
}

/// Makes `contact`, who has an account here, a contact of `user`: each sees the other's presence (XEP-0401 §4.4). The
/// caller does the same for the contact, and tells the clients.
///
/// # Errors
/// As [`subscription`].
pub async fn make_mutual(
    cx: &Cx<'_>,
    lock: Option<RosterLock>,
    user: &BareJid,
    contact: &BareJid,
) -> Result<Changed, StanzaError> {
    let jid: Jid = contact.clone().into();
    loop {
        let old = cx.server.storage.roster().find(user, &jid).await?;
        let new = RosterItem {
            subscription: Subscription::Both,
            pending_out: false,
            pending_in: None,
            approved: false,
            listed: true,
            ..old.clone().unwrap_or_else(|| item::new(jid.clone()))
        };
        let opened = old.as_ref().is_none_or(|old| !old.subscription.is_from());
        let version = replace(cx, user, &jid, old.as_ref(), Some(&new)).await?;
        let Some(version) = version else { continue };
        let item = Some((item::listed(&new), version));
        return Ok(Changed {
            pass: false,
            approve: false,
            opened,
            closed: false,
            item,
            _lock: lock,
        });
    }
}

/// The item after a step. `None` if it has become empty and is to be removed.
fn changed(mut item: RosterItem, step: Step, way: Way, presence: &Presence) -> Option<RosterItem> {
    let asks = way == Way::Outbound && presence.kind == PresenceKind::Subscribe;
    item.subscription = step.state.subscription();
    item.pending_out = step.state.is_pending_out();
    item.approved = step.approved;
    // An approval puts the contact into the roster (RFC 6121 §3.1.5, §3.4.2).
    item.listed |= asks || step.approved || item.subscription != Subscription::None;
    item.pending_in = step.state.is_pending_in().then(|| {
        // Of several requests the first is stored (RFC 6121 §3.1.3).
        item.pending_in.take().unwrap_or_else(|| kept(presence))
    });
    (item.listed || item.pending_in.is_some()).then_some(item)
}

/// Whether clients see a difference.
fn differ(old: &RosterItem, new: &RosterItem) -> bool {
    let seen = |i: &RosterItem| (i.listed, i.subscription, i.pending_out, i.approved);
    seen(old) != seen(new)
}

/// Tells the user's clients at once what a subscription stanza has changed, before everything that is in
/// the outbox.
pub fn push_changed(cx: &Cx<'_>, user: &BareJid, changed: &Changed) {
    let Some((node, version)) = &changed.item else { return };
    privileges::push_roster(cx.server, user, node, *version);
    for session in interested(cx, user) {
        let push = Arc::new(push(user, &session, node.clone(), *version));
        stanza_log::note_delivery_of(&push, &session, session.deliver(Arc::clone(&push)));
    }
}

/// The subscription requests that wait for an answer of the user. A client gets them with its first
/// presence (RFC 6121 §3.1.3).
#[must_use]
pub fn waiting_requests(items: &[RosterItem]) -> Vec<Presence> {
    let frames = items.iter().filter_map(|item| item.pending_in.as_ref());
    frames
        .filter_map(|xml| Frame::from_bytes(xml.clone()).ok())
        .filter_map(|frame| match Stanza::read(frame) {
            Ok(Stanza::Presence(presence)) => Some(presence),
            _ => None,
        })
        .collect()
}

/// A subscription request as it is stored until the user answers it.
///
/// DEPARTS: RFC 6121 §3.1.3 – the content of a very large request is not stored. Anybody may send one, and
/// all requests are read with the roster.
fn kept(presence: &Presence) -> String {
    let xml = Stanza::Presence(presence.clone()).to_xml();
    if xml.len() > MAX_REQUEST {
        let bare = Presence { content: Content::default(), ..presence.clone() };
        return Stanza::Presence(bare).to_xml();
    }
    xml
}

/// Bytes. A larger request is stored without its content.
const MAX_REQUEST: usize = 8192;
