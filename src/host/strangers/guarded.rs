//! What is held in memory of accounts that do not let all strangers through.

use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashSet;
use tokio::sync::MutexGuard;

use super::lock::Locks;
use super::policy::{Choice, Policy};
use super::waiting::{self, Place};
use crate::host::{AccountCache, Invalidation, Read, ServerState, SharedState};
use crate::jid::{BareJid, Jid};
use crate::storage::{self, Storage};

/// An account that does not let all strangers through.
#[derive(Debug, Default)]
pub struct Guarded {
    /// What it does with strangers.
    pub policy: Policy,
    /// Bare addresses to which the user has written: they are no strangers.
    pub known: FxHashSet<Jid>,
    /// What waits for the user.
    pub waiting: Vec<Place>,
    /// Bare addresses of which the archive says that the user never wrote to them. At most 256.
    unknown: Mutex<FxHashSet<Jid>>,
}

impl Guarded {
    /// Whether the archive was asked, and the user never wrote to this bare address.
    #[must_use]
    pub fn is_unknown(&self, bare: &str) -> bool {
        self.unknown.lock().contains(bare)
    }

    /// The user never wrote to this bare address. If the user does now, this value is forgotten.
    pub fn note_unknown(&self, bare: BareJid) {
        let mut unknown = self.unknown.lock();
        if unknown.len() >= MAX_UNKNOWN {
            unknown.clear();
        }
        unknown.insert(bare.into());
    }
}

/// A cache of what accounts do with strangers; `None`: all are let through. The feature registers it.
#[derive(Debug)]
pub struct Strangers {
    cache: AccountCache<Option<Arc<Guarded>>>,
    locks: Locks,
}

impl Default for Strangers {
    fn default() -> Self {
        Self { cache: AccountCache::new(CACHE_BYTES), locks: Locks::default() }
    }
}

impl SharedState for Strangers {
    fn invalidate(&self, what: &Invalidation) {
        if let Invalidation::Account(user) | Invalidation::Strangers(user) = what {
            self.cache.forget(user);
        }
    }
}

/// What an account does with strangers; from memory, if it was used lately. `None`: it lets all through.
///
/// # Errors
/// If the store fails. Then nobody knows whether the sender is welcome, and the stanza must not be delivered.
///
/// # Panics
/// If no feature has registered [`Strangers`].
pub async fn of(server: &ServerState, user: &BareJid) -> storage::Result<Option<Arc<Guarded>>> {
    server.shared::<Strangers>().cache.get_or_read(user, read(&*server.storage, user)).await
}

/// Locks what waits for an account; see `lock.rs`.
///
/// # Panics
/// If no feature has registered [`Strangers`].
pub async fn lock<'a>(server: &'a ServerState, user: &BareJid) -> MutexGuard<'a, ()> {
    server.shared::<Strangers>().locks.lock(user).await
}

async fn read(
    storage: &dyn Storage,
    user: &BareJid,
) -> storage::Result<Read<Option<Arc<Guarded>>>> {
    let policy = policy(storage, user).await?;
    if policy == Policy::default() {
        return Ok(Read { value: None, bytes: Some(0) });
    }
    let waiting = waiting::all(storage, user).await?;
    let waiting: Vec<Place> = waiting.into_iter().map(|waiting| waiting.place).collect();
    let written = storage.documents().all(user, KNOWN).await?;
    let known: FxHashSet<Jid> =
        written.iter().filter_map(|(jid, _)| Jid::parse(jid).ok()).collect();
    let jids = known.iter().chain(waiting.iter().map(|place| &place.from));
    let bytes = jids.map(|jid| jid.as_str().len() + size_of::<Place>() * 2).sum::<usize>();
    let guarded = Guarded { policy, known, waiting, unknown: Mutex::default() };
    Ok(Read { value: Some(Arc::new(guarded)), bytes: Some(bytes + size_of::<Guarded>()) })
}

/// What is stored of what an account does with strangers.
///
/// # Errors
/// If the store fails.
pub async fn policy(storage: &dyn Storage, user: &BareJid) -> storage::Result<Policy> {
    let Some(xml) = storage.documents().get(user, POLICY, "").await? else {
        return Ok(Policy::default());
    };
    Ok(Policy::read(xml).unwrap_or_else(|| {
        tracing::error!(jid = %user, "stored choices about strangers are damaged: all are refused");
        Policy::all(Choice::Refuse)
    }))
}

/// Stores what an account does with strangers. The caller tells the caches.
///
/// # Errors
/// If the store fails.
pub async fn set_policy(
    storage: &dyn Storage,
    user: &BareJid,
    policy: Policy,
) -> storage::Result<()> {
    if policy == Policy::default() {
        return storage.documents().remove(user, POLICY, "").await.map(drop);
    }
    storage.documents().put(user, POLICY, "", &policy.to_node().to_xml()).await
}

/// The user has written to this bare address: it is no stranger any more. Of too many, the one that was
/// remembered first is forgotten.
///
/// # Errors
/// If the store fails.
pub async fn remember(
    server: &ServerState,
    user: &BareJid,
    other: &BareJid,
) -> storage::Result<()> {
    let documents = server.storage.documents();
    let known = documents.all(user, KNOWN).await?;
    if known.len() >= MAX_KNOWN
        && let Some((oldest, _)) = known.iter().min_by(|a, b| a.1.cmp(&b.1))
    {
        documents.remove(user, KNOWN, oldest).await?;
    }
    let since = format!("{:020}", server.clock.now().as_micros());
    let done = documents.put(user, KNOWN, other.as_str(), &since).await;
    server.invalidate(&Invalidation::Strangers(user.clone()));
    done
}

/// The kind of the document with the choices; its key is empty.
const POLICY: &str = "strangers";
/// The kind of the documents of addresses to which the user has written: the time, by bare address.
const KNOWN: &str = "strangers-known";
/// Addresses that are remembered for an account.
const MAX_KNOWN: usize = 1000;
/// Strangers of an account of which it is remembered that the archive does not know them.
const MAX_UNKNOWN: usize = 256;
/// Bytes held in memory.
const CACHE_BYTES: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::{Guarded, MAX_UNKNOWN};
    use crate::jid::BareJid;

    #[test]
    fn strangers_that_are_remembered_have_a_bound() {
        let guarded = Guarded::default();
        let name = |n: usize| BareJid::parse(&format!("s{n}@a.example")).unwrap();
        for n in 0..MAX_UNKNOWN {
            guarded.note_unknown(name(n));
        }
        assert!(guarded.is_unknown("s0@a.example"));
        guarded.note_unknown(name(MAX_UNKNOWN));
        assert!(guarded.unknown.lock().len() <= MAX_UNKNOWN);
        assert!(guarded.is_unknown(name(MAX_UNKNOWN).as_str()));
    }
}
