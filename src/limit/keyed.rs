//! A value for each key, for keys that clients choose. The number of remembered keys is limited.
//!
//! A value that is in use is never forgotten; its users limit the number of those. The standard hasher is
//! used, so that nobody can choose colliding keys.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;

/// A value that can be forgotten after some time.
pub(super) trait Forget {
    /// The time from which on the value equals a new one.
    fn until(&self) -> u64;
}

/// Values by key.
#[derive(Debug)]
pub(super) struct Keyed<K, V> {
    most: usize,
    state: Mutex<State<K, V>>,
}

#[derive(Debug)]
struct State<K, V> {
    values: HashMap<K, Arc<V>>,
    /// At this number of keys, values that equal new ones are forgotten.
    room: usize,
}

impl<K, V> Default for Keyed<K, V> {
    fn default() -> Self {
        Self::with_room(MOST)
    }
}

impl<K, V> Keyed<K, V> {
    /// If there are more than `most` unused keys, the eighth of them is forgotten that is closest to being
    /// new.
    pub(super) fn with_room(most: usize) -> Self {
        Self { most, state: Mutex::new(State { values: HashMap::new(), room: most }) }
    }
}

impl<K: Eq + Hash, V: Forget> Keyed<K, V> {
    /// The value of a key; a new one if the key is not remembered.
    pub(super) fn get<Q>(&self, key: &Q, now: u64) -> Arc<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwnedKey<K> + ?Sized,
        V: Default,
    {
        let mut state = self.state.lock();
        if let Some(value) = state.values.get(key) {
            return Arc::clone(value);
        }
        if state.values.len() >= state.room {
            state.forget(now, self.most);
        }
        let value = Arc::<V>::default();
        state.values.insert(key.to_key(), Arc::clone(&value));
        value
    }

    /// The value of a key, if it is remembered.
    pub(super) fn find<Q>(&self, key: &Q) -> Option<Arc<V>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.state.lock().values.get(key).cloned()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.state.lock().values.len()
    }
}

impl<K: Eq + Hash, V: Forget> State<K, V> {
    /// Forgets many at once, so that an insertion into a full table costs little on average.
    fn forget(&mut self, now: u64, most: usize) {
        let is_held = |value: &Arc<V>| Arc::strong_count(value) > 1;
        self.values.retain(|_, value| is_held(value) || value.until() > now);
        let mut worth: Vec<u64> = self
            .values
            .values()
            .filter(|value| !is_held(value))
            .map(|value| value.until())
            .collect();
        let stay = most - most / 8;
        if worth.len() > stay {
            let over = worth.len() - stay;
            let least = *worth.select_nth_unstable(over - 1).1;
            // Of values with the same time, only as many as necessary are forgotten.
            let below = worth[..over - 1].iter().filter(|worth| **worth < least).count();
            let mut left = over - below;
            self.values.retain(|_, value| {
                let (is_held, worth) = (is_held(value), value.until());
                let is_last = !is_held && worth == least && left > 0;
                left -= usize::from(is_last);
                is_held || worth >= least && !is_last
            });
        }
        self.room = most.max(self.values.len() + most / 8);
        if self.values.capacity() > 4 * self.room {
            self.values.shrink_to(self.room);
        }
    }
}

/// How a key for a look-up becomes a stored key.
pub(super) trait ToOwnedKey<K> {
    fn to_key(&self) -> K;
}

impl ToOwnedKey<Box<Self>> for str {
    fn to_key(&self) -> Box<Self> {
        self.into()
    }
}

impl<K: Clone> ToOwnedKey<K> for K {
    fn to_key(&self) -> K {
        self.clone()
    }
}

/// The number of unused keys that are remembered.
const MOST: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::{Forget, Keyed};

    #[derive(Debug, Default)]
    struct Until(AtomicU64);

    impl Forget for Until {
        fn until(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn what_is_worth_least_is_forgotten_and_what_is_held_never() {
        let keyed = Keyed::<Box<str>, Until>::with_room(16);
        let held = keyed.get("held", 0);
        for number in 0..1000 {
            let value = keyed.get(format!("{number}").as_str(), 0);
            value.0.store(number + 1, Ordering::Relaxed);
            assert!(keyed.len() <= 18, "{}", keyed.len());
        }
        assert!(keyed.find("0").is_none() && keyed.find("999").is_some());
        assert!(std::sync::Arc::ptr_eq(&held, &keyed.find("held").unwrap()));
    }

    #[test]
    fn what_is_over_is_forgotten_first() {
        let keyed = Keyed::<Box<str>, Until>::with_room(16);
        for number in 0..16 {
            keyed.get(format!("{number}").as_str(), 0).0.store(number, Ordering::Relaxed);
        }
        drop(keyed.get("new", 12));
        assert_eq!(keyed.len(), 4, "13, 14, 15 and the new one");
    }

    #[test]
    fn those_who_are_held_do_not_push_the_others_out() {
        let keyed = Keyed::<Box<str>, Until>::with_room(16);
        let _held: Vec<_> = (0..100).map(|n| keyed.get(format!("h{n}").as_str(), 0)).collect();
        for number in 0..14 {
            keyed.get(format!("{number}").as_str(), 0).0.store(9, Ordering::Relaxed);
        }
        assert!((0..14).all(|n| keyed.find(format!("{n}").as_str()).is_some()));
        assert!((0..100).all(|n| keyed.find(format!("h{n}").as_str()).is_some()));
    }
}
