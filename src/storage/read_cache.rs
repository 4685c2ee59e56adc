//! A cache of small values of many accounts without sessions: their block lists, one of their contacts, when they were
//! last seen. Each login of a contact asks for these once for each of its own contacts.
//!
//! The thing to get wrong: a reader reads the old value, a writer changes it, and then the reader puts the old value
//! into the cache. Many values are read with one query, so places are not held one by one. Instead, each value
//! remembers how many changes there had been before it was read, and counts only until the next one.

use std::fmt;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};
use rustc_hash::FxBuildHasher;

use crate::jid::{BareJid, Jid};

/// Values by key, bounded in bytes; see the module. `V` must be cheap to clone.
pub struct ReadCache<K, V> {
    values: Cache<K, Held<V>, Bytes, RandomState>,
    /// The changes of accounts. Several accounts share a count: then a change of one makes the others be read again.
    changes: Box<[AtomicU64]>,
}

/// What a fact is about.
pub trait OfAccount: Clone + Eq + Hash {
    /// The account that has it.
    fn account(&self) -> &BareJid;
    /// Bytes of its addresses.
    fn size(&self) -> usize;
}

impl OfAccount for BareJid {
    fn account(&self) -> &BareJid {
        self
    }

    fn size(&self) -> usize {
        self.as_str().len()
    }
}

/// What an account has stored about somebody else.
impl OfAccount for (BareJid, Jid) {
    fn account(&self) -> &BareJid {
        &self.0
    }

    fn size(&self) -> usize {
        self.0.as_str().len() + self.1.as_str().len()
    }
}

/// How many changes of an account there had been before it was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Seen(u64);

#[derive(Clone)]
struct Held<V> {
    value: V,
    bytes: usize,
    seen: Seen,
}

#[derive(Clone)]
struct Bytes;

impl<K: OfAccount, V> Weighter<K, Held<V>> for Bytes {
    fn weight(&self, key: &K, held: &Held<V>) -> u64 {
        (held.bytes + size_of::<(K, Held<V>)>() + key.size()) as u64
    }
}

impl<K: OfAccount, V: Clone> ReadCache<K, V> {
    /// A cache for values of about so many bytes together.
    ///
    /// # Panics
    /// Never: all that the options need is given.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let options = OptionsBuilder::new()
            .estimated_items_capacity(bytes / (2 * size_of::<(K, Held<V>)>()))
            .weight_capacity(bytes as u64)
            .build()
            .expect("both capacities are given");
        let (hasher, lifecycle) = (RandomState::new(), DefaultLifecycle::default());
        Self {
            values: Cache::with_options(options, Bytes, hasher, lifecycle),
            changes: (0..COUNTS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// The value, if it is held.
    pub fn get(&self, key: &K) -> Option<V> {
        let held = self.values.get(key)?;
        (held.seen == self.seen(key.account())).then_some(held.value)
    }

    /// To be called before the store is read, and given to [`ReadCache::hold`].
    pub fn seen(&self, account: &BareJid) -> Seen {
        Seen(self.count(account).load(Ordering::Acquire))
    }

    /// Holds a value that was read from the store. `bytes`: what it occupies beside its own size.
    pub fn hold(&self, key: K, value: V, bytes: usize, seen: Seen) {
        self.values.insert(key, Held { value, bytes, seen });
    }

    /// Forgets what is held of an account. Call this when the store has the new values.
    pub fn forget(&self, account: &BareJid) {
        self.count(account).fetch_add(1, Ordering::AcqRel);
    }

    fn count(&self, account: &BareJid) -> &AtomicU64 {
        // An attacker who makes accounts share a count gains nothing: they are only read again.
        let hash = FxBuildHasher.hash_one(account) as usize;
        &self.changes[hash % self.changes.len()]
    }
}

impl<K: OfAccount, V: Clone> fmt::Debug for ReadCache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReadCache({} bytes)", self.values.weight())
    }
}

/// Counts of changes.
const COUNTS: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> BareJid {
        BareJid::from_parts(Some(name), "montague.lit").unwrap()
    }

    #[test]
    fn a_value_counts_until_its_account_changes() {
        let cache = ReadCache::new(1 << 20);
        let (romeo, juliet) = (user("romeo"), user("juliet"));
        let about =
            |account: &BareJid, other: &BareJid| (account.clone(), other.clone().into_jid());
        let key = about(&romeo, &juliet);
        assert_eq!(cache.get(&key), None);
        cache.hold(key.clone(), 1, 0, cache.seen(&romeo));
        assert_eq!((cache.get(&key), cache.get(&about(&juliet, &romeo))), (Some(1), None));
        cache.forget(&romeo);
        assert_eq!(cache.get(&key), None);
        cache.hold(key.clone(), 2, 0, cache.seen(&romeo));
        assert_eq!(cache.get(&key), Some(2));
    }

    #[test]
    fn what_was_read_before_a_change_does_not_count_after_it() {
        let cache = ReadCache::new(1 << 20);
        let romeo = user("romeo");
        let seen = cache.seen(&romeo);
        cache.forget(&romeo);
        cache.hold(romeo.clone(), 1, 0, seen);
        assert_eq!(cache.get(&romeo), None);
    }

    #[test]
    fn memory_is_bounded() {
        let cache = ReadCache::new(64 * 1024);
        for n in 0..10_000 {
            let user = user(&format!("user{n}"));
            cache.hold(user.clone(), n, 100, cache.seen(&user));
        }
        assert!(cache.values.weight() <= 64 * 1024);
        assert!((64..600).contains(&cache.values.len()), "{}", cache.values.len());
    }
}
