//! RFC 6121 §2: the roster and its pushes. `roster/subscription.rs` has what subscription stanzas change in it
//! (§3).
//!
//! A client is told of a change in the order of the specification's examples:
//!
//! - Its own roster set: the result, the push, and then what others do because of it (§2.3.2, §2.5.2). A
//!   contact that is removed is told before the result, so that the client can rely on it.
//! - A stanza of a contact: the stanza, the push, and then the presence that follows from it (§3.1.6,
//!   §3.3.3). But a contact that cancels the user's subscription sends unavailable presence first (§3.2.2).
//! - Changes that are made at the same moment: in the order in which they are made (§2.6.3), see
//!   `host/roster_lock.rs`.

mod change;
mod subscription;
mod unavailable;

use async_trait::async_trait;

pub use subscription::{Changed, lock, make_mutual, push_changed, subscription, waiting_requests};
pub use unavailable::gone;

use self::change::{interested, push, replace};
use self::unavailable::available;
use crate::host::contact_list::ContactLists;
use crate::host::lifecycle::{self, Event, EventKind, Listener};
use crate::host::privileges::push_roster;
use crate::host::{
    Access, AddressKind, Cx, IqHandler, IqReply, Manifest, Module, Registry, RosterLocks, Status,
    Xep,
};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::roster::contact_removal::farewell;
use crate::roster::item::{self, RosterSet};
use crate::stanza::{Condition, Iq, IqKind, Stanza, StanzaError};
use crate::storage::RosterVersion;
use crate::xml::{ElementRef, element};

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
        on.shared(ContactLists::default());
        let query = (ns::ROSTER, "query");
        on.iq(AddressKind::Account, IqKind::Get, query, Access::Owner, &Self); // RFC 6121 §2.1.5
        // RFC 6121 §2.3.3, case 1
        on.iq(AddressKind::Account, IqKind::Set, query, Access::OwnerElseForbidden, &Self);
        on.listener(EventKind::AccountRemoved, &Self);
    }
}

/// An account was removed: its contacts are told that all subscriptions have ended (RFC 6121 §2.5.2).
#[async_trait]
impl Listener for Roster {
    async fn on_event(&self, cx: &mut Cx<'_>, event: &Event<'_>) -> Result<(), StanzaError> {
        // An account at a domain that the configuration no longer has cannot send anything.
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
            push_roster(cx.server, user, &item::listed(&item), version);
            cx.outbox.unlock_behind(lock);
            let before = old.as_ref().map_or(&[][..], |old| &old.groups);
            if before != groups {
                let (contact, groups) = (&jid.to_bare(), Some(before));
                lifecycle::tell(cx, Event::ContactChanged { user, contact, groups }).await;
            }
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
    push_roster(cx.server, user, &item::removed(jid), version);
    cx.outbox.unlock_behind(lock);
    for presence in farewell(user, &available(cx, user), &item) {
        cx.outbox.send(Stanza::Presence(presence));
    }
    let (contact, groups) = (&jid.to_bare(), Some(&item.groups[..]));
    lifecycle::tell(cx, Event::ContactChanged { user, contact, groups }).await;
    Ok(None)
}

/// At most so many changes are sent one by one. If there are more, the whole roster is smaller.
const MAX_CHANGES: usize = 50;
