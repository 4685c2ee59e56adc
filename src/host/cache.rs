//! Small facts of accounts that are asked for with every stanza and kept in the store: read once,
//! then at hand. Bounded: what does not fit is read again.
//!
//! The thing to get wrong: a reader that has read the old value from the store, and puts it here
//! after a writer has changed it. So a reader takes a [`Ticket`] before it reads, and what it
//! brings is thrown away if anything of its shard was forgotten meanwhile.

use std::hash::BuildHasher;
use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::jid::BareJid;

/// Values by account, at most so many bytes of them. See the module.
#[derive(Debug)]
pub struct AccountCache<V> {
    shards: Box<[Mutex<Shard<V>>]>,
    weight_of_shard: usize,
}

#[derive(Debug)]
struct Shard<V> {
    values: FxHashMap<BareJid, (Arc<V>, usize)>,
    weight: usize,
    forgotten: u64,
}

/// The right to enter what is read from now on.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Ticket(u64);

impl<V> AccountCache<V> {
    /// Holds values of about so many bytes together.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let shard = || Mutex::new(Shard { values: FxHashMap::default(), weight: 0, forgotten: 0 });
        Self { shards: (0..SHARDS).map(|_| shard()).collect(), weight_of_shard: bytes / SHARDS }
    }

    /// The value; if it is not here, a ticket for who reads it from the store.
    pub fn get(&self, user: &BareJid) -> Result<Arc<V>, Ticket> {
        let shard = self.shard(user).lock();
        let ticket = Ticket(shard.forgotten);
        shard.values.get(user).map(|(value, _)| Arc::clone(value)).ok_or(ticket)
    }

    /// Enters a value that was read with this ticket, if nothing has changed since. `bytes` is
    /// about what it occupies.
    pub fn enter(&self, ticket: Ticket, user: &BareJid, value: Arc<V>, bytes: usize) {
        let weight = bytes + OVERHEAD + user.as_str().len();
        let mut shard = self.shard(user).lock();
        if shard.forgotten != ticket.0 || weight > self.weight_of_shard {
            return;
        }
        if let Some((_, old)) = shard.values.insert(user.clone(), (value, weight)) {
            shard.weight -= old;
        }
        shard.weight += weight;
        while shard.weight > self.weight_of_shard {
            // Any other: which is as good as another, and costs nothing to find.
            let Some(other) = shard.values.keys().find(|other| *other != user).cloned() else {
                return;
            };
            shard.remove(&other);
        }
    }

    /// Forgets the value of an account. To be called when the store has the new one.
    pub fn forget(&self, user: &BareJid) {
        let mut shard = self.shard(user).lock();
        shard.forgotten += 1;
        shard.remove(user);
    }

    fn shard(&self, user: &BareJid) -> &Mutex<Shard<V>> {
        &self.shards[(FxBuildHasher.hash_one(user) >> 32) as usize % SHARDS]
    }
}

impl<V> Shard<V> {
    fn remove(&mut self, user: &BareJid) {
        if let Some((_, weight)) = self.values.remove(user) {
            self.weight -= weight;
        }
    }
}

/// Bytes of an entry beside its value and the text of its key.
const OVERHEAD: usize = 64;
const SHARDS: usize = 16;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::AccountCache;
    use crate::jid::BareJid;

    fn user(name: &str) -> BareJid {
        BareJid::from_parts(Some(name), "montague.lit").unwrap()
    }

    #[test]
    fn a_value_is_at_hand_until_it_is_forgotten() {
        let cache = AccountCache::new(1 << 20);
        let romeo = user("romeo");
        let ticket = cache.get(&romeo).unwrap_err();
        cache.enter(ticket, &romeo, Arc::new(1), 8);
        assert_eq!(*cache.get(&romeo).unwrap(), 1);
        cache.forget(&romeo);
        assert!(cache.get(&romeo).is_err());
    }

    #[test]
    fn what_was_read_before_a_change_is_not_entered_after_it() {
        let cache = AccountCache::new(1 << 20);
        let romeo = user("romeo");
        let ticket = cache.get(&romeo).unwrap_err();
        cache.forget(&romeo);
        cache.enter(ticket, &romeo, Arc::new(1), 8);
        assert!(cache.get(&romeo).is_err());
    }

    #[test]
    fn memory_is_bounded() {
        let cache = AccountCache::new(16 * 1024);
        for i in 0..10_000 {
            let user = user(&format!("user{i}"));
            let Err(ticket) = cache.get(&user) else { panic!("nobody entered it") };
            cache.enter(ticket, &user, Arc::new(i), 200);
            assert!(cache.get(&user).is_ok(), "the newest stays");
        }
        let held: usize = cache.shards.iter().map(|shard| shard.lock().values.len()).sum();
        assert!((16..100).contains(&held), "{held}");
        let huge = user("huge");
        let Err(ticket) = cache.get(&huge) else { panic!("nobody entered it") };
        cache.enter(ticket, &huge, Arc::new(0), 1 << 20);
        assert!(cache.get(&huge).is_err(), "too large to be kept here");
    }
}
