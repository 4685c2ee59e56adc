//! Who is told of a change: subscribers (XEP-0060 §7.1.2), and at accounts clients that are interested, the
//! user's own and those of contacts that may read the node (XEP-0163 §4.3).
//!
//! The event is written once. All sessions share it.

use std::borrow::Cow;

use async_trait::async_trait;
use rustc_hash::FxHashSet;

use super::delivery::Outgoing;
use super::place::Place;
use super::sources::{self, Source};
use super::{hearing, node_events, recipients};
use crate::host::lifecycle::{Event, Listener};
use crate::host::{Changed, Cx, NodeChange, RemoteInterests, block_list, contact_list, stanza_log};
use crate::jid::{BareJid, FullJid, Jid};
use crate::ns;
use crate::payload::node_config::{AccessModel, ItemReply, NodeConfig};
use crate::pubsub::event;
use crate::pubsub::options::EventsOf;
use crate::session::SessionRef;
use crate::stanza::{Content, StanzaError};
use crate::storage::{Affiliation, PubSubNode};
use crate::xml::{Node, element};

/// Tells of changes.
pub(super) struct Notifier;

#[async_trait]
impl Listener for Notifier {
    async fn on_event(&self, cx: &mut Cx<'_>, event: &Event<'_>) -> Result<(), StanzaError> {
        match event {
            Event::ItemsChanged { change } => notify(cx, change).await,
            _ => Ok(()),
        }
    }
}

async fn notify(cx: &mut Cx<'_>, change: &NodeChange) -> Result<(), StanzaError> {
    let place = Place::of(change.owner.clone());
    let config = &change.config;
    let mut node = Cow::Borrowed(&*change.node);
    if matches!(change.what, Changed::Published { is_new: true, .. }) {
        // Only the store knows who hears of nodes that are made.
        if let Some((made, _)) = place.nodes.find(cx.server, &change.node.name).await? {
            node = Cow::Owned(made);
        }
        node_events::created(cx, &place, &node, config).await?;
    }
    let Some(event) = event_of(change).filter(|_| config.deliver_notifications) else {
        return Ok(());
    };
    let mut content = Content::from(event);
    if let Some(addresses) = reply_to(change) {
        content.add(&addresses);
    }
    let what = match change.what {
        Changed::Configured | Changed::Deleted(_) => EventsOf::Nodes,
        Changed::Published { .. } | Changed::Purged | Changed::Retracted { .. } => EventsOf::Items,
    };
    let mut event = Outgoing::new(&place, (&*node, config), content, what);
    event.names_subscriptions = what == EventsOf::Items && !matches!(change.what, Changed::Purged);
    event.is_end = matches!(change.what, Changed::Deleted(_));
    let mut told: FxHashSet<FullJid> = FxHashSet::default();
    if place.is_account() {
        for session in interested(cx, &place, &node, config).await? {
            // A session that ends, or does not read, does not need it.
            stanza_log::give(&session, &event.stanza).ok();
            told.insert(session.jid().clone());
        }
        for client in interested_remotes(cx, &place, &node, config).await? {
            told.extend(client.to_full());
            recipients::send(cx, &place, client, hearing::kind(config), event.content.clone());
        }
    }
    let mut sources = vec![Source::of_node(&node, config)];
    sources.extend(sources::above(cx, &place, &node).await?);
    event.tell(cx, &place, &sources, &mut told).await
}

/// The event for a change, if the configuration wants that subscribers are told.
fn event_of(change: &NodeChange) -> Option<Node> {
    let (name, config) = (&change.node.name, &change.config);
    Some(match &change.what {
        Changed::Configured if config.notify_config => event::configured(name, config),
        Changed::Deleted(redirect) if config.notify_delete => {
            event::deleted(name, redirect.as_deref())
        }
        Changed::Published { items, .. } => event::published(name, items, config),
        Changed::Purged if config.notify_retract => event::purged(name),
        Changed::Retracted { ids, notify } if *notify || config.notify_retract => {
            event::retracted(name, ids)
        }
        _ => return None,
    })
}

/// To whom replies go (XEP-0033 §4).
///
/// DEPARTS: XEP-0163 §4.3.1 – contacts that see the presence of the owner are not told the resource that has
/// published. All get the same event, also users who must not learn it; no client that we know reads it, and it would
/// be a third of most events on their way to phones.
fn reply_to(change: &NodeChange) -> Option<Node> {
    let Changed::Published { items, .. } = &change.what else { return None };
    let jid = match change.config.itemreply? {
        ItemReply::Owner => change.node.creator.to_string(),
        ItemReply::Publisher => items.first()?.publisher.to_string(),
    };
    let address = element("address").attr("type", "replyto").attr("jid", jid);
    Some(element("addresses").ns(ns::ADDRESSES).child(address))
}

/// The sessions whose clients are interested in the node and may read it.
pub(super) async fn interested(
    cx: &Cx<'_>,
    place: &Place,
    node: &PubSubNode,
    config: &NodeConfig,
) -> Result<Vec<SessionRef>, StanzaError> {
    let wanting = |user: &BareJid| {
        cx.server.sessions.of(user).into_iter().filter(|session| session.wants(&node.name))
    };
    let mut found: Vec<SessionRef> = wanting(&place.owner).collect();
    let blocked = block_list::of(cx.server, &place.owner).await?;
    for contact in readers(cx, place, node, config).await? {
        let mut sessions = wanting(&contact).peekable();
        if sessions.peek().is_none() || block_list::hits(&blocked, &contact.clone().into_jid()) {
            continue;
        }
        let theirs = block_list::of(cx.server, &contact).await?;
        if !block_list::keeps_out(&theirs, &contact, &place.owner.clone().into_jid()) {
            found.extend(sessions);
        }
    }
    Ok(found)
}

/// The clients on other servers that are interested in the node and may read it.
async fn interested_remotes(
    cx: &Cx<'_>,
    place: &Place,
    node: &PubSubNode,
    config: &NodeConfig,
) -> Result<Vec<Jid>, StanzaError> {
    let Some(remote) = cx.server.find_shared::<RemoteInterests>().filter(|all| !all.is_empty())
    else {
        return Ok(Vec::new());
    };
    let blocked = block_list::of(cx.server, &place.owner).await?;
    let readers = readers(cx, place, node, config).await?.into_iter();
    let readers = readers.filter(|jid| cx.server.host(jid.domain()).is_none());
    let allowed = readers.filter(|jid| !block_list::hits(&blocked, &jid.clone().into_jid()));
    Ok(allowed.flat_map(|jid| remote.wanting(&jid, &place.owner, &node.name)).collect())
}

/// The contacts that may read a node of an account, without the user.
async fn readers(
    cx: &Cx<'_>,
    place: &Place,
    node: &PubSubNode,
    config: &NodeConfig,
) -> Result<Vec<BareJid>, StanzaError> {
    use Affiliation::{Member, Owner, Publisher};
    let is_reader = |(_, is): &&(BareJid, Affiliation)| matches!(is, Owner | Publisher | Member);
    let listed = node.affiliations.iter().filter(is_reader).map(|(jid, _)| jid.clone());
    let mut readers: Vec<BareJid> = listed.filter(|jid| *jid != place.owner).collect();
    let model = config.access_model;
    if !matches!(model, AccessModel::Open | AccessModel::Presence | AccessModel::Roster) {
        return Ok(readers);
    }
    for item in contact_list::of(cx.server, &place.owner).await?.iter() {
        let jid = item.jid.to_bare();
        let may = match model {
            AccessModel::Roster => {
                item.groups.iter().any(|group| config.roster_groups_allowed.contains(group))
            }
            _ => item.subscription.is_from(),
        };
        if may && !node.affiliations.iter().any(|(known, _)| *known == jid) {
            readers.push(jid);
        }
    }
    Ok(readers)
}
