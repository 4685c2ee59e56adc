//! The last item of each node, for those who come online or subscribe (XEP-0060 §12.14, XEP-0163 §4.3.4).
//!
//! What is sent is held in memory, by account. The login of a user with many contacts reads from the store, all
//! at once, what is not held; as a rule nothing.

use std::hash::RandomState;
use std::sync::Arc;

use parking_lot::Mutex;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};
use rustc_hash::FxHashMap;

use super::notify::kind;
use super::place::Place;
use super::recipients;
use crate::host::{Cx, Invalidation, ServerState, SharedState};
use crate::jid::{BareJid, Jid};
use crate::payload::delay;
use crate::payload::node_config::{AccessModel, NodeConfig, SendLast};
use crate::pubsub::event;
use crate::stanza::{Content, MessageKind, StanzaError};
use crate::storage::{self, LastItem, PubSubItem};

/// A last item as it is sent.
#[derive(Clone, Debug)]
pub(super) struct Ready {
    pub(super) node: String,
    pub(super) content: Content,
    pub(super) kind: MessageKind,
    /// Each contact that sees the user's presence may read the node; of others, the node has to be asked.
    pub(super) is_for_contacts: bool,
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
        let bytes = |item: &Ready| item.node.len() + item.content.size() + OVERHEAD;
        (owner.as_str().len() + OVERHEAD + items.iter().map(bytes).sum::<usize>()) as u64
    }
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
    /// The last items of these accounts that are sent to those who come online.
    pub(super) async fn of(
        server: &ServerState,
        owners: Vec<BareJid>,
    ) -> storage::Result<Vec<(BareJid, Arc<[Ready]>)>> {
        let this = server.shared::<Self>();
        let before = *this.changes.lock();
        let (mut found, mut missing) = (Vec::with_capacity(owners.len()), Vec::new());
        for owner in owners {
            match this.cache.get(&owner) {
                Some(items) => found.push((owner, items)),
                None => missing.push(owner),
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let mut read: FxHashMap<BareJid, Vec<Ready>> = FxHashMap::default();
        for last in server.storage.pubsub().last_items(&missing).await? {
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
        Ok(found)
    }
}

/// What is sent of a last item. `None`, if it is not sent to those who come online.
fn ready(last: LastItem) -> Option<Ready> {
    let config = NodeConfig::from_text(&last.config);
    let is_sent = config.send_last_published_item == SendLast::OnSubAndPresence
        && config.deliver_notifications;
    let owner = last.owner.into_jid();
    is_sent.then(|| Ready {
        content: content(&owner, &last.node, &config, &last.item),
        kind: kind(&config),
        is_for_contacts: last.affiliations <= 1
            && matches!(config.access_model, AccessModel::Open | AccessModel::Presence),
        node: last.node,
    })
}

/// The event of an item that was published before, with the time.
fn content(owner: &Jid, node: &str, config: &NodeConfig, item: &PubSubItem) -> Content {
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
    to: &Jid,
) -> Result<(), StanzaError> {
    if !config.persist_items {
        return Ok(());
    }
    if let Some(item) = place.nodes.last(cx.server, name).await? {
        let content = content(&place.owner.clone().into_jid(), name, config, &item);
        let mut message = recipients::message(place, kind(config), content);
        message.head.to = Some(to.clone());
        cx.outbox.send_behind(crate::stanza::Stanza::Message(message));
    }
    Ok(())
}

/// Bytes held in memory.
const CACHE_BYTES: usize = 32 << 20;
/// Bytes of an entry beside its texts.
const OVERHEAD: usize = 160;
