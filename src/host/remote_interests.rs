//! The interests of clients on other servers (XEP-0163 §4.3.3), which their presence tells.

use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use super::SharedState;
use crate::jid::{BareJid, Jid};
use crate::session::Interests;

/// The interests of clients on other servers that are available to somebody here. Bounded in number, in all and by domain:
/// no domain takes the place of others. Cheap to clone.
#[derive(Clone, Default)]
pub struct RemoteInterests(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    by_user: FxHashMap<BareJid, Vec<Client>>,
    clients: usize,
    by_domain: FxHashMap<SmolStr, usize>,
}

struct Client {
    jid: Jid,
    interests: Arc<Interests>,
    /// Users here who know of it with these interests.
    known_to: Vec<BareJid>,
    /// Users here who are to be told when its interests are known.
    wait: Vec<BareJid>,
    /// Users here to whom it is unavailable, while it is available to others.
    hidden_from: Vec<BareJid>,
}

impl SharedState for RemoteInterests {}

impl RemoteInterests {
    /// The interests of a client, by its full address.
    #[must_use]
    pub fn get(&self, client: &Jid) -> Option<Arc<Interests>> {
        let state = self.0.lock();
        let clients = state.by_user.get(&client.to_bare())?;
        let found = clients.iter().find(|own| own.jid == *client);
        found.map(|own| Arc::clone(&own.interests))
    }

    /// Sets the interests of a client.
    pub fn set(&self, client: &Jid, interests: Arc<Interests>) {
        let (mut state, user) = (self.0.lock(), client.to_bare());
        if let Some(clients) = state.by_user.get_mut(&user) {
            if let Some(own) = clients.iter_mut().find(|own| own.jid == *client) {
                if own.interests.key() != interests.key() {
                    own.known_to.clear();
                }
                own.interests = interests;
                return;
            }
            if clients.len() >= MOST_OF_USER {
                return;
            }
        }
        if !state.has_room(client.domain()) {
            return;
        }
        let (known_to, wait, hidden_from) = Default::default();
        let new = Client { jid: client.clone(), interests, known_to, wait, hidden_from };
        state.by_user.entry(user).or_default().push(new);
        state.clients += 1;
        *state.by_domain.entry(client.domain().into()).or_default() += 1;
    }

    /// Notes that a client is available to a user here. Returns its interests if they are known, and if this is new for the
    /// user.
    #[must_use]
    pub fn is_available_to(&self, client: &Jid, user: &BareJid) -> Option<Arc<Interests>> {
        let mut state = self.0.lock();
        let clients = state.by_user.get_mut(&client.to_bare())?;
        let own = clients.iter_mut().find(|own| own.jid == *client)?;
        own.hidden_from.retain(|hidden| hidden != user);
        let list = if own.interests.is_known() { &mut own.known_to } else { &mut own.wait };
        if list.contains(user) || list.len() >= MOST_USERS {
            return None;
        }
        list.push(user.clone());
        own.interests.is_known().then(|| Arc::clone(&own.interests))
    }

    /// The users who waited until the interests of a client were known.
    #[must_use]
    pub fn take_waiting(&self, client: &Jid) -> Vec<BareJid> {
        let mut state = self.0.lock();
        let clients = state.by_user.get_mut(&client.to_bare());
        let own = clients.and_then(|clients| clients.iter_mut().find(|own| own.jid == *client));
        own.map(|own| std::mem::take(&mut own.wait)).unwrap_or_default()
    }

    /// Notes that a client has become unavailable to a user here, who may be the only one: its user may block one of us
    /// (XEP-0191 §3.3). A client that is available to nobody here is forgotten.
    pub fn remove(&self, client: &Jid, user: &BareJid) {
        let (mut state, contact) = (self.0.lock(), client.to_bare());
        let Some(clients) = state.by_user.get_mut(&contact) else { return };
        let before = clients.len();
        clients.retain_mut(|own| own.jid != *client || own.hide_from(user));
        let (removed, is_empty) = (before - clients.len(), clients.is_empty());
        if is_empty {
            state.by_user.remove(&contact);
        }
        state.count_removed(client.domain(), removed);
    }

    /// The clients of a contact that are interested in this node of a user here, and are not unavailable to that user.
    #[must_use]
    pub fn wanting(&self, contact: &BareJid, user: &BareJid, node: &str) -> Vec<Jid> {
        let state = self.0.lock();
        let clients = state.by_user.get(contact).into_iter().flatten();
        let wants = |own: &&Client| own.interests.has(node) && !own.hidden_from.contains(user);
        clients.filter(wants).map(|own| own.jid.clone()).collect()
    }

    /// Whether no client is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.lock().clients == 0
    }
}

impl Client {
    /// Notes that it is unavailable to a user. Returns whether it is available to others.
    fn hide_from(&mut self, user: &BareJid) -> bool {
        self.known_to.retain(|own| own != user);
        self.wait.retain(|own| own != user);
        if self.hidden_from.len() < MOST_USERS && !self.hidden_from.contains(user) {
            self.hidden_from.push(user.clone());
        }
        !self.known_to.is_empty() || !self.wait.is_empty()
    }
}

impl State {
    /// Whether a client of this domain can be added. If there are too many in all, the domain that has most of them loses
    /// its own, unless it is this one: they come again with the next presence of each client.
    fn has_room(&mut self, domain: &str) -> bool {
        let own = self.by_domain.get(domain).copied().unwrap_or_default();
        if own >= MOST_OF_DOMAIN {
            return false;
        }
        if self.clients < MOST {
            return true;
        }
        let most = self.by_domain.iter().max_by_key(|(_, clients)| **clients);
        let Some((most, clients)) = most.map(|(domain, clients)| (domain.clone(), *clients)) else {
            return false;
        };
        if clients <= own {
            return false;
        }
        self.by_user.retain(|user, _| user.domain() != most);
        self.count_removed(&most, clients);
        true
    }

    fn count_removed(&mut self, domain: &str, removed: usize) {
        self.clients -= removed;
        if let Some(clients) = self.by_domain.get_mut(domain) {
            *clients -= removed;
            if *clients == 0 {
                self.by_domain.remove(domain);
            }
        }
    }
}

/// Clients in all.
const MOST: usize = 200_000;
/// Clients of one domain.
const MOST_OF_DOMAIN: usize = 20_000;
/// Clients of one user.
const MOST_OF_USER: usize = 32;
/// How many users who know a client are remembered.
const MOST_USERS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_wants_what_its_last_presence_says_until_it_is_gone() {
        let all = RemoteInterests::default();
        let client = |text: &str| Jid::parse(text).unwrap();
        let wants = |nodes: &[&str]| {
            let nodes = nodes.iter().map(|node| (*node).into()).collect();
            Arc::new(Interests::new("key".into(), nodes))
        };
        let (contact, romeo) =
            (client("juliet@c.example").to_bare(), client("romeo@a.example").to_bare());
        all.set(&client("juliet@c.example/a"), wants(&["x", "y"]));
        all.set(&client("juliet@c.example/b"), wants(&["y"]));
        let wanting = |node| all.wanting(&contact, &romeo, node);
        assert_eq!(wanting("y").len(), 2);
        assert_eq!(wanting("x"), [client("juliet@c.example/a")]);
        all.set(&client("juliet@c.example/a"), wants(&[]));
        assert!(wanting("x").is_empty());
        all.remove(&client("juliet@c.example/b"), &romeo);
        all.remove(&client("juliet@c.example/b"), &romeo);
        all.remove(&client("romeo@c.example/b"), &romeo);
        assert!(wanting("y").is_empty() && !all.is_empty());
        for number in 0..100 {
            all.set(&client(&format!("juliet@c.example/{number}")), wants(&["z"]));
        }
        assert_eq!(wanting("z").len(), MOST_OF_USER - 1);
        all.remove(&client("juliet@c.example/a"), &romeo);
        for number in 0..100 {
            all.remove(&client(&format!("juliet@c.example/{number}")), &romeo);
        }
        assert!(all.is_empty());
    }

    #[test]
    fn a_client_that_is_unavailable_to_one_user_is_not_so_to_others() {
        let all = RemoteInterests::default();
        let client = Jid::parse("juliet@c.example/a").unwrap();
        let [romeo, nurse] =
            ["romeo@a.example", "nurse@a.example"].map(|jid| BareJid::parse(jid).unwrap());
        let wanting = |user: &BareJid| all.wanting(&client.to_bare(), user, "x").len();
        all.set(&client, Arc::new(Interests::new("key".into(), vec!["x".into()])));
        for user in [&romeo, &nurse] {
            assert!(all.is_available_to(&client, user).is_some());
        }
        all.remove(&client, &romeo);
        assert_eq!((wanting(&romeo), wanting(&nurse)), (0, 1));
        assert!(all.is_available_to(&client, &romeo).is_some());
        assert_eq!((wanting(&romeo), wanting(&nurse)), (1, 1));
        all.remove(&client, &romeo);
        all.remove(&client, &nurse);
        assert!(all.is_empty());
    }

    #[test]
    fn no_domain_takes_the_place_of_others() {
        let all = RemoteInterests::default();
        let interests = Arc::new(Interests::new("key".into(), vec!["x".into()]));
        let client = |domain: &str, n: usize| Jid::parse(&format!("u{n}@{domain}/a")).unwrap();
        all.set(&client("quiet.example", 0), Arc::clone(&interests));
        for n in 0..=MOST_OF_DOMAIN {
            all.set(&client("loud0.example", n), Arc::clone(&interests));
        }
        assert!(all.get(&client("loud0.example", MOST_OF_DOMAIN)).is_none());
        for domain in 1..MOST / MOST_OF_DOMAIN {
            for n in 0..MOST_OF_DOMAIN {
                all.set(&client(&format!("loud{domain}.example"), n), Arc::clone(&interests));
            }
        }
        all.set(&client("late.example", 0), interests);
        assert!(all.get(&client("late.example", 0)).is_some());
        assert!(all.get(&client("quiet.example", 0)).is_some());
        assert!(all.0.lock().clients < MOST);
    }

    #[test]
    fn a_user_hears_once_of_a_client_when_its_interests_are_known() {
        let all = RemoteInterests::default();
        let client = Jid::parse("juliet@c.example/a").unwrap();
        let [romeo, nurse] =
            ["romeo@a.example", "nurse@a.example"].map(|jid| BareJid::parse(jid).unwrap());
        assert!(all.is_available_to(&client, &romeo).is_none());
        all.set(&client, Arc::new(Interests::default().until_known("key".into())));
        for user in [&romeo, &nurse, &romeo] {
            assert!(all.is_available_to(&client, user).is_none());
        }
        let known = |key: &str| Arc::new(Interests::new(key.into(), vec!["x".into()]));
        all.set(&client, known("key"));
        let waiting = all.take_waiting(&client);
        assert_eq!(waiting, [romeo.clone(), nurse]);
        for user in &waiting {
            assert!(all.is_available_to(&client, user).is_some());
            assert!(all.is_available_to(&client, user).is_none());
        }
        all.set(&client, known("other"));
        assert!(all.is_available_to(&client, &romeo).is_some());
        all.remove(&client, &romeo);
        assert!(all.is_available_to(&client, &romeo).is_none());
    }
}
