//! Who is told of a change: subscribers (XEP-0060 §7.1.2), and at accounts clients that are interested, the
//! user's own and those of contacts that may read the node (XEP-0163 §4.3).
//!
//! The event is written once. All sessions share it.

use std::sync::Arc;

use async_trait::async_trait;
use rustc_hash::FxHashSet;

use super::place::Place;
use super::recipients;
use crate::host::lifecycle::{Event, Listener};
use crate::host::{Changed, Cx, NodeChange, RemoteInterests, block_list, contact_list, stanza_log};
use crate::jid::{BareJid, FullJid, Jid};
use crate::ns;
use crate::payload::node_config::{AccessModel, ItemReply, NodeConfig, NotificationType};
use crate::pubsub::event;
use crate::pubsub::options::Options;
use crate::session::SessionRef;
use crate::stanza::{Content, MessageKind, Stanza, StanzaError};
use crate::storage::{Affiliation, NodeSubscription, PubSubNode};
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
    let config = &change.config;
    let Some(event) = event_of(change).filter(|_| config.deliver_notifications) else {
        return Ok(());
    };
    let place = Place::of(change.owner.clone());
    let mut content = Content::from(event);
    if let Some(addresses) = reply_to(change) {
        content.add(&addresses);
    }
    let message = recipients::message(&place, kind(config), content.clone());
    let stanza = Arc::new(Stanza::Message(message));
    let mut told: FxHashSet<FullJid> = FxHashSet::default();
    if place.is_account() {
        for session in interested(cx, &place, &change.node, config).await? {
            // A session that ends, or does not read, does not need it.
            stanza_log::give(&session, &stanza).ok();
            told.insert(session.jid().clone());
        }
        for client in interested_remotes(cx, &place, &change.node, config).await? {
            told.extend(client.to_full());
            recipients::send(cx, &place, client, kind(config), content.clone());
        }
    }
    // Those of single clients come first: then the user is not told again.
    let mut subscriptions: Vec<_> = change.node.subscriptions.iter().collect();
    subscriptions.sort_by_key(|subscription| subscription.jid.is_bare());
    for subscription in subscriptions {
        let jid = &subscription.jid;
        let may_hear = match (subscription.is_pending, &change.what) {
            // Since then the access model, an affiliation, a roster or a block list may have changed.
            (false, _) => may_hear(cx, &place, jid, &change.node, config).await?,
            // §8.4.2: pending subscribers are told, too; otherwise they would wait for ever.
            (true, Changed::Deleted(_)) => !is_blocked(cx, &place, jid).await?,
            (true, _) => false,
        };
        if !may_hear {
            continue;
        }
        to_subscriber(cx, &place, subscription, config, &stanza, &content, &mut told);
    }
    Ok(())
}

/// Whether a subscriber may still read the node, and neither side has blocked the other (XEP-0191 §3.3).
pub(super) async fn may_hear(
    cx: &Cx<'_>,
    place: &Place,
    subscriber: &Jid,
    node: &PubSubNode,
    config: &NodeConfig,
) -> Result<bool, StanzaError> {
    let entity = place.entity(cx.server, subscriber, node, config).await?;
    Ok(entity.may_read(config).is_ok() && !is_blocked(cx, place, subscriber).await?)
}

/// Whether an account and a subscriber are blocked from each other (XEP-0191 §3.3).
async fn is_blocked(cx: &Cx<'_>, place: &Place, subscriber: &Jid) -> Result<bool, StanzaError> {
    if !place.is_account() || place.is_of(subscriber) {
        return Ok(false);
    }
    let blocked = block_list::of(cx.server, &place.owner).await?;
    if block_list::keeps_out(&blocked, &place.owner, subscriber) {
        return Ok(true);
    }
    let user = subscriber.to_bare();
    if cx.server.host(user.domain()).is_none() {
        return Ok(false);
    }
    let blocked = block_list::of(cx.server, &user).await?;
    Ok(block_list::keeps_out(&blocked, &user, &place.owner.clone().into_jid()))
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

/// The type of the message.
pub(super) fn kind(config: &NodeConfig) -> MessageKind {
    match config.notification_type {
        NotificationType::Headline => MessageKind::Headline,
        NotificationType::Normal => MessageKind::Normal,
    }
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
    Ok(allowed.flat_map(|jid| remote.wanting(&jid, &node.name)).collect())
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

/// Sends an event to a subscriber, as its options and the node say.
fn to_subscriber(
    cx: &mut Cx<'_>,
    place: &Place,
    subscription: &NodeSubscription,
    config: &NodeConfig,
    stanza: &Arc<Stanza>,
    content: &Content,
    told: &mut FxHashSet<FullJid>,
) {
    let options = Options::from_text(&subscription.options);
    if !options.deliver {
        return;
    }
    let to = &subscription.jid;
    let is_local = cx.server.host(to.domain()).is_some();
    if place.is_account() && to.is_bare() && options.show_values.is_empty() {
        // XEP-0163 §4.3.2: the clients that are interested were told, and no other one is.
        let user = to.to_bare();
        if told.iter().any(|session| session.to_bare() == user) {
            return;
        }
    }
    if is_local && (config.presence_based_delivery || !options.show_values.is_empty()) {
        for session in cx.server.sessions.available(&to.to_bare()) {
            let is_meant = to.is_bare() || session.jid().as_str() == to.as_str();
            if is_meant && shows(&session, &options) && told.insert(session.jid().clone()) {
                stanza_log::give(&session, stanza).ok();
            }
        }
        return;
    }
    if to.to_full().is_some_and(|full| !told.insert(full)) {
        return;
    }
    recipients::send(cx, place, to.clone(), kind(config), content.clone());
}

/// Whether the presence of a session is one of those that a subscriber wants (§6.3).
pub(super) fn shows(session: &SessionRef, options: &Options) -> bool {
    let kept = session.available();
    let Some(presence) = kept.and_then(|kept| kept.unpacked()) else { return false };
    let show = presence.content.received_child(ns::CLIENT, "show");
    let show = show.map_or_else(|| "online".to_owned(), |show| show.text().trim().to_owned());
    options.show_values.is_empty() || options.show_values.contains(&show)
}
