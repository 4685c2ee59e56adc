//! What clients on other servers want to hear of (XEP-0163 §4.3.3), as their presence says.

use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::SharedState;
use crate::jid::{BareJid, Jid};
use crate::session::Interests;

/// The interests of clients on other servers that are available to somebody here. Bounded in number. Cheap to clone.
#[derive(Clone, Default)]
pub struct RemoteInterests(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    by_user: FxHashMap<BareJid, Vec<Client>>,
    clients: usize,
}

struct Client {
    jid: Jid,
    interests: Arc<Interests>,
    /// Users here who know of it with these interests.
    known_to: Vec<BareJid>,
    /// Users here who are to be told when its interests are known.
    wait: Vec<BareJid>,
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

    /// A client wants to hear of this from now on.
    pub fn set(&self, client: &Jid, interests: Arc<Interests>) {
        let mut state = self.0.lock();
        if state.clients >= MOST {
            // They come again with the next presence of each client.
            *state = State::default();
        }
        let clients = state.by_user.entry(client.to_bare()).or_default();
        if let Some(own) = clients.iter_mut().find(|own| own.jid == *client) {
            if own.interests.key() != interests.key() {
                own.known_to.clear();
            }
            own.interests = interests;
        } else if clients.len() < MOST_OF_USER {
            let (known_to, wait) = Default::default();
            clients.push(Client { jid: client.clone(), interests, known_to, wait });
            state.clients += 1;
        }
    }

    /// A client is available to a user here. Its interests, if they are known and the user does not know of it yet.
    #[must_use]
    pub fn is_available_to(&self, client: &Jid, user: &BareJid) -> Option<Arc<Interests>> {
        let mut state = self.0.lock();
        let clients = state.by_user.get_mut(&client.to_bare())?;
        let own = clients.iter_mut().find(|own| own.jid == *client)?;
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

    /// A client is gone.
    pub fn remove(&self, client: &Jid) {
        let (mut state, user) = (self.0.lock(), client.to_bare());
        let Some(clients) = state.by_user.get_mut(&user) else { return };
        let before = clients.len();
        clients.retain(|own| own.jid != *client);
        let (removed, is_empty) = (before - clients.len(), clients.is_empty());
        state.clients -= removed;
        if is_empty {
            state.by_user.remove(&user);
        }
    }

    /// The clients of a user that want to hear of this node.
    #[must_use]
    pub fn wanting(&self, user: &BareJid, node: &str) -> Vec<Jid> {
        let state = self.0.lock();
        let clients = state.by_user.get(user).into_iter().flatten();
        clients.filter(|own| own.interests.has(node)).map(|own| own.jid.clone()).collect()
    }

    /// Whether no client is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.lock().clients == 0
    }
}

/// Clients in all.
const MOST: usize = 200_000;
/// Clients of one user.
const MOST_OF_USER: usize = 32;
/// Users here of whom it is known that they know a client.
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
        let user = client("juliet@c.example").to_bare();
        all.set(&client("juliet@c.example/a"), wants(&["x", "y"]));
        all.set(&client("juliet@c.example/b"), wants(&["y"]));
        assert_eq!(all.wanting(&user, "y").len(), 2);
        assert_eq!(all.wanting(&user, "x"), [client("juliet@c.example/a")]);
        all.set(&client("juliet@c.example/a"), wants(&[]));
        assert!(all.wanting(&user, "x").is_empty());
        all.remove(&client("juliet@c.example/b"));
        all.remove(&client("juliet@c.example/b"));
        all.remove(&client("romeo@c.example/b"));
        assert!(all.wanting(&user, "y").is_empty() && !all.is_empty());
        for number in 0..100 {
            all.set(&client(&format!("juliet@c.example/{number}")), wants(&["z"]));
        }
        assert_eq!(all.wanting(&user, "z").len(), MOST_OF_USER - 1);
        all.remove(&client("juliet@c.example/a"));
        for number in 0..100 {
            all.remove(&client(&format!("juliet@c.example/{number}")));
        }
        assert!(all.is_empty());
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
        all.remove(&client);
        assert!(all.is_available_to(&client, &romeo).is_none());
    }
}
