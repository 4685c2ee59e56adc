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
    by_user: FxHashMap<BareJid, Vec<(Jid, Arc<Interests>)>>,
    clients: usize,
}

impl SharedState for RemoteInterests {}

impl RemoteInterests {
    /// The interests of a client, by its full address.
    #[must_use]
    pub fn get(&self, client: &Jid) -> Option<Arc<Interests>> {
        let state = self.0.lock();
        let clients = state.by_user.get(&client.to_bare())?;
        let found = clients.iter().find(|(own, _)| own == client);
        found.map(|(_, interests)| Arc::clone(interests))
    }

    /// A client wants to hear of this from now on.
    pub fn set(&self, client: &Jid, interests: Arc<Interests>) {
        let mut state = self.0.lock();
        if state.clients >= MOST {
            // They come again with the next presence of each client.
            *state = State::default();
        }
        let clients = state.by_user.entry(client.to_bare()).or_default();
        if let Some((_, own)) = clients.iter_mut().find(|(own, _)| own == client) {
            *own = interests;
        } else if clients.len() < MOST_OF_USER {
            clients.push((client.clone(), interests));
            state.clients += 1;
        }
    }

    /// A client is gone.
    pub fn remove(&self, client: &Jid) {
        let (mut state, user) = (self.0.lock(), client.to_bare());
        let Some(clients) = state.by_user.get_mut(&user) else { return };
        let before = clients.len();
        clients.retain(|(own, _)| own != client);
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
        clients.filter(|(_, own)| own.has(node)).map(|(client, _)| client.clone()).collect()
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
}
