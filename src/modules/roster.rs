//! RFC 6121 §2 and §3: the roster, its pushes, and what subscription stanzas change in it.
//!
//! What a client hears of one change comes in the order of the specification's examples. Its own
//! roster set: the result, the push, and then what others do because of it (§2.3.2, §2.5.2). A contact
//! that is removed has heard of it before: who reads the result may rely on that. What a contact does: the stanza, then the push, then the presence that follows from it (§3.1.6, §3.3.3);
//! but who takes away the sight of herself is seen to go first (§3.2.2). Changes that are made at the
//! same moment are told in the order in which they are made (§2.6.3): `host/roster_lock.rs`.

use std::sync::Arc;

use async_trait::async_trait;

use crate::host::{
    Cx, IqHandler, IqReply, Manifest, Module, Registry, RosterLock, Scope, Status, Xep,
};
use crate::jid::{BareJid, FullJid, Jid};
use crate::ns;
use crate::roster::contact_removal::farewell;
use crate::roster::item::{self, RosterSet};
use crate::roster::subscription::{State, Step, Way};
use crate::session::SessionRef;
use crate::stanza::{
    Condition, Content, Head, Iq, IqKind, Presence, PresenceKind, Stanza, StanzaError,
};
use crate::storage::{self, RosterItem, RosterVersion, Subscription};
use crate::xml::{ElementRef, Frame, Node, element};

/// Keeps and tells the contacts of an account.
pub struct Roster;

impl Module for Roster {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "roster",
            summary: "Keeps contacts, pushes changes, manages subscriptions",
            xeps: &[Xep { number: 237, version: "1.3", status: Status::Complete }],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.iq(Scope::Account, IqKind::Get, (ns::ROSTER, "query"), &Self);
        on.closed_iq(IqKind::Set, (ns::ROSTER, "query"), &Self);
    }
}

#[async_trait]
impl IqHandler for Roster {
    async fn handle(&self, cx: &mut Cx<'_>, request: &Iq) -> IqReply {
        let user = request.head.to.as_ref().map(|to| to.to_bare());
        let user = user.ok_or(Condition::BadRequest)?;
        if !cx.origin.is_of(&user) {
            return Err(Condition::Forbidden.into()); // RFC 6121 §2.3.3, case 1
        }
        let query = request.payload().ok_or(Condition::BadRequest)?;
        if request.kind == IqKind::Get {
            return get(cx, &user, &query).await;
        }
        match RosterSet::read(&user, &query)? {
            RosterSet::Keep { jid, name, groups } => set(cx, &user, jid, name, groups).await,
            RosterSet::Remove(jid) => remove(cx, &user, &jid).await,
        }
    }
}

/// RFC 6121 §2.1.3. Who knows a version is sent what has changed since, in pushes behind an empty
/// answer (§2.6.3), if that is not much and still known; else all.
async fn get(cx: &mut Cx<'_>, user: &BareJid, query: &ElementRef<'_>) -> IqReply {
    // RFC 6121 §2.1.3; elements that we do not know are ignored (RFC 6120 §8.4).
    if query.has_child(ns::ROSTER, "item") {
        return Err(Condition::BadRequest.text("a roster get must not contain an item"));
    }
    let lock = cx.hosts.rosters.lock(user).await;
    let reply = read(cx, user, query).await?;
    // From now on it is told of changes, but not before it has been answered.
    if let Some(session) = cx.origin.owned() {
        session.change_flags(|flags| flags.interested = true);
    }
    cx.outbox.unlock_behind(lock);
    Ok(reply)
}

async fn read(cx: &mut Cx<'_>, user: &BareJid, query: &ElementRef<'_>) -> IqReply {
    let store = cx.hosts.storage.roster();
    if let Some(known) = query.attr("ver").and_then(|ver| ver.parse::<RosterVersion>().ok()) {
        // They are sent without waiting for room, as others wait for the lock.
        let room = cx.hosts.config.load().limits.inbox_stanzas / 4;
        let (version, changes) = store.changes(user, known, MAX_CHANGES.min(room)).await?;
        if version == known {
            return Ok(None);
        }
        if let (Some(changes), Some(session)) = (changes, cx.origin.session()) {
            for change in changes {
                let node =
                    change.item.as_ref().map_or_else(|| item::removed(&change.jid), item::listed);
                cx.outbox.send_behind(push(user, session, node, change.version));
            }
            return Ok(None);
        }
    }
    let (version, items) = store.load(user).await?;
    let listed = items.iter().filter(|item| item.listed).map(item::listed);
    Ok(Some(element("query").ns(ns::ROSTER).attr("ver", version.to_string()).children(listed)))
}

/// RFC 6121 §2.3, §2.4.
async fn set(
    cx: &mut Cx<'_>,
    user: &BareJid,
    jid: Jid,
    name: String,
    groups: Vec<String>,
) -> IqReply {
    cx.must_have_account(user).await?;
    let lock = cx.hosts.rosters.lock(user).await;
    loop {
        let old = cx.hosts.storage.roster().find(user, &jid).await?;
        let mut item = old.clone().unwrap_or_else(|| item::new(jid.clone()));
        (item.name, item.groups, item.listed) = (name.clone(), groups.clone(), true);
        if let Some(version) = replace(cx, user, &jid, old.as_ref(), Some(&item)).await? {
            for session in interested(cx, user) {
                let push = push(user, &session, item::listed(&item), version);
                cx.outbox.send_behind(push);
            }
            cx.outbox.unlock_behind(lock);
            return Ok(None);
        }
    }
}

/// RFC 6121 §2.5: with the item go the subscriptions. The contact hears of it before the user is
/// answered, so both rosters are locked.
async fn remove(cx: &mut Cx<'_>, user: &BareJid, jid: &Jid) -> IqReply {
    let lock = cx.hosts.rosters.lock_both(user, &jid.to_bare()).await;
    let (item, version) = loop {
        let item = cx.hosts.storage.roster().find(user, jid).await?;
        let item = item.filter(|item| item.listed).ok_or(Condition::ItemNotFound)?;
        if let Some(version) = replace(cx, user, jid, Some(&item), None).await? {
            break (item, version);
        }
    };
    for session in interested(cx, user) {
        cx.outbox.send_behind(push(user, &session, item::removed(jid), version));
    }
    cx.outbox.unlock_behind(lock);
    for presence in farewell(user, &available(cx, user), &item) {
        cx.outbox.send(Stanza::Presence(presence));
    }
    Ok(None)
}

/// What a subscription stanza has changed, and what is left to do.
#[derive(Debug)]
pub struct Changed {
    /// It goes on: outbound to the contact, inbound to the user's sessions.
    pub pass: bool,
    /// It is answered at once with `subscribed`.
    pub approve: bool,
    /// The contact may see the user from now on.
    pub opened: bool,
    /// The contact may not see the user any more.
    pub closed: bool,
    /// The item as clients see it from now on, if they see a change.
    item: Option<(Node, RosterVersion)>,
    /// Until they have been told.
    _lock: Option<RosterLock>,
}

/// Applies a subscription stanza between `user` and `contact` to the user's roster (RFC 6121 §3,
/// appendix A). What has changed is to be told by [`push_changed`] in its place among the rest.
///
/// # Errors
/// `resource-constraint` if the roster is full, or too many requests wait; `forbidden` if a user
/// without an account wants to keep a contact; `internal-server-error` if the store fails.
pub async fn subscription(
    cx: &Cx<'_>,
    user: &BareJid,
    contact: &BareJid,
    way: Way,
    presence: &Presence,
) -> Result<Changed, StanzaError> {
    if way == Way::Outbound {
        cx.must_have_account(user).await?;
    }
    let jid: Jid = contact.clone().into();
    let lock = match cx.outbox.has_locked(user) {
        true => None,
        false => Some(cx.hosts.rosters.lock(user).await),
    };
    loop {
        let old = cx.hosts.storage.roster().find(user, &jid).await?;
        let item = old.clone().unwrap_or_else(|| item::new(jid.clone()));
        let before = State::of(&item);
        let step = before.step(item.approved, way, presence.kind).ok_or(Condition::BadRequest)?;
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

/// The item after a step; `None` if nothing of it is left.
fn changed(mut item: RosterItem, step: Step, way: Way, presence: &Presence) -> Option<RosterItem> {
    let asks = way == Way::Outbound && presence.kind == PresenceKind::Subscribe;
    item.subscription = step.state.subscription();
    item.pending_out = step.state.is_pending_out();
    item.approved = step.approved;
    // An approval lists the contact: there is something to see now (RFC 6121 §3.1.5, §3.4.2).
    item.listed |= asks || step.approved || item.subscription != Subscription::None;
    item.pending_in = step.state.is_pending_in().then(|| {
        // The first of several requests is the one that waits (RFC 6121 §3.1.3).
        item.pending_in.take().unwrap_or_else(|| kept(presence))
    });
    (item.listed || item.pending_in.is_some()).then_some(item)
}

/// Clients see a difference.
fn differ(old: &RosterItem, new: &RosterItem) -> bool {
    let seen = |i: &RosterItem| (i.listed, i.subscription, i.pending_out, i.approved);
    seen(old) != seen(new)
}

/// Tells the user's clients what a subscription stanza has changed, at once: before anything that
/// is in the outbox.
pub fn push_changed(cx: &Cx<'_>, user: &BareJid, changed: &Changed) {
    let Some((node, version)) = &changed.item else { return };
    for session in interested(cx, user) {
        let push = push(user, &session, node.clone(), *version);
        if session.deliver(Arc::new(push)).is_err() {
            tracing::debug!(jid = %session.jid(), "roster push dropped: the session ends");
        }
    }
}

/// Tells `contact` that every session of `user` is gone (RFC 6121 §3.2.2, §3.3.3).
pub fn gone(cx: &mut Cx<'_>, user: &BareJid, contact: &Jid) {
    for from in available(cx, user) {
        let gone = Presence::bare(PresenceKind::Unavailable, from, contact.clone());
        cx.outbox.send(Stanza::Presence(gone));
    }
}

fn available(cx: &Cx<'_>, user: &BareJid) -> Vec<FullJid> {
    let sessions = cx.hosts.sessions.available(user);
    sessions.iter().map(|session| session.jid().clone()).collect()
}

/// Requests that wait for an answer of `user`, to be shown to a client that comes online
/// (RFC 6121 §3.1.3).
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

async fn replace(
    cx: &Cx<'_>,
    user: &BareJid,
    jid: &Jid,
    old: Option<&RosterItem>,
    new: Option<&RosterItem>,
) -> storage::Result<Option<RosterVersion>> {
    let limit = cx.hosts.config.load().limits.roster_items;
    let replaced = cx.hosts.storage.roster().replace(user, jid, old, new, limit).await;
    replaced.inspect_err(|error| cx.hosts.count_refusal(error))
}

/// Sessions that have asked for the roster (RFC 6121 §2.2).
fn interested(cx: &Cx<'_>, user: &BareJid) -> Vec<SessionRef> {
    let sessions = cx.hosts.sessions.of(user).into_iter();
    sessions.filter(|session| session.flags().interested).collect()
}

/// RFC 6121 §2.1.6: a roster push.
fn push(user: &BareJid, session: &SessionRef, item: Node, version: RosterVersion) -> Stanza {
    let query = element("query").ns(ns::ROSTER).attr("ver", version.to_string()).child(item);
    let mut head = Head::between(user.clone(), session.jid().clone());
    head.id = Some(format!("push{version}").into());
    Stanza::Iq(Iq { head, kind: IqKind::Set, content: Content::from(query) })
}

/// A request as it is kept until it is answered.
///
/// DEPARTS: RFC 6121 §3.1.3 – what a very large one carries is not kept: whoever likes may ask, and
/// all requests are read with the roster.
fn kept(presence: &Presence) -> String {
    let xml = Stanza::Presence(presence.clone()).to_xml();
    if xml.len() > MAX_REQUEST {
        let bare = Presence { content: Content::default(), ..presence.clone() };
        return Stanza::Presence(bare).to_xml();
    }
    xml
}

/// Changes that are sent one by one; if there are more, the whole roster is less.
const MAX_CHANGES: usize = 50;
/// Bytes of a request that is kept with all it carries.
const MAX_REQUEST: usize = 8192;
