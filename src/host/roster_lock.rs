//! Locks on the rosters of accounts.
//!
//! Clients are told of changes in the order in which they were made (RFC 6121 §2.6.3). A change is told when
//! the store has confirmed it, some time after it was made. Two changes at the same moment could so be
//! told in the wrong order, and a client would keep the older item under the newer version for ever.
//! Therefore code that changes a roster, or reads it for a client, holds its lock until all clients have
//! been told.
//!
//! Code that needs two locks takes both at once, in the order of their places. Nobody takes another lock
//! while holding one, or waits for a client: a lock is held as long as the storage takes. The number of
//! locks is fixed, so several accounts may share one.

use std::array;
use std::hash::{BuildHasher, BuildHasherDefault};
use std::sync::Arc;

use rustc_hash::FxHasher;
use smallvec::SmallVec;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::SharedState;
use crate::jid::BareJid;

/// The locks of all rosters.
#[derive(Debug)]
pub struct RosterLocks([Arc<Mutex<()>>; LOCKS]);

/// Rosters that are locked until this is dropped: nobody else changes them or tells clients of them.
#[derive(Debug)]
#[must_use = "it is unlocked at once"]
pub struct RosterLock(SmallVec<[(usize, OwnedMutexGuard<()>); 2]>);

impl RosterLock {
    /// Whether it locks this roster.
    #[must_use]
    pub fn covers(&self, user: &BareJid) -> bool {
        self.0.iter().any(|(place, _)| *place == place_of(user))
    }
}

impl SharedState for RosterLocks {}

impl RosterLocks {
    /// Locks the roster of `user`. Those that wait get the lock in the order in which they came.
    pub async fn lock(&self, user: &BareJid) -> RosterLock {
        self.lock_places(SmallVec::from_iter([place_of(user)])).await
    }

    /// Locks the rosters of `user` and of a contact, for a change of which both are told.
    pub async fn lock_both(&self, user: &BareJid, contact: &BareJid) -> RosterLock {
        let mut places = SmallVec::from([place_of(user), place_of(contact)]);
        places.sort_unstable();
        places.dedup();
        self.lock_places(places).await
    }

    async fn lock_places(&self, places: SmallVec<[usize; 2]>) -> RosterLock {
        let mut guards = SmallVec::new();
        for place in places {
            guards.push((place, Arc::clone(&self.0[place]).lock_owned().await));
        }
        RosterLock(guards)
    }
}

fn place_of(user: &BareJid) -> usize {
    let hash = BuildHasherDefault::<FxHasher>::default().hash_one(user.as_str());
    usize::try_from(hash % LOCKS as u64).unwrap_or_default()
}

impl Default for RosterLocks {
    fn default() -> Self {
        Self(array::from_fn(|_| Arc::default()))
    }
}

/// How many rosters can be changed at the same time.
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

    /// The answer and the pushes, but not what others send because of the change.
    #[tokio::test(start_paused = true)]
    async fn a_roster_is_locked_until_its_clients_have_been_told() {
        let (locks, user) = (RosterLocks::default(), BareJid::parse("romeo@localhost").unwrap());
        let is_locked = async || timeout(Duration::from_secs(1), locks.lock(&user)).await.is_err();
        let mut outbox = Outbox::default();
        let lock = locks.lock(&user).await;
        outbox.send_behind(stanza("push"));
        outbox.unlock_behind(lock);
        outbox.send(stanza("farewell"));
        assert!(!outbox.unlock() && outbox.has_locked(&user));
        outbox.answer(stanza("answer"));
        outbox.send(stanza("reaction"));
        for due in ["farewell", "answer", "push"] {
            assert!(!outbox.unlock() && is_locked().await);
            assert_eq!(next(&mut outbox).as_deref(), Some(due));
        }
        assert!(is_locked().await && outbox.unlock() && !is_locked().await);
        assert_eq!(next(&mut outbox).as_deref(), Some("reaction"));

        // Nothing behind the answer; and nobody has asked whether it can be unlocked.
        let mut outbox = Outbox::default();
        let lock = locks.lock(&user).await;
        outbox.unlock_behind(lock);
        outbox.answer(stanza("answer"));
        assert_eq!(next(&mut outbox).as_deref(), Some("answer"));
        assert!(is_locked().await);
        assert_eq!(next(&mut outbox), None);
        assert!(!is_locked().await);
    }

    /// Two rosters are always locked in the same order, so two tasks never wait for each other. The two may even
    /// share a place.
    #[tokio::test(start_paused = true)]
    async fn two_rosters_are_locked_together() {
        let locks = RosterLocks::default();
        let jid = |n: usize| BareJid::parse(&format!("u{n}@localhost")).unwrap();
        for n in 0..600 {
            let (one, other) = (jid(n), jid(n / 2));
            let lock = locks.lock_both(&one, &other).await;
            assert!(lock.covers(&one) && lock.covers(&other));
            drop(lock);
            let both = async {
                let (a, b) = (locks.lock_both(&one, &other), locks.lock_both(&other, &one));
                tokio::join!(async { drop(a.await) }, async { drop(b.await) });
            };
            assert!(timeout(Duration::from_secs(1), both).await.is_ok());
        }
    }
}
