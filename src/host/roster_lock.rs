//! Locks on the rosters of accounts.
//!
//! Clients hear of changes in the order in which they were made (RFC 6121 §2.6.3). But a change is
//! known to be kept some time after it was made, and then it is told: two that are made at the same
//! moment could be told in the other order, and a client would keep the older item under the newer
//! version for ever. So who changes a roster, or reads it for a client, holds its lock until all
//! clients have been told.
//!
//! Nobody takes a second lock while he has one, nor waits for a client: a lock is held as long as the
//! storage takes. Their number is fixed, so accounts may share one.

use std::array;
use std::hash::{BuildHasher, BuildHasherDefault};
use std::sync::Arc;

use rustc_hash::FxHasher;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::jid::BareJid;

/// The locks of all rosters.
#[derive(Debug)]
pub struct RosterLocks([Arc<Mutex<()>>; LOCKS]);

/// Nobody else changes this roster, or tells clients of it, until this is dropped.
#[derive(Debug)]
#[must_use = "it is unlocked at once"]
pub struct RosterLock {
    _guard: OwnedMutexGuard<()>,
}

impl RosterLocks {
    /// Locks the roster of `user`. Those who wait get it in the order in which they came.
    pub async fn lock(&self, user: &BareJid) -> RosterLock {
        let hash = BuildHasherDefault::<FxHasher>::default().hash_one(user.as_str());
        let place = usize::try_from(hash % LOCKS as u64).unwrap_or_default();
        RosterLock { _guard: Arc::clone(&self.0[place]).lock_owned().await }
    }
}

impl Default for RosterLocks {
    fn default() -> Self {
        Self(array::from_fn(|_| Arc::default()))
    }
}

/// So many rosters can be changed at the same time.
const LOCKS: usize = 256;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::RosterLocks;
    use crate::host::Outbox;
    use crate::jid::BareJid;
    use crate::stanza::Stanza;
    use crate::xml::Frame;

    fn stanza(id: &str) -> Stanza {
        let xml = format!("<iq type='result' id='{id}'/>");
        Stanza::read(Frame::from_bytes(xml).unwrap()).unwrap()
    }

    fn next(outbox: &mut Outbox) -> Option<String> {
        outbox.take().and_then(|stanza| stanza.head().id.as_ref().map(ToString::to_string))
    }

    /// The answer and the pushes, but not what others are sent because of the change: their rosters
    /// are locked for that.
    #[tokio::test(start_paused = true)]
    async fn a_roster_is_locked_until_its_clients_have_been_told() {
        let (locks, user) = (RosterLocks::default(), BareJid::parse("romeo@localhost").unwrap());
        let is_locked = async || timeout(Duration::from_secs(1), locks.lock(&user)).await.is_err();
        let mut outbox = Outbox::default();
        let lock = locks.lock(&user).await;
        outbox.send_behind(stanza("push"));
        outbox.unlock_behind(lock);
        outbox.send_behind(stanza("farewell"));
        outbox.send(stanza("answer"));
        assert!(!outbox.unlock() && is_locked().await);
        assert_eq!(next(&mut outbox).as_deref(), Some("answer"));
        assert!(!outbox.unlock() && is_locked().await);
        assert_eq!(next(&mut outbox).as_deref(), Some("push"));
        assert!(is_locked().await && outbox.unlock() && !is_locked().await);
        assert_eq!(next(&mut outbox).as_deref(), Some("farewell"));

        // Nothing behind the answer; and nobody has asked whether it can be unlocked.
        let lock = locks.lock(&user).await;
        outbox.send(stanza("answer"));
        outbox.unlock_behind(lock);
        assert_eq!(next(&mut outbox).as_deref(), Some("answer"));
        assert!(is_locked().await);
        assert_eq!(next(&mut outbox), None);
        assert!(!is_locked().await);
    }
}
