//! Locks on what waits of strangers.
//!
//! Two tasks may want to deliver what waits of one stranger: the user accepts it on one device, and it writes
//! again. A user may accept it on one device and report it on another. Therefore code that delivers what waits,
//! or removes it because the user says so, holds the lock of the account from before it reads until it has
//! removed.
//!
//! A lock on a roster (`host/roster_lock.rs`) may be taken while this lock is held, never the other way round.
//! The number of locks is fixed, so several accounts may share one; nobody holds two.

use std::array;
use std::hash::{BuildHasher, BuildHasherDefault};

use rustc_hash::FxHasher;
use tokio::sync::{Mutex, MutexGuard};

use crate::jid::BareJid;

/// The locks of all accounts.
#[derive(Debug)]
pub(super) struct Locks([Mutex<()>; LOCKS]);

impl Locks {
    /// Locks what waits for `user`.
    pub(super) async fn lock(&self, user: &BareJid) -> MutexGuard<'_, ()> {
        let hash = BuildHasherDefault::<FxHasher>::default().hash_one(user.as_str());
        let place = usize::try_from(hash % LOCKS as u64).unwrap_or_default();
        self.0[place].lock().await
    }
}

impl Default for Locks {
    fn default() -> Self {
        Self(array::from_fn(|_| Mutex::default()))
    }
}

/// Accounts for which what waits can be delivered at the same time.
const LOCKS: usize = 64;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::Locks;
    use crate::jid::BareJid;

    #[tokio::test(start_paused = true)]
    async fn an_account_is_locked_until_the_lock_is_dropped() {
        let (locks, user) = (Locks::default(), BareJid::parse("juliet@localhost").unwrap());
        let is_locked = async || timeout(Duration::from_secs(1), locks.lock(&user)).await.is_err();
        let lock = locks.lock(&user).await;
        assert!(is_locked().await);
        drop(lock);
        assert!(!is_locked().await);
    }
}
