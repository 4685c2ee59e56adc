//! What is held in memory of what accounts do with strangers.

use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashSet;
use tokio::sync::MutexGuard;

use super::lock::Locks;
use super::policy::{Choice, Policy};
use super::waiting::{self, Place};
use super::written_to::WrittenTo;
use crate::host::{AccountCache, Invalidation, Read, ServerState, SharedState};
use crate::jid::{BareJid, Jid};
use crate::payload::datetime::Timestamp;
use crate::storage::{self, Storage};

/// An account that does not let all strangers through.
#[derive(Debug, Default)]
pub struct Guarded {
    /// What it does with strangers.
    pub policy: Policy,
    /// Bare addresses to which the user has written: they are no strangers.
    pub known: Arc<WrittenTo>,
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

/// A cache of what accounts do with strangers. The feature registers it.
#[derive(Debug)]
pub struct Strangers {
    cache: AccountCache<Held>,
    locks: Locks,
}

/// What is held of an account. `known` is shared with `guarded`.
#[derive(Clone, Debug)]
struct Held {
    /// The policy for users who have not chosen, when this was read.
    default: Policy,
    /// Whom the user has written to.
    known: Arc<WrittenTo>,
    /// `None`: all are let through, and nothing waits.
    guarded: Option<Arc<Guarded>>,
}

impl Default for Strangers {
    fn default() -> Self {
        Self { cache: AccountCache::new(CACHE_BYTES), locks: Locks::default() }
    }
}

impl SharedState for Strangers {
    fn invalidate(&self, what: &Invalidation) {
        match what {
            Invalidation::Account(user) | Invalidation::Strangers(user) => self.cache.forget(user),
            Invalidation::WrittenTo { user, other, at } => {
                let held = self.cache.at_hand(user);
                if !held.is_some_and(|held| held.known.add(other, *at)) {
                    // It may be read at this moment, or has grown.
                    self.cache.forget(user);
                }
            }
            _ => {}
        }
    }
}

/// What an account does with strangers; from memory, if it was used lately. `None`: it lets all through, and nothing
/// waits for it.
///
/// # Errors
/// If the store fails. Then nobody knows whether the sender is welcome, and the stanza must not be delivered.
///
/// # Panics
/// If no feature has registered [`Strangers`].
pub async fn of(server: &ServerState, user: &BareJid) -> storage::Result<Option<Arc<Guarded>>> {
    Ok(held(server, user).await?.guarded)
}

/// The addresses to which a user has written; from memory, if they were used lately.
///
/// # Errors
/// If the store fails.
///
/// # Panics
/// If no feature has registered [`Strangers`].
pub async fn written_to(server: &ServerState, user: &BareJid) -> storage::Result<Arc<WrittenTo>> {
    Ok(held(server, user).await?.known)
}

async fn held(server: &ServerState, user: &BareJid) -> storage::Result<Held> {
    let default = Policy::from(&server.config.load().strangers);
    let cache = &server.shared::<Strangers>().cache;
    match cache.at_hand(user) {
        Some(held) if held.default == default => Ok(held),
        // Rare, and large: each message that is handled would have room for it.
        _ => Box::pin(from_store(server, user, default)).await,
    }
}

async fn from_store(
    server: &ServerState,
    user: &BareJid,
    default: Policy,
) -> storage::Result<Held> {
    let cache = &server.shared::<Strangers>().cache;
    let held = cache.get_or_read(user, read(&*server.storage, user, default)).await?;
    if held.default == default {
        return Ok(held);
    }
    // The configuration was changed since it was read.
    cache.forget(user);
    cache.get_or_read(user, read(&*server.storage, user, default)).await
}

/// Locks what waits for an account; see `lock.rs`.
///
/// # Panics
/// If no feature has registered [`Strangers`].
pub async fn lock<'a>(server: &'a ServerState, user: &BareJid) -> MutexGuard<'a, ()> {
    server.shared::<Strangers>().locks.lock(user).await
}

/// Forgets all that waits of the senders that are meant: the user has blocked them.
///
/// # Errors
/// If the store fails.
pub async fn forget_of(
    server: &ServerState,
    user: &BareJid,
    is_meant: impl Fn(&Jid) -> bool,
) -> storage::Result<()> {
    let guarded = of(server, user).await?;
    if !guarded.is_some_and(|guarded| guarded.waiting.iter().any(|place| is_meant(&place.from))) {
        return Ok(());
    }
    let _lock = lock(server, user).await;
    for waiting in waiting::all(&*server.storage, user).await? {
        if is_meant(&waiting.place.from) {
            waiting::remove(server, user, &waiting.key).await?;
        }
    }
    Ok(())
}

async fn read(
    storage: &dyn Storage,
    user: &BareJid,
    default: Policy,
) -> storage::Result<Read<Held>> {
    let policy = policy(storage, user).await?.unwrap_or(default);
    let waiting = waiting::all(storage, user).await?;
    let known = Arc::new(WrittenTo::read(&storage.documents().all(user, KNOWN).await?));
    let mut bytes = known.bytes();
    let mut guarded = None;
    if policy != Policy::default() || !waiting.is_empty() {
        let waiting: Vec<Place> = waiting.into_iter().map(|waiting| waiting.place).collect();
        let size = |place: &Place| place.from.as_str().len() + size_of::<Place>() * 2;
        bytes += waiting.iter().map(size).sum::<usize>() + size_of::<Guarded>();
        let known = Arc::clone(&known);
        guarded = Some(Arc::new(Guarded { policy, known, waiting, unknown: Mutex::default() }));
    }
    Ok(Read { value: Held { default, known, guarded }, bytes: Some(bytes) })
}

/// What the user has chosen. `None`: nothing, so the account does what the operator chose.
///
/// # Errors
/// If the store fails.
pub async fn policy(storage: &dyn Storage, user: &BareJid) -> storage::Result<Option<Policy>> {
    let Some(xml) = storage.documents().get(user, POLICY, "").await? else { return Ok(None) };
    Ok(Some(Policy::read(xml).unwrap_or_else(|| {
        tracing::error!(jid = %user, "stored choices about strangers are damaged: all are refused");
        Policy::all(Choice::Refuse)
    })))
}

/// Stores what an account does with strangers. `None`: what the operator chose. The caller tells the caches.
///
/// # Errors
/// If the store fails.
pub async fn set_policy(
    storage: &dyn Storage,
    user: &BareJid,
    policy: Option<Policy>,
) -> storage::Result<()> {
    match policy {
        Some(policy) => storage.documents().put(user, POLICY, "", &policy.to_node().to_xml()).await,
        None => storage.documents().remove(user, POLICY, "").await.map(drop),
    }
}

/// Notes that the user has written to this bare address, which is therefore no stranger. If there are too many such
/// addresses, the one that was not used for longest is forgotten.
///
/// # Errors
/// If the store fails.
pub async fn remember(
    server: &ServerState,
    user: &BareJid,
    other: &BareJid,
) -> storage::Result<()> {
    let goes = written_to(server, user).await?.goes_for(other.as_str());
    let at = server.clock.now();
    store(&*server.storage, user, other, at, goes).await?;
    server.invalidate(&Invalidation::WrittenTo { user: user.clone(), other: other.clone(), at });
    Ok(())
}

/// The same, for a user who accepts everybody: nothing waits for the store. It holds at once.
pub fn remember_later(server: &ServerState, user: &BareJid, known: &WrittenTo, other: &BareJid) {
    let (goes, at) = (known.goes_for(other.as_str()), server.clock.now());
    let (user, other) = (user.clone(), other.clone());
    server.invalidate(&Invalidation::WrittenTo { user: user.clone(), other: other.clone(), at });
    let storage = Arc::clone(&server.storage);
    let work = async move {
        if let Err(error) = store(&*storage, &user, &other, at, goes).await {
            tracing::warn!(jid = %user, %error, "cannot store to whom a user has written");
        }
    };
    drop(server.tasks.spawn("strangers", work));
}

async fn store(
    storage: &dyn Storage,
    user: &BareJid,
    other: &BareJid,
    at: Timestamp,
    goes: Option<Jid>,
) -> storage::Result<()> {
    if let Some(goes) = goes {
        storage.documents().remove(user, KNOWN, goes.as_str()).await?;
    }
    storage.documents().put(user, KNOWN, other.as_str(), &WrittenTo::text(at)).await
}

/// The kind of the document with the choices; its key is empty.
const POLICY: &str = "strangers";
/// The kind of the documents of addresses to which the user has written: the time, by bare address.
const KNOWN: &str = "strangers-known";
/// Strangers of an account of which it is remembered that the archive does not know them.
const MAX_UNKNOWN: usize = 256;
/// Bytes held in memory.
const CACHE_BYTES: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Guarded, MAX_UNKNOWN, Strangers, of, set_policy};
    use crate::config::Config;
    use crate::host::strangers::{Approach, Choice, Policy};
    use crate::host::{Invalidation, Parts, ServerState, SharedStates};
    use crate::jid::BareJid;

    /// Also when the configuration is reloaded while the old value is at hand.
    #[tokio::test]
    async fn what_the_operator_chose_holds_until_the_user_chooses() {
        let mut shared = SharedStates::default();
        shared.add(Strangers::default());
        let server = ServerState::new(Parts::for_tests(&["a.example"]), &[], shared).unwrap();
        let user = BareJid::parse("juliet@a.example").unwrap();
        let reload = |text: &str| {
            let text = format!("[[host]]\ndomain = 'a.example'\n[strangers]\n{text}");
            server.config.store(Arc::new(Config::parse(&text, "the test").unwrap()));
        };
        let choices = async || {
            let guarded = of(&server, &user).await.unwrap();
            guarded.map(|guarded| Approach::ALL.map(|approach| guarded.policy.on(approach)))
        };
        let choose = async |policy| {
            set_policy(&*server.storage, &user, policy).await.unwrap();
            server.invalidate(&Invalidation::Strangers(user.clone()));
        };
        let (allow, wait, refuse) = (Choice::Allow, Choice::Wait, Choice::Refuse);
        assert_eq!(choices().await, None);
        reload("messages = 'refuse'\ncalls = 'wait'");
        assert_eq!(choices().await, Some([refuse, allow, wait, allow]));
        choose(Some(Policy::default())).await;
        assert_eq!(choices().await, None);
        choose(Some(Policy::all(wait))).await;
        assert_eq!(choices().await, Some([wait; 4]));
        reload("messages = 'refuse'");
        assert_eq!(choices().await, Some([wait; 4]));
        choose(None).await;
        assert_eq!(choices().await, Some([refuse, allow, allow, allow]));
        reload("");
        assert_eq!(choices().await, None);
    }

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
