//! The presence of subscribers on other servers, for events that go to available users only (XEP-0060 §12.3, §6.3). A
//! service asks for it, and is told; what it has been told is held in memory. Users of this server need not tell it.

use std::collections::BTreeMap;
use std::hash::RandomState;
use std::sync::Arc;

use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};
use smol_str::SmolStr;

use super::place::Place;
use crate::host::{Cx, Halt, ServiceDomain, SharedState, refuse_presence};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::payload::node_config::NodeConfig;
use crate::pubsub::options::Options;
use crate::stanza::{Content, Head, Presence, PresenceKind, Stanza};
use crate::storage::{self, NodeSubscription};

/// The presence of subscribers on other servers. If there are too many, some are unknown: they are sent all events.
pub(super) struct Presences {
    known: Cache<Key, Arc<Resources>, UnitWeighter, RandomState>,
    /// Users whose presence was asked for.
    asked: Cache<Key, (), UnitWeighter, RandomState>,
}

/// A service and a user.
type Key = (BareJid, BareJid);
/// What each available resource shows.
type Resources = BTreeMap<SmolStr, &'static str>;

impl Default for Presences {
    fn default() -> Self {
        Self { known: cache(), asked: cache() }
    }
}

fn cache<V: Clone>() -> Cache<Key, V, UnitWeighter, RandomState> {
    let (hasher, lifecycle) = (RandomState::new(), DefaultLifecycle::default());
    Cache::with(MAX_USERS, MAX_USERS as u64, UnitWeighter, hasher, lifecycle)
}

impl SharedState for Presences {}

impl Presences {
    /// Whether an address is there, as a subscription wants it. `None`: its presence is not known.
    fn is_there(&self, key: &Key, to: &Jid, options: &Options) -> Option<bool> {
        let resources = self.known.get(key)?;
        let is_wanted = |show: &&str| {
            options.show_values.is_empty() || options.show_values.iter().any(|one| one == show)
        };
        Some(match to.resource() {
            Some(resource) => resources.get(resource).is_some_and(is_wanted),
            None => resources.values().any(is_wanted),
        })
    }

    fn set(&self, key: Key, resource: &str, show: Option<&'static str>) {
        let mut resources =
            self.known.get(&key).map_or_else(Resources::default, |of| (*of).clone());
        match show {
            Some(show) if resources.len() < MAX_RESOURCES || resources.contains_key(resource) => {
                resources.insert(resource.into(), show);
            }
            Some(_) => {}
            None if resource.is_empty() => resources.clear(),
            None => drop(resources.remove(resource)),
        }
        self.known.insert(key, Arc::new(resources));
    }

    fn forget(&self, key: &Key) {
        self.known.remove(key);
        self.asked.remove(key);
    }
}

/// Whether an event goes to an address of another server. If it depends on its presence, and this is not known, it is
/// asked for, and the event is sent.
pub(super) fn is_there(
    cx: &mut Cx<'_>,
    place: &Place,
    to: &Jid,
    config: &NodeConfig,
    options: &Options,
) -> bool {
    if !depends(cx, place, to, config, options) {
        return true;
    }
    let (presences, key) = (cx.server.shared::<Presences>(), (place.owner.clone(), to.to_bare()));
    let known = presences.is_there(&key, to, options);
    if known.is_none() && presences.asked.get(&key).is_none() {
        presences.asked.insert(key, ());
        let probe = presence(place, to, PresenceKind::Probe);
        cx.outbox.send(probe);
    }
    known.unwrap_or(true)
}

/// Asks a subscriber for its presence, if events depend on it (XEP-0060 §12.3), behind the answer to its request.
pub(super) fn ask(
    cx: &mut Cx<'_>,
    place: &Place,
    config: &NodeConfig,
    subscription: &NodeSubscription,
) {
    let (to, options) = (&subscription.jid, Options::from_text(&subscription.options));
    if depends(cx, place, to, config, &options) {
        let key = (place.owner.clone(), to.to_bare());
        cx.server.shared::<Presences>().asked.insert(key, ());
        let request = presence(place, to, PresenceKind::Subscribe);
        cx.outbox.send_behind(request);
    }
}

/// A subscription has ended: if it was the last one of a user who was asked, its presence is not needed any more.
pub(super) async fn ended(cx: &mut Cx<'_>, place: &Place, to: &Jid) -> storage::Result<()> {
    let (presences, key) = (cx.server.shared::<Presences>(), (place.owner.clone(), to.to_bare()));
    if presences.asked.get(&key).is_none() && presences.known.get(&key).is_none() {
        return Ok(());
    }
    if cx.server.storage.pubsub().subscriptions_of(&key.0, &key.1).await?.is_empty() {
        cx.server.shared::<Presences>().forget(&key);
        let end = presence(place, to, PresenceKind::Unsubscribe);
        cx.outbox.send_behind(end);
    }
    Ok(())
}

/// Presence that was sent to a service.
///
/// # Errors
/// If it is refused, or dropped: that of users of this server is known, and nobody sees that of a service.
pub(super) async fn arrived(
    cx: &Cx<'_>,
    at: &ServiceDomain,
    presence: &Presence,
) -> Result<(), Halt> {
    let from = presence.head.from.as_ref().filter(|_| presence.head.to.as_ref() == Some(&at.jid));
    let Some(from) = from.filter(|from| cx.server.host(from.domain()).is_none()) else {
        return Err(refuse_presence(presence));
    };
    let (presences, key) = (cx.server.shared::<Presences>(), (at.jid.to_bare(), from.to_bare()));
    let resource = from.resource().unwrap_or_default();
    match presence.kind {
        PresenceKind::Available => {
            // Only that of subscribers is kept.
            let store = cx.server.storage.pubsub();
            if presences.known.get(&key).is_some()
                || !store.subscriptions_of(&key.0, &key.1).await?.is_empty()
            {
                presences.set(key, resource, Some(show(presence)));
            }
            Ok(())
        }
        PresenceKind::Unavailable => {
            if presences.known.get(&key).is_some() || presences.asked.get(&key).is_some() {
                presences.set(key, resource, None);
            }
            Ok(())
        }
        PresenceKind::Subscribed => Ok(()),
        PresenceKind::Error | PresenceKind::Unsubscribed => {
            presences.known.remove(&key);
            Ok(())
        }
        PresenceKind::Probe | PresenceKind::Subscribe | PresenceKind::Unsubscribe => {
            Err(refuse_presence(presence))
        }
    }
}

/// Whether events depend on the presence of an address, and this is not known to the server anyway.
fn depends(cx: &Cx<'_>, place: &Place, to: &Jid, config: &NodeConfig, options: &Options) -> bool {
    let wants = config.presence_based_delivery || !options.show_values.is_empty();
    wants && !place.is_account() && cx.server.host(to.domain()).is_none()
}

/// What a presence shows, as the options of subscriptions name it.
fn show(presence: &Presence) -> &'static str {
    let show = presence.content.received_child(ns::CLIENT, "show").map(|show| show.text());
    let known = ["away", "chat", "dnd", "xa"];
    let said = show.as_deref().unwrap_or_default().trim();
    known.into_iter().find(|one| *one == said).unwrap_or("online")
}

fn presence(place: &Place, to: &Jid, kind: PresenceKind) -> Stanza {
    let (from, to) = (Some(place.owner.clone().into_jid()), Some(to.to_bare().into_jid()));
    let head = Head { from, to, ..Head::default() };
    Stanza::Presence(Presence { head, kind, content: Content::default() })
}

/// Users whose presence is known, at most.
const MAX_USERS: usize = 4096;
/// Resources of one of them, at most.
const MAX_RESOURCES: usize = 8;
