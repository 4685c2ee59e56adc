//! Locks by content: a slow upload of one content does not delay another.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::{Mutex as Waiting, OwnedMutexGuard};

use crate::storage::ContentHash;

/// The contents on which a task works.
#[derive(Debug, Default)]
pub(super) struct Locks(Mutex<FxHashMap<ContentHash, Weak<Waiting<()>>>>);

impl Locks {
    /// Waits until no other task works on this content.
    pub(super) async fn lock(&self, hash: ContentHash) -> OwnedMutexGuard<()> {
        self.of(hash).lock_owned().await
    }

    /// Takes the lock without waiting. `None` if another task works on the content.
    pub(super) fn try_lock(&self, hash: ContentHash) -> Option<OwnedMutexGuard<()>> {
        self.of(hash).try_lock_owned().ok()
    }

    fn of(&self, hash: ContentHash) -> Arc<Waiting<()>> {
        let mut all = self.0.lock();
        if let Some(known) = all.get(&hash).and_then(Weak::upgrade) {
            return known;
        }
        // So there are never more than those in use, and one.
        all.retain(|_, lock| lock.strong_count() > 0);
        let new = Arc::new(Waiting::new(()));
        all.insert(hash, Arc::downgrade(&new));
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_content_waits_for_itself_alone() {
        let (locks, hash) = (Locks::default(), |n| ContentHash::new([n; 32]));
        let first = locks.lock(hash(1)).await;
        let other = locks.lock(hash(2)).await;
        assert!(locks.try_lock(hash(1)).is_none());
        drop(first);
        assert!(locks.try_lock(hash(1)).is_some());
        drop(other);
        drop(locks.lock(hash(3)).await);
        assert_eq!(locks.0.lock().len(), 1);
    }
}
