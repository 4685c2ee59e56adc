//! RFC 6121 §2 and §3: the roster, its pushes, and what subscription stanzas change in it.
//!
//! A client is told of a change in the order of the specification's examples:
//!
//! - Its own roster set: the result, the push, and then what others do because of it (§2.3.2, §2.5.2). A
//!   contact that is removed is told before the result, so that the client can rely on it.
//! - A stanza of a contact: the stanza, the push, and then the presence that follows from it (§3.1.6,
//!   §3.3.3). But a contact that cancels the user's subscription sends unavailable presence first (§3.2.2).
//! - Changes that are made at the same moment: in the order in which they are made (§2.6.3), see
//!   `host/roster_lock.rs`.

use std::sync::Arc;

use async_trait::async_trait;

use crate::host::lifecycle::{Event, EventKind, Listener};
use crate::host::{
    Access, Cx, IqHandler, IqReply, Manifest, Module, Registry, RosterLock, RosterLocks, Scope,
    Status, Xep,
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

/// Stores the contacts of accounts, and tells clients of changes.
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
        on.shared(RosterLocks::default());
        let query = (ns::ROSTER, "query");
        on.iq(Scope::Account, IqKind::Get, query, Access::Owner, &Self); // RFC 6121 §2.1.5
        // RFC 6121 §2.3.3, case 1
        on.iq(Scope::Account, IqKind::Set, query, Access::OwnerElseForbidden, &Self);
        on.listener(EventKind::AccountRemoved, &Self);
    }
}

/// An account was removed: its contacts are told that all subscriptions have ended (RFC 6121 §2.5.2).
#[async_trait]
impl Listener for Roster {
    async fn on_event(&self, cx: &mut Cx<'_>, event: &Event<'_>) -> Result<(), StanzaError> {
        // An account at a domain that is served no more has no address to send from.
        if let Event::AccountRemoved { user, contacts } = event
            && cx.server.host(user.domain()).is_some()
        {
            let available = available(cx, user);
            for presence in contacts.iter().flat_map(|item| farewell(user, &available, item)) {
                cx.outbox.send(Stanza::Presence(presence));
            }
        }
        Ok(())
    }
}

#[async_trait]
impl IqHandler for Roster {
    async fn handle(&self, cx: &mut Cx<'_>, request: &Iq) -> IqReply {
        let user = request.head.to.as_ref().map(|to| to.to_bare());
        let user = user.ok_or(Condition::BadRequest)?;
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

/// Answers a roster get (RFC 6121 §2.1.3). A client that knows a version gets an empty answer, and then
/// the changes since that version as pushes (§2.6.3), if they are few and still known. Otherwise it gets
/// the whole roster.
async fn get(cx: &mut Cx<'_>, user: &BareJid, query: &ElementRef<'_>) -> IqReply {
    // RFC 6121 §2.1.3. Unknown elements are ignored (RFC 6120 §8.4).
    if query.has_child(ns::ROSTER, "item") {
        return Err(Condition::BadRequest.text("a roster get must not contain an item"));
    }
    let lock = cx.server.shared::<RosterLocks>().lock(user).await;
    let reply = read(cx, user, query).await?;
    // From now on the client gets pushes. The lock keeps them behind the answer.
    if let Some(session) = cx.origin.owned() {
        session.change_flags(|flags| flags.interested = true);
    }
    cx.outbox.unlock_behind(lock);
    Ok(reply)
}

async fn read(cx: &mut Cx<'_>, user: &BareJid, query: &ElementRef<'_>) -> IqReply {
    let store = cx.server.storage.roster();
    if let Some(known) = query.attr("ver").and_then(|ver| ver.parse::<RosterVersion>().ok()) {
        // They are sent without waiting for room in the mailbox, since others wait for the lock.
        let room = cx.server.config.load().limits.inbox_stanzas / 4;
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

/// Adds or changes an item (RFC 6121 §2.3, §2.4).
async fn set(
    cx: &mut Cx<'_>,
    user: &BareJid,
    jid: Jid,
    name: String,
    groups: Vec<String>,
) -> IqReply {
    cx.must_have_account(user).await?;
    let lock = cx.server.shared::<RosterLocks>().lock(user).await;
    loop {
        let old = cx.server.storage.roster().find(user, &jid).await?;
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

/// Removes an item with its subscriptions (RFC 6121 §2.5). The contact is told before the user gets the
/// answer, so both rosters are locked.
async fn remove(cx: &mut Cx<'_>, user: &BareJid, jid: &Jid) -> IqReply {
    let lock = cx.server.shared::<RosterLocks>().lock_both(user, &jid.to_bare()).await;
    let (item, version) = loop {
        let item = cx.server.storage.roster().find(user, jid).await?;
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

/// Applies a subscription stanza between `user` and `contact` to the user's roster (RFC 6121 §3,
/// appendix A). The caller tells the clients by [`push_changed`], in the right order.
///
/// # Errors
/// `resource-constraint` if the roster is full, or too many requests wait; `forbidden` if a user
/// without an account adds a contact; `internal-server-error` if the store fails.
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
        false => Some(cx.server.shared::<RosterLocks>().lock(user).await),
    };
    loop {
        let old = cx.server.storage.roster().find(user, &jid).await?;
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

/// The item after a step. `None` if it says nothing any more and is to be removed.
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
    for session in interested(cx, user) {
        let push = push(user, &session, node.clone(), *version);
        if session.deliver(Arc::new(push)).is_err() {
            tracing::debug!(jid = %session.jid(), "roster push dropped: the session ends");
        }
    }
}

/// Sends `contact` unavailable presence of all available sessions of `user` (RFC 6121 §3.2.2, §3.3.3).
pub fn gone(cx: &mut Cx<'_>, user: &BareJid, contact: &Jid) {
    for from in available(cx, user) {
        let gone = Presence::bare(PresenceKind::Unavailable, from, contact.clone());
        cx.outbox.send(Stanza::Presence(gone));
    }
}

fn available(cx: &Cx<'_>, user: &BareJid) -> Vec<FullJid> {
    let sessions = cx.server.sessions.available(user);
    sessions.iter().map(|session| session.jid().clone()).collect()
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

async fn replace(
    cx: &Cx<'_>,
    user: &BareJid,
    jid: &Jid,
    old: Option<&RosterItem>,
    new: Option<&RosterItem>,
) -> storage::Result<Option<RosterVersion>> {
    let limit = cx.server.config.load().limits.roster_items;
    let replaced = cx.server.storage.roster().replace(user, jid, old, new, limit).await;
    replaced.inspect_err(|error| cx.server.count_refusal(error))
}

/// The sessions that have asked for the roster (RFC 6121 §2.2).
fn interested(cx: &Cx<'_>, user: &BareJid) -> Vec<SessionRef> {
    let sessions = cx.server.sessions.of(user).into_iter();
    sessions.filter(|session| session.flags().interested).collect()
}

/// A roster push (RFC 6121 §2.1.6).
fn push(user: &BareJid, session: &SessionRef, item: Node, version: RosterVersion) -> Stanza {
    let query = element("query").ns(ns::ROSTER).attr("ver", version.to_string()).child(item);
    let mut head = Head::between(user.clone(), session.jid().clone());
    head.id = Some(format!("push{version}").into());
    Stanza::Iq(Iq { head, kind: IqKind::Set, content: Content::from(query) })
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

/// At most so many changes are sent one by one. The whole roster is smaller than more of them.
const MAX_CHANGES: usize = 50;
/// Bytes. A larger request is stored without its content.
const MAX_REQUEST: usize = 8192;
