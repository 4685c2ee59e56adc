//! Who waits for new messages in an archive. Each message that is archived passes here: if nobody waits for any, this
//! costs one read of a number.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::Notify;

use super::SharedState;
use crate::jid::BareJid;

/// Wakes the tasks that wait for new messages.
#[derive(Debug, Default)]
pub struct ArchiveWatchers(Arc<Parts>);

#[derive(Debug, Default)]
struct Parts {
    /// How many wait, for all archives.
    count: AtomicUsize,
    accounts: Mutex<FxHashMap<BareJid, (usize, Arc<Notify>)>>,
}

/// Waits for new messages of one account, until this is dropped.
#[derive(Debug)]
pub struct ArchiveWatch {
    parts: Arc<Parts>,
    owner: BareJid,
    changed: Arc<Notify>,
}

impl SharedState for ArchiveWatchers {}

impl ArchiveWatchers {
    /// Wakes the watchers of this account: a new message is in its archive, where it can be read now.
    pub fn wake(&self, owner: &BareJid) {
        if self.0.count.load(Ordering::Acquire) == 0 {
            return;
        }
        if let Some((_, changed)) = self.0.accounts.lock().get(owner) {
            changed.notify_waiters();
        }
    }

    /// Begins to wait for the messages of an account.
    #[must_use]
    pub fn watch(&self, owner: &BareJid) -> ArchiveWatch {
        let mut accounts = self.0.accounts.lock();
        let (count, changed) = accounts.entry(owner.clone()).or_default();
        *count += 1;
        let changed = Arc::clone(changed);
        drop(accounts);
        self.0.count.fetch_add(1, Ordering::AcqRel);
        ArchiveWatch { parts: Arc::clone(&self.0), owner: owner.clone(), changed }
    }
}

impl ArchiveWatch {
    /// Is notified of each new message. It must be enabled before the archive is read, or a message between the two is
    /// not noticed.
    #[must_use]
    pub fn changed(&self) -> &Arc<Notify> {
        &self.changed
    }
}

impl Drop for ArchiveWatch {
    fn drop(&mut self) {
        self.parts.count.fetch_sub(1, Ordering::AcqRel);
        let mut accounts = self.parts.accounts.lock();
        if let Some((count, _)) = accounts.get_mut(&self.owner) {
            *count -= 1;
            if *count == 0 {
                accounts.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn those_who_wait_for_an_account_are_woken_and_forgotten() {
        let watchers = ArchiveWatchers::default();
        let [romeo, juliet] =
            ["romeo@a.example", "juliet@a.example"].map(|jid| BareJid::parse(jid).unwrap());
        watchers.wake(&romeo);
        let (one, two, other) =
            (watchers.watch(&romeo), watchers.watch(&romeo), watchers.watch(&juliet));
        let mut waiting: Vec<_> =
            [&one, &two, &other].map(|watch| Box::pin(watch.changed().notified())).into();
        assert!(waiting.iter_mut().all(|waits| !waits.as_mut().enable()));
        watchers.wake(&romeo);
        let woken = waiting.iter_mut().map(|waits| waits.as_mut().now_or_never().is_some());
        assert_eq!(woken.collect::<Vec<_>>(), [true, true, false]);
        drop(waiting);
        drop((one, two));
        assert_eq!(watchers.0.accounts.lock().len(), 1);
        drop(other);
        assert!(watchers.0.accounts.lock().is_empty());
        assert_eq!(watchers.0.count.load(Ordering::Acquire), 0);
    }
}
