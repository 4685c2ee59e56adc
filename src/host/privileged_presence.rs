//! XEP-0356 §7: components that may see the presence of users, and of their contacts.
//!
//! A component that sees contacts gets each presence once, however many users have the contact. So the last presence of
//! each contact is remembered. A component that connects later is told the same (§8).

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHasher};
use smol_str::SmolStr;

use super::components::{self, Components, is_of_host};
use super::{ServerState, SharedState, contact_list};
use crate::config::{ComponentConfig, PresenceGrant};
use crate::jid::{BareJid, FullJid, Jid};
use crate::stanza::{Head, Presence, PresenceKind, Stanza};
use crate::storage;

/// The available presence of contacts, and of users, by the host that sees it. It is empty if no component sees contacts.
#[derive(Debug, Default)]
pub struct SeenPresence(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    by_address: FxHashMap<Key, Known>,
    /// The same by the time of their last change, oldest first.
    by_age: BTreeMap<u64, Key>,
    /// The number of the last change.
    last: u64,
    /// About how many bytes all of them occupy.
    bytes: usize,
    /// Whether an entry was forgotten: then components may know of addresses that are not here.
    has_forgotten: bool,
}

/// The host that sees it, and the address.
type Key = (SmolStr, Jid);

#[derive(Debug)]
struct Known {
    hash: u64,
    presence: Presence,
    bytes: usize,
    /// The number of its change.
    change: u64,
}

impl Seen {
    /// Whether it was there.
    fn remove(&mut self, key: &Key) -> bool {
        let Some(old) = self.by_address.remove(key) else { return false };
        self.bytes -= old.bytes;
        self.by_age.remove(&old.change);
        true
    }

    /// Remembers presence. If there is no room, those that have not changed for the longest time are forgotten.
    fn put(&mut self, key: Key, hash: u64, presence: Presence, most: usize) {
        let bytes = presence.content.size() + OVERHEAD;
        while self.bytes + bytes > most
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.remove(&oldest);
            self.has_forgotten = true;
        }
        self.bytes += bytes;
        self.last += 1;
        let change = self.last;
        self.by_age.insert(change, key.clone());
        self.by_address.insert(key, Known { hash, presence, bytes, change });
    }
}

impl SharedState for SeenPresence {}

impl SeenPresence {
    /// Remembers presence that this host sees. Returns whether it is new.
    fn note(&self, host: &str, presence: &Presence) -> bool {
        let Some(from) = presence.head.from.clone() else { return false };
        let mut seen = self.0.lock();
        let key = (SmolStr::new(host), from);
        if presence.kind == PresenceKind::Unavailable {
            return seen.remove(&key) || seen.has_forgotten;
        }
        let presence = kept(presence);
        let hash = hash(&presence);
        if seen.by_address.get(&key).is_some_and(|old| old.hash == hash) {
            return false;
        }
        seen.remove(&key);
        seen.put(key, hash, presence, MOST_BYTES);
        true
    }

    /// The addresses whose presence this host sees.
    fn addresses(&self, host: &str) -> Vec<Jid> {
        let seen = self.0.lock();
        let here = seen.by_address.keys().filter(|(at, _)| at == host);
        here.map(|(_, jid)| jid.clone()).collect()
    }

    fn find(&self, host: &str, from: &Jid) -> Option<Presence> {
        let key = (SmolStr::new(host), from.clone());
        self.0.lock().by_address.get(&key).map(|known| known.presence.clone())
    }
}

/// Tells components that a session of a user has become available or unavailable (§7.1). Components among the user's
/// contacts know it already.
///
/// # Errors
/// If the store fails.
pub async fn session_changed(
    server: &ServerState,
    session: &FullJid,
    presence: &Presence,
) -> storage::Result<()> {
    let config = server.config.load_full();
    let see = |component: &&ComponentConfig| {
        component.presence != PresenceGrant::None
            && is_of_host(server, &component.domain, session.domain())
    };
    let mut components = config.components.iter().filter(see).peekable();
    if components.peek().is_none() {
        return Ok(());
    }
    let contacts = contact_list::of(server, &session.to_bare()).await?;
    let mut presence = kept(presence);
    presence.head.from = Some(session.clone().into_jid());
    let is_news = server.shared::<SeenPresence>().note(session.domain(), &presence);
    for component in components {
        let has_it = contacts.get(&component.domain).is_some_and(|c| c.subscription.is_from());
        let is_doubled = component.presence == PresenceGrant::Roster && !is_news;
        if !has_it && !is_doubled {
            send(server, component, presence.clone());
        }
    }
    Ok(())
}

/// Tells components that see contacts of presence that has arrived for a user, also if the user is not online (§7.4).
///
/// # Errors
/// If the store fails.
pub async fn arrived(
    server: &ServerState,
    user: &BareJid,
    presence: &Presence,
) -> storage::Result<()> {
    let config = server.config.load_full();
    let Some(from) = &presence.head.from else { return Ok(()) };
    let sees = |component: &&ComponentConfig| {
        component.presence == PresenceGrant::Roster
            && !component.has(from.domain())
            && is_of_host(server, &component.domain, user.domain())
    };
    let mut components = config.components.iter().filter(sees).peekable();
    if components.peek().is_none() {
        return Ok(());
    }
    if presence.kind == PresenceKind::Available {
        let contact = contact_list::find(server, user, &from.to_bare().into()).await?;
        if !contact.is_some_and(|contact| contact.subscription.is_to()) {
            return Ok(());
        }
    }
    if server.shared::<SeenPresence>().note(user.domain(), presence) {
        let presence = kept(presence);
        for component in components {
            send(server, component, presence.clone());
        }
    }
    Ok(())
}

/// Tells a component that has connected who is online, as fast as it reads (§8).
pub async fn tell_all(server: Arc<ServerState>, domain: SmolStr) {
    let config = server.config.load_full();
    let component = config.components.iter().find(|component| component.domain == domain);
    let Some(component) = component.filter(|one| one.presence != PresenceGrant::None) else {
        return;
    };
    let Ok(to) = Jid::domain_only(&component.domain) else { return };
    let table = server.shared::<Components>();
    let addressed = |presence: Presence| {
        let mut presence = presence;
        presence.head.to = Some(to.clone());
        Stanza::Presence(presence)
    };
    for session in server.sessions.all() {
        if is_of_host(&server, &domain, session.jid().domain()) {
            // When there is room, the newest presence is sent.
            let newest = || Some(addressed(kept(&*session.available()?)));
            table.send_patiently(&domain, (session.jid(), &to), newest).await;
        }
    }
    if component.presence != PresenceGrant::Roster {
        return;
    }
    let seen = server.shared::<SeenPresence>();
    for host in server.hosts().iter().filter(|host| is_of_host(&server, &domain, &host.domain)) {
        let others = seen.addresses(&host.domain).into_iter();
        let is_told = |jid: &Jid| jid.domain() == host.domain || component.has(jid.domain());
        for from in others.filter(|jid| !is_told(jid)) {
            let newest = || seen.find(&host.domain, &from).map(addressed);
            table.send_patiently(&domain, (&from, &to), newest).await;
        }
    }
}

fn send(server: &ServerState, component: &ComponentConfig, mut presence: Presence) {
    let Ok(to) = Jid::domain_only(&component.domain) else { return };
    presence.head.to = Some(to.clone());
    // A component that is not connected is told when it comes.
    if components::send(server, &to, Stanza::Presence(presence)).is_err() {
        tracing::debug!(host = %component.domain, "a component is not told of presence");
    }
}

/// Presence without its recipient, in a small buffer.
fn kept(presence: &Presence) -> Presence {
    let head = Head { to: None, ..presence.head.clone() };
    Presence { head, kind: presence.kind, content: presence.content.packed() }
}

/// The same for presence of the same content.
fn hash(presence: &Presence) -> u64 {
    let head = Head { lang: presence.head.lang.clone(), ..Head::default() };
    let presence = Presence { head, kind: presence.kind, content: presence.content.clone() };
    let mut hasher = FxHasher::default();
    Stanza::Presence(presence).to_bytes().hash(&mut hasher);
    hasher.finish()
}

/// Bytes of an entry besides its content.
const OVERHEAD: usize = 600;
/// Bytes of all entries.
const MOST_BYTES: usize = 32 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn presence(kind: PresenceKind, from: &str) -> Presence {
        let [from, to] = [from, "a.example"].map(|jid| Jid::parse(jid).unwrap());
        Presence::bare(kind, from, to)
    }

    #[test]
    fn who_has_not_changed_for_the_longest_time_is_forgotten_first() {
        let mut seen = Seen::default();
        let most = 3 * (OVERHEAD + 200);
        let key = |number: u32| {
            (SmolStr::new("a.example"), Jid::parse(&format!("{number}@c.example")).unwrap())
        };
        let one = kept(&presence(PresenceKind::Available, "1@c.example"));
        for number in 0..3 {
            seen.put(key(number), 0, one.clone(), most);
        }
        // The first one changes.
        assert!(seen.remove(&key(0)));
        seen.put(key(0), 1, one.clone(), most);
        for number in 3..6 {
            seen.put(key(number), 0, one.clone(), most);
        }
        assert!(seen.bytes <= most && seen.has_forgotten);
        assert!(seen.by_address.contains_key(&key(5)) && !seen.by_address.contains_key(&key(1)));
        assert_eq!(seen.by_age.len(), seen.by_address.len());
        while let Some(next) = seen.by_age.values().next().cloned() {
            assert!(seen.remove(&next));
        }
        assert_eq!((seen.bytes, seen.by_address.len()), (0, 0));
    }

    #[test]
    fn who_was_forgotten_is_said_to_be_gone() {
        let seen = SeenPresence::default();
        let gone = presence(PresenceKind::Unavailable, "x@c.example/r");
        assert!(!seen.note("a.example", &gone), "it was never there");
        seen.0.lock().has_forgotten = true;
        assert!(seen.note("a.example", &gone));
    }
}
