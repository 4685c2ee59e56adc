//! RFC 6121 §2 and §3: the roster, its pushes, and what subscription stanzas change in it.

use async_trait::async_trait;

use crate::host::{Cx, IqHandler, IqReply, Manifest, Module, Registry, Scope};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::roster::subscription::{State, Way};
use crate::stanza::{
    Condition, Content, Head, Iq, IqKind, Presence, PresenceKind, Stanza, StanzaError,
};
use crate::storage::{self, RosterItem, RosterVersion, Subscription};
use crate::xml::{ElementRef, Node, element};

/// Keeps and tells the contacts of an account.
pub struct Roster;

impl Module for Roster {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "roster",
            summary: "Keeps contacts, pushes changes, manages subscriptions",
            xeps: &[],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.iq(Scope::Account, IqKind::Get, (ns::ROSTER, "query"), &Self);
        on.iq(Scope::Account, IqKind::Set, (ns::ROSTER, "query"), &Self);
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
        match request.kind {
            IqKind::Get => get(cx, &user, &query).await,
            _ => set(cx, &user, &query).await,
        }
    }
}

/// RFC 6121 §2.1.3, with versions as of §2.6: an empty answer if nothing has changed, else all.
async fn get(cx: &Cx<'_>, user: &BareJid, query: &ElementRef<'_>) -> IqReply {
    if query.children().next().is_some() {
        return Err(Condition::BadRequest.text("a roster get has no items"));
    }
    if let Some(session) = cx.origin.session() {
        session.update_presence(|p| p.interested = true);
    }
    let (version, items) = cx.hosts.storage.roster().load(user).await?;
    let version = version.to_string();
    if query.attr("ver").is_some_and(|ver| ver == version) {
        return Ok(None);
    }
    let listed = items.iter().filter(|item| item.listed).map(|item| item_node(item, false));
    Ok(Some(element("query").ns(ns::ROSTER).attr("ver", &version).children(listed)))
}

/// RFC 6121 §2.1.5, §2.3, §2.4, §2.5.
async fn set(cx: &mut Cx<'_>, user: &BareJid, query: &ElementRef<'_>) -> IqReply {
    let mut children = query.children();
    let (Some(item), None) = (children.next(), children.next()) else {
        return Err(Condition::BadRequest.text("a roster set has exactly one item"));
    };
    if !item.is(ns::ROSTER, "item") {
        return Err(Condition::BadRequest.into());
    }
    let jid = item.attr("jid").ok_or(Condition::BadRequest)?;
    let contact: Jid = Jid::parse(&jid).map_err(|_| Condition::JidMalformed)?;
    let contact: Jid = contact.to_bare().into();
    if item.attr("subscription").is_some_and(|s| s == "remove") {
        return remove(cx, user, &contact).await;
    }
    if contact == **user {
        return Err(Condition::NotAllowed.text("nobody is a contact of oneself"));
    }
    let (name, groups) = read_item(&item)?;
    let old = cx.hosts.storage.roster().find(user, &contact).await?;
    let mut item = old.unwrap_or_else(|| unlisted(contact));
    (item.name, item.groups, item.listed) = (name, groups, true);
    let version = keep(cx, user, &item).await?;
    push(cx, user, item_node(&item, false), version);
    Ok(None)
}

/// The name and the groups, checked (RFC 6121 §2.3.3).
fn read_item(item: &ElementRef<'_>) -> Result<(String, Vec<String>), StanzaError> {
    let name = item.attr("name").unwrap_or_default().into_owned();
    if name.len() > MAX_NAME {
        return Err(Condition::NotAcceptable.text("the name is too long"));
    }
    let mut groups: Vec<String> = Vec::new();
    for group in item.children() {
        if !group.is(ns::ROSTER, "group") {
            return Err(Condition::BadRequest.into());
        }
        let group = group.text().into_owned();
        if group.is_empty() || group.len() > MAX_NAME {
            return Err(Condition::NotAcceptable.text("a group is empty or too long"));
        }
        if groups.contains(&group) {
            return Err(Condition::BadRequest.text("a group is named twice"));
        }
        if groups.len() == MAX_GROUPS {
            return Err(Condition::NotAcceptable.text("too many groups"));
        }
        groups.push(group);
    }
    Ok((name, groups))
}

/// RFC 6121 §2.5: with the item go the subscriptions.
async fn remove(cx: &mut Cx<'_>, user: &BareJid, contact: &Jid) -> IqReply {
    let store = cx.hosts.storage.roster();
    let Some(item) = store.find(user, contact).await?.filter(|item| item.listed) else {
        return Err(Condition::ItemNotFound.into());
    };
    let version = store.remove(user, contact).await?.ok_or(Condition::ItemNotFound)?;
    let state = State::of(&item);
    let (to, from) = match item.subscription {
        Subscription::Both => (true, true),
        Subscription::From => (state.is_pending_out(), true),
        Subscription::None => (state.is_pending_out(), state.is_pending_in()),
        Subscription::To => (true, state.is_pending_in()),
    };
    for (due, kind) in [(to, PresenceKind::Unsubscribe), (from, PresenceKind::Unsubscribed)] {
        if due {
            let presence = Presence::bare(kind, user.clone(), contact.clone());
            cx.outbox.send(Stanza::Presence(presence));
        }
    }
    if matches!(item.subscription, Subscription::Both | Subscription::From) {
        gone(cx, user, contact);
    }
    push(cx, user, item_node(&item, true), version);
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
}

/// Applies a subscription stanza between `user` and `contact` to the user's roster, and pushes
/// what has changed (RFC 6121 §3, appendix A).
///
/// # Errors
/// If the store fails, or the roster is full.
pub async fn subscription(
    cx: &mut Cx<'_>,
    user: &BareJid,
    contact: &BareJid,
    way: Way,
    presence: &Presence,
) -> Result<Changed, StanzaError> {
    let store = cx.hosts.storage.roster();
    let jid: Jid = contact.clone().into();
    let old = store.find(user, &jid).await?;
    let was_listed = old.as_ref().is_some_and(|item| item.listed);
    let mut item = old.unwrap_or_else(|| unlisted(jid));
    let before = State::of(&item);
    let step = before.step(way, presence.kind).ok_or(Condition::BadRequest)?;
    let listed = was_listed || (way == Way::Outbound && presence.kind == PresenceKind::Subscribe);
    let sees =
        |state: State| matches!(state.subscription(), Subscription::Both | Subscription::From);
    if step.state != before || listed != was_listed {
        // An approval lists the contact: there is something to see now (RFC 6121 §3.1.5).
        item.listed = listed || step.state.subscription() != Subscription::None;
        item.subscription = step.state.subscription();
        item.pending_out = step.state.is_pending_out();
        item.pending_in = match (step.state.is_pending_in(), before.is_pending_in()) {
            (false, _) => None,
            (true, true) => item.pending_in,
            (true, false) => Some(String::from_utf8_lossy(&written(presence)).into_owned()),
        };
        let changed_for_clients = item.listed
            && (item.listed != was_listed
                || step.state.subscription() != before.subscription()
                || step.state.is_pending_out() != before.is_pending_out());
        let empty = !item.listed && item.pending_in.is_none();
        let version = if empty {
            store.remove(user, &item.jid).await?.unwrap_or_default()
        } else {
            keep(cx, user, &item).await?
        };
        if changed_for_clients {
            push(cx, user, item_node(&item, false), version);
        }
    }
    Ok(Changed {
        pass: step.pass,
        approve: step.approve,
        opened: !sees(before) && sees(step.state),
        closed: sees(before) && !sees(step.state),
    })
}

/// Tells `contact` that every session of `user` is gone (RFC 6121 §3.2.2, §3.3.3).
pub fn gone(cx: &mut Cx<'_>, user: &BareJid, contact: &Jid) {
    for session in cx.hosts.sessions.of(user) {
        if session.available().is_some() {
            let from = session.jid().clone();
            let presence = Presence::bare(PresenceKind::Unavailable, from, contact.clone());
            cx.outbox.send(Stanza::Presence(presence));
        }
    }
}

/// Requests that wait for an answer of `user`, to be shown to a client that comes online
/// (RFC 6121 §3.1.3).
#[must_use]
pub fn waiting_requests(items: &[RosterItem]) -> Vec<Presence> {
    let frames = items.iter().filter_map(|item| item.pending_in.as_ref());
    frames
        .filter_map(|xml| crate::xml::Frame::from_bytes(xml.clone()).ok())
        .filter_map(|frame| match Stanza::read(frame) {
            Ok(Stanza::Presence(presence)) => Some(presence),
            _ => None,
        })
        .collect()
}

async fn keep(cx: &Cx<'_>, user: &BareJid, item: &RosterItem) -> storage::Result<RosterVersion> {
    let limit = cx.hosts.config.load().limits.roster_items;
    cx.hosts.storage.roster().put(user, item, limit).await
}

/// RFC 6121 §2.1.6: a roster push to each resource that has asked for the roster.
fn push(cx: &mut Cx<'_>, user: &BareJid, item: Node, version: RosterVersion) {
    let query = element("query").ns(ns::ROSTER).attr("ver", version.to_string()).child(item);
    for session in cx.hosts.sessions.of(user) {
        if session.presence(|p| p.interested) {
            let mut head = Head::between(user.clone(), session.jid().clone());
            head.id = Some(format!("push{version}").into());
            let content = Content::from(query.clone());
            cx.outbox.send(Stanza::Iq(Iq { head, kind: IqKind::Set, content }));
        }
    }
}

fn item_node(item: &RosterItem, removed: bool) -> Node {
    let mut node = element("item").attr("jid", item.jid.as_str());
    if removed {
        return node.attr("subscription", "remove");
    }
    if !item.name.is_empty() {
        node = node.attr("name", &item.name);
    }
    node = node.attr(
        "subscription",
        match item.subscription {
            Subscription::Both => "both",
            Subscription::From => "from",
            Subscription::None => "none",
            Subscription::To => "to",
        },
    );
    if item.pending_out {
        node = node.attr("ask", "subscribe");
    }
    node.children(item.groups.iter().map(|group| element("group").text(group)))
}

fn unlisted(jid: Jid) -> RosterItem {
    RosterItem {
        jid,
        name: String::new(),
        groups: Vec::new(),
        subscription: Subscription::None,
        pending_out: false,
        pending_in: None,
        approved: false,
        listed: false,
    }
}

fn written(presence: &Presence) -> Vec<u8> {
    Stanza::Presence(presence.clone()).to_bytes()
}

/// Bytes of a name or a group.
const MAX_NAME: usize = 1023;
/// Groups of an item.
const MAX_GROUPS: usize = 100;
