//! The last item of each node, for users who come online or subscribe (XEP-0060 §12.14, XEP-0163 §4.3.4).
//!
//! What is sent is held in memory, by account, but for large payloads. The login of a user with many contacts
//! reads from the store what is not held, in parts of a bounded size; as a rule nothing.

use std::hash::RandomState;
use std::sync::Arc;

use parking_lot::Mutex;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};
use rustc_hash::FxHashMap;

use super::hearing::{self, kind};
use super::place::Place;
use super::{presences, recipients};
use crate::host::{Cx, Invalidation, ServerState, SharedState, stanza_log};
use crate::jid::{BareJid, Jid};
use crate::payload::datetime::Timestamp;
use crate::payload::delay;
use crate::payload::node_config::{AccessModel, NodeConfig, SendLast};
use crate::pubsub::event;
use crate::pubsub::options::Options;
use crate::session::SessionRef;
use crate::stanza::{Content, MessageKind, Stanza, StanzaError};
use crate::storage::{self, LastItem, LastItemPage, NodeSubscription, PubSubItem};

/// A last item that is sent to users who come online.
#[derive(Clone, Debug)]
pub(super) struct Ready {
    pub(super) node: String,
    pub(super) id: String,
    pub(super) published: Timestamp,
    /// It is not sent after this moment (`item_expire`).
    pub(super) expires: Option<Timestamp>,
    pub(super) kind: MessageKind,
    pub(super) readers: Readers,
    /// The event. `None`: it is large, and is read from the store when it is sent.
    pub(super) content: Option<Content>,
}

/// Who may read the node of a last item.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Readers {
    /// Everybody.
    All,
    /// Those who see the owner's presence.
    Contacts,
    /// The node has to be asked.
    Some,
}

impl Ready {
    /// Whether it has expired.
    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }
}

/// The last items of accounts, held in memory. Bounded in bytes.
pub(super) struct LastItems {
    cache: Cache<BareJid, Arc<[Ready]>, Bytes, RandomState>,
    /// How many changes there were. What was read before a change is not held.
    changes: Mutex<u64>,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<BareJid, Arc<[Ready]>> for Bytes {
    fn weight(&self, owner: &BareJid, items: &Arc<[Ready]>) -> u64 {
        (owner.as_str().len() + OVERHEAD + bytes(items)) as u64
    }
}

/// About how many bytes items occupy.
fn bytes(items: &[Ready]) -> usize {
    let one = |item: &Ready| {
        let content = item.content.as_ref().map_or(0, Content::size);
        item.node.len() + item.id.len() + content + OVERHEAD
    };
    items.iter().map(one).sum()
}

impl Default for LastItems {
    fn default() -> Self {
        let options = OptionsBuilder::new()
            .estimated_items_capacity(CACHE_BYTES / 1024)
            .weight_capacity(CACHE_BYTES as u64)
            .build()
            .expect("both capacities are given");
        let (hasher, lifecycle) = (RandomState::new(), DefaultLifecycle::default());
        let cache = Cache::with_options(options, Bytes, hasher, lifecycle);
        Self { cache, changes: Mutex::default() }
    }
}

impl SharedState for LastItems {
    fn invalidate(&self, what: &Invalidation) {
        if let Invalidation::Account(owner) | Invalidation::Nodes(owner) = what {
            let mut changes = self.changes.lock();
            *changes += 1;
            self.cache.remove(owner);
        }
    }
}

impl LastItems {
    /// The last items of some of these accounts, and the accounts that are left. As many as may be in memory at once for
    /// one session: whoever is given them may be slow, and what is held here may be given up meanwhile.
    pub(super) async fn of(server: &ServerState, owners: Vec<BareJid>) -> storage::Result<Part> {
        let this = server.shared::<Self>();
        let before = *this.changes.lock();
        let (mut found, mut missing, mut left) = (Vec::new(), Vec::new(), Vec::new());
        let mut room = MAX_READ;
        for owner in owners {
            if room == 0 {
                left.push(owner);
                continue;
            }
            match this.cache.get(&owner) {
                Some(items) if items.is_empty() => {}
                Some(items) => {
                    room = room.saturating_sub(bytes(&items));
                    found.push((owner, items));
                }
                None => missing.push(owner),
            }
        }
        if room == 0 {
            left.append(&mut missing);
        }
        if missing.is_empty() {
            return Ok(Part { found, left });
        }
        missing.sort_unstable();
        let store = server.storage.pubsub();
        let LastItemPage { items, owners } = store.last_items(&missing, room).await?;
        left.extend(missing.split_off(owners.clamp(1, missing.len())));
        let mut read: FxHashMap<BareJid, Vec<Ready>> = FxHashMap::default();
        for last in items {
            let owner = last.owner.clone();
            read.entry(owner).or_default().extend(ready(last));
        }
        for owner in missing {
            let ready: Arc<[Ready]> = read.remove(&owner).unwrap_or_default().into();
            let changes = this.changes.lock();
            if *changes == before {
                this.cache.insert(owner.clone(), Arc::clone(&ready));
            }
            drop(changes);
            found.push((owner, ready));
        }
        Ok(Part { found, left })
    }
}

/// Last items of accounts.
pub(super) struct Part {
    pub(super) found: Vec<(BareJid, Arc<[Ready]>)>,
    /// The accounts whose items have not been read yet.
    pub(super) left: Vec<BareJid>,
}

/// What is sent of a last item. `None` if it is not sent to users who come online.
fn ready(last: LastItem) -> Option<Ready> {
    let config = NodeConfig::from_text(&last.config);
    let is_sent = config.send_last_published_item == SendLast::OnSubAndPresence
        && config.deliver_notifications;
    let owner = last.owner.into_jid();
    let readers = match config.access_model {
        AccessModel::Open if last.affiliations <= 1 => Readers::All,
        AccessModel::Presence if last.affiliations <= 1 => Readers::Contacts,
        _ => Readers::Some,
    };
    is_sent.then(|| Ready {
        content: last.is_whole.then(|| content(&owner, &last.node, &config, &last.item)),
        kind: kind(&config),
        readers,
        expires: expiry(&config, last.item.published),
        published: last.item.published,
        id: last.item.id,
        node: last.node,
    })
}

/// When an item that was published then expires.
fn expiry(config: &NodeConfig, published: Timestamp) -> Option<Timestamp> {
    let age = i64::try_from(config.item_expire?).ok()?.checked_mul(1_000_000)?;
    Some(Timestamp::from_micros(published.as_micros().checked_add(age)?))
}

/// The event of an item that was published before, with the time.
pub(super) fn content(owner: &Jid, node: &str, config: &NodeConfig, item: &PubSubItem) -> Content {
    let mut content = Content::from(event::published(node, std::slice::from_ref(item), config));
    content.add(&delay::delay(owner, item.published));
    content
}

/// Sends the last item of a node to a new subscriber (XEP-0060 §6.1.7), behind the answer.
pub(super) async fn to_subscriber(
    cx: &mut Cx<'_>,
    place: &Place,
    name: &str,
    config: &NodeConfig,
    subscription: &NodeSubscription,
) -> Result<(), StanzaError> {
    let is_sent = config.persist_items
        && config.deliver_notifications
        && config.send_last_published_item != SendLast::Never;
    let (to, options) = (&subscription.jid, Options::from_text(&subscription.options));
    let is_wanted = is_sent
        && options.deliver
        && hearing::is_shown(cx, to, &options)
        && presences::is_there(cx, place, to, config, &options);
    if !is_wanted {
        return Ok(());
    }
    if let Some(item) = last(cx.server, place, name, config).await? {
        let content = content(&place.owner.clone().into_jid(), name, config, &item);
        let mut message = recipients::message(place, kind(config), content);
        message.head.to = Some(subscription.jid.clone());
        cx.outbox.send_behind(Stanza::Message(message));
    }
    Ok(())
}

/// Sends the last item of a node to clients that may read it from now on, or have come online (XEP-0060 §12.2).
pub(super) async fn to_sessions(
    server: &ServerState,
    place: &Place,
    name: &str,
    config: &NodeConfig,
    sessions: &[SessionRef],
) -> storage::Result<()> {
    let is_sent = config.persist_items
        && config.deliver_notifications
        && config.send_last_published_item == SendLast::OnSubAndPresence;
    if !is_sent || sessions.is_empty() {
        return Ok(());
    }
    let Some(item) = last(server, place, name, config).await? else { return Ok(()) };
    let content = content(&place.owner.clone().into_jid(), name, config, &item);
    let stanza = Arc::new(Stanza::Message(recipients::message(place, kind(config), content)));
    for session in sessions {
        // A session that ends, or does not read, does not need it.
        stanza_log::give(session, &stanza).ok();
    }
    Ok(())
}

/// The last item of a node, unless it is too old.
async fn last(
    server: &ServerState,
    place: &Place,
    name: &str,
    config: &NodeConfig,
) -> storage::Result<Option<PubSubItem>> {
    let last = place.nodes.last(server, name).await?;
    let now = server.clock.now();
    let is_there = |item: &PubSubItem| expiry(config, item.published).is_none_or(|at| at > now);
    Ok(last.filter(is_there))
}

/// Bytes that are read at once, but for those of the last account.
const MAX_READ: usize = 512 * 1024;
/// Bytes held in memory.
const CACHE_BYTES: usize = 32 << 20;
/// Bytes of an entry beside its texts.
const OVERHEAD: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Parts, Registry};
    use crate::storage::{Affiliation, PubSubNode, Publication, PublishAt};

    #[tokio::test]
    async fn what_is_held_counts_as_what_is_read() {
        let mut on = Registry::default();
        on.shared(LastItems::default());
        let parts = Parts::for_tests(&["localhost"]);
        let server = ServerState::new(parts, &[], on.take_shared()).unwrap();
        let store = server.storage.pubsub();
        let mut owners = Vec::new();
        let (count, payload) = (300, "x".repeat(4000));
        for number in 0..count {
            let owner = BareJid::parse(&format!("user{number}@localhost")).unwrap();
            let item = PubSubItem {
                id: "i".to_owned(),
                publisher: owner.clone().into_jid(),
                published: Timestamp::from_micros(1),
                payload: format!("<a xmlns='urn:a'>{payload}</a>").into(),
            };
            let node = PubSubNode {
                name: "n".to_owned(),
                creator: owner.clone(),
                created: Timestamp::from_micros(1),
                config: NodeConfig::default().to_text(),
                affiliations: vec![(owner.clone(), Affiliation::Owner)],
                subscriptions: Vec::new(),
                parents: Vec::new(),
                has_root: false,
                items: 0,
            };
            let publication = Publication {
                at: PublishAt::New(node),
                max_nodes: 9,
                share: None,
                items: vec![item],
                keep: 1,
                expire_before: None,
                within_quota: true,
            };
            store.publish(&owner, "n", publication).await.unwrap().unwrap();
            owners.push(owner);
        }
        for _ in 0..2 {
            let (mut left, mut found) = (owners.clone(), 0);
            while !left.is_empty() {
                let part = LastItems::of(&server, left).await.unwrap();
                let held: usize = part.found.iter().map(|(_, items)| bytes(items)).sum();
                assert!(held < MAX_READ + 2 * 8000, "{held}");
                found += part.found.len();
                left = part.left;
            }
            assert_eq!(found, count);
        }
    }
}
