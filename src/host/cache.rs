//! A cache for small facts of accounts that every stanza needs and that the store has. Its size is
//! bounded: values that are not used are dropped, and read again when they are needed.
//!
//! The thing to get wrong: a reader reads the old value from the store, a writer changes it, and then the
//! reader puts the old value into the cache. So a reader holds the place of the value while it reads.
//! Forgetting takes the place away, and the cache refuses what the reader brings (`quick_cache`'s guards).

use std::fmt;
use std::hash::RandomState;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use crate::jid::BareJid;

/// Values by account, bounded in bytes; see the module. `V` must be cheap to clone.
pub struct AccountCache<V: Clone>(Cache<BareJid, Weighed<V>, Bytes, RandomState>);

/// What was read from the store.
#[derive(Clone, Copy, Debug)]
pub struct Read<V> {
    /// The value.
    pub value: V,
    /// About how many bytes it occupies. `None`: it is not to be cached.
    pub bytes: Option<usize>,
}

#[derive(Clone)]
struct Weighed<V> {
    value: V,
    bytes: usize,
}

#[derive(Clone)]
struct Bytes;

impl<V> Weighter<BareJid, Weighed<V>> for Bytes {
    fn weight(&self, user: &BareJid, weighed: &Weighed<V>) -> u64 {
        (weighed.bytes + OVERHEAD + user.as_str().len()) as u64
    }
}

impl<V: Clone> AccountCache<V> {
    /// A cache for values of about so many bytes together.
    ///
    /// # Panics
    /// Never: all that the options need is given.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let options = OptionsBuilder::new()
            .estimated_items_capacity(bytes / (2 * OVERHEAD))
            .weight_capacity(bytes as u64)
            .build()
            .expect("both capacities are given");
        let (hasher, lifecycle) = (RandomState::new(), DefaultLifecycle::default());
        Self(Cache::with_options(options, Bytes, hasher, lifecycle))
    }

    /// The value of an account, if it is cached. For questions that each stanza asks: it allocates nothing, and never
    /// waits.
    pub fn at_hand(&self, user: &BareJid) -> Option<V> {
        self.0.get(user).map(|weighed| weighed.value)
    }

    /// The value of an account. If it is not cached, it is read; others that need the same value wait for
    /// this reader.
    ///
    /// # Errors
    /// If it cannot be read. Then those that wait read for themselves.
    pub async fn get_or_read<E>(
        &self,
        user: &BareJid,
        read: impl Future<Output = Result<Read<V>, E>>,
    ) -> Result<V, E> {
        // A cached value costs not even a clone of the address.
        if let Some(weighed) = self.0.get(user) {
            return Ok(weighed.value);
        }
        match self.0.get_value_or_guard_async(user).await {
            Ok(weighed) => Ok(weighed.value),
            Err(place) => {
                let Read { value, bytes } = read.await?;
                if let Some(bytes) = bytes {
                    // The cache refuses it if it was forgotten meanwhile.
                    drop(place.insert(Weighed { value: value.clone(), bytes }));
                }
                Ok(value)
            }
        }
    }

    /// Forgets the value of an account. Call this when the store has the new value; see
    /// [`ServerState::invalidate`](super::ServerState::invalidate).
    pub fn forget(&self, user: &BareJid) {
        self.0.remove(user);
    }
}

impl<V: Clone> fmt::Debug for AccountCache<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountCache({} bytes)", self.0.weight())
    }
}

/// Bytes of an entry beside its value and the text of its key.
const OVERHEAD: usize = 64;

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    use super::{AccountCache, Read};
    use crate::jid::BareJid;

    fn user(name: &str) -> BareJid {
        BareJid::from_parts(Some(name), "montague.lit").unwrap()
    }

    async fn get(cache: &AccountCache<u32>, user: &BareJid, value: u32, bytes: usize) -> u32 {
        let read = async { Ok::<_, Infallible>(Read { value, bytes: Some(bytes) }) };
        cache.get_or_read(user, read).await.unwrap()
    }

    async fn is_held(cache: &AccountCache<u32>, user: &BareJid) -> bool {
        let nothing = async { Err(()) };
        cache.get_or_read(user, nothing).await.is_ok()
    }

    #[tokio::test]
    async fn a_value_is_at_hand_until_it_is_forgotten() {
        let cache = AccountCache::new(1 << 20);
        let romeo = user("romeo");
        assert_eq!(cache.at_hand(&romeo), None);
        assert_eq!(get(&cache, &romeo, 1, 8).await, 1);
        assert_eq!(get(&cache, &romeo, 2, 8).await, 1);
        assert_eq!(cache.at_hand(&romeo), Some(1));
        cache.forget(&romeo);
        assert_eq!(cache.at_hand(&romeo), None);
        assert_eq!(get(&cache, &romeo, 3, 8).await, 3);
        let not_held = async { Ok::<_, ()>(Read { value: 4, bytes: None }) };
        assert_eq!(cache.get_or_read(&user("juliet"), not_held).await, Ok(4));
        assert!(!is_held(&cache, &user("juliet")).await);
    }

    #[tokio::test]
    async fn what_was_read_before_a_change_is_not_entered_after_it() {
        let cache = AccountCache::new(1 << 20);
        let romeo = user("romeo");
        let (send, old) = oneshot::channel();
        let slow = async { Ok::<_, ()>(Read { value: old.await.unwrap(), bytes: Some(8) }) };
        let mut slow = Box::pin(cache.get_or_read(&romeo, slow));
        assert!(slow.as_mut().now_or_never().is_none());
        cache.forget(&romeo);
        // A reader that comes after the change reads the store itself, and nobody waits for it.
        assert_eq!(get(&cache, &romeo, 2, 8).await, 2);
        send.send(1).unwrap();
        assert_eq!(slow.await, Ok(1));
        assert_eq!(get(&cache, &romeo, 3, 8).await, 2, "the newer value stays");
        cache.forget(&romeo);
        assert!(!is_held(&cache, &romeo).await);
    }

    #[tokio::test]
    async fn a_value_is_read_once_for_all_who_wait() {
        let cache = AccountCache::new(1 << 20);
        let romeo = user("romeo");
        let (send, value) = oneshot::channel();
        let first = async { value.await.map(|value| Read { value, bytes: Some(8) }) };
        let mut first = Box::pin(cache.get_or_read(&romeo, first));
        assert!(first.as_mut().now_or_never().is_none());
        let mut second = Box::pin(get(&cache, &romeo, 2, 8));
        assert!(second.as_mut().now_or_never().is_none());
        send.send(1).unwrap();
        assert_eq!(first.await, Ok(1));
        assert_eq!(second.await, 1);
    }

    #[tokio::test]
    async fn who_waited_for_a_reader_that_failed_reads() {
        let cache = AccountCache::new(1 << 20);
        let romeo = user("romeo");
        let (send, value) = oneshot::channel::<u32>();
        let first = async { value.await.map(|value| Read { value, bytes: Some(8) }) };
        let mut first = Box::pin(cache.get_or_read(&romeo, first));
        assert!(first.as_mut().now_or_never().is_none());
        let mut second = Box::pin(get(&cache, &romeo, 2, 8));
        assert!(second.as_mut().now_or_never().is_none());
        drop(send);
        assert!(first.await.is_err());
        assert_eq!(second.await, 2);
    }

    #[tokio::test]
    async fn memory_is_bounded_and_what_is_asked_for_often_stays() {
        let cache = AccountCache::new(64 * 1024);
        let often = user("often");
        for n in 0..10_000 {
            get(&cache, &user(&format!("user{n}")), n, 200).await;
            get(&cache, &often, n, 200).await;
        }
        assert!(cache.0.weight() <= 64 * 1024);
        assert!((64..400).contains(&cache.0.len()), "{}", cache.0.len());
        assert_eq!(get(&cache, &often, 10_000, 200).await, 0, "it was never thrown out");
        get(&cache, &user("huge"), 1, 1 << 20).await;
        assert!(!is_held(&cache, &user("huge")).await, "too large to be kept here");
    }
}
