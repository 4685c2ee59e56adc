//! Logins that must not get a session, because access was revoked while they ran: for an account (a new password, a
//! removal) or for one client (XEP-0494).
//!
//! Access is taken away in this order: it is recorded here; tokens are removed, in the account's turn; sessions are
//! closed. A login reads the count when it begins, and asks when it has its session in the table, and when it gets a
//! token. So either the login sees the record, or its session and its token are found.

use std::hash::{BuildHasher as _, BuildHasherDefault};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustc_hash::FxHasher;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::jid::BareJid;

/// The logins that were revoked lately, and the turns in which tokens are changed. One per server.
#[derive(Debug)]
pub struct Revocations {
    /// How many there were since the start.
    count: AtomicU64,
    last: parking_lot::Mutex<Vec<Revocation>>,
    /// Locks for the tokens of accounts, each for many accounts.
    turns: [Mutex<()>; TURNS],
}

#[derive(Debug)]
struct Revocation {
    user: BareJid,
    /// The client whose access was revoked; `None`: all clients of the account.
    client: Option<String>,
    /// The count with this one.
    count: u64,
    at: Instant,
}

impl Default for Revocations {
    fn default() -> Self {
        Self {
            count: AtomicU64::new(0),
            last: parking_lot::Mutex::default(),
            turns: std::array::from_fn(|_| Mutex::default()),
        }
    }
}

impl Revocations {
    /// Records that logins of an account that have begun give no session: those of one client, or all.
    pub fn record(&self, user: &BareJid, client: Option<&str>) {
        let now = Instant::now();
        let mut last = self.last.lock();
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        // Those of single clients stay when all logins are revoked: they say more (`is_client_revoked`).
        let is_same = |old: &Revocation| old.user == *user && old.client.as_deref() == client;
        last.retain(|old| !is_same(old) && now.duration_since(old.at) < LONGEST_LOGIN);
        let client = client.map(str::to_owned);
        last.push(Revocation { user: user.clone(), client, count, at: now });
    }

    /// How often logins were revoked until now. A login keeps this from its beginning.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether a login was revoked that began when there were so many revocations. `client`: the id of its
    /// installation, if it has one.
    #[must_use]
    pub fn is_revoked(&self, user: &BareJid, client: Option<&str>, count: u64) -> bool {
        self.last.lock().iter().any(|revoked| {
            let is_meant = revoked.client.as_deref().is_none_or(|id| is_same_client(id, client));
            revoked.count > count && revoked.user == *user && is_meant
        })
    }

    /// The same for revocations of this client alone.
    pub(super) fn is_client_revoked(&self, user: &BareJid, client: &str, count: u64) -> bool {
        self.last.lock().iter().any(|revoked| {
            let is_meant =
                revoked.client.as_deref().is_some_and(|id| is_same_client(id, Some(client)));
            revoked.count > count && revoked.user == *user && is_meant
        })
    }

    /// Tokens of an account are changed, and the account is removed, by one task at a time. Whoever has the turn waits for
    /// nothing but the store.
    pub async fn turn(&self, user: &BareJid) -> MutexGuard<'_, ()> {
        let hash = BuildHasherDefault::<FxHasher>::default().hash_one(user);
        self.turns[hash as usize % TURNS].lock().await
    }
}

/// Whether a client is the one that was revoked: it has its id, or its certificate (see [`super::certificate_client`]).
#[must_use]
pub fn is_same_client(revoked: &str, client: Option<&str>) -> bool {
    client.and_then(|id| id.strip_prefix(revoked)).is_some_and(|rest| {
        let is_by_certificate = rest.starts_with('/');
        rest.is_empty() || is_by_certificate
    })
}

/// No login takes longer: `limits.negotiation` is at most an hour.
const LONGEST_LOGIN: Duration = Duration::from_secs(60 * 60);
const TURNS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_login_is_revoked_by_what_came_after_its_beginning() {
        let user = |user| BareJid::parse(user).unwrap();
        let (romeo, juliet) = (user("romeo@localhost"), user("juliet@localhost"));
        let all = Revocations::default();
        all.record(&romeo, Some("desk"));
        let desk = all.count();
        all.record(&romeo, Some("certificate/ab"));
        for (user, client, count, expected) in [
            (&romeo, Some("desk"), 0, true),
            (&romeo, Some("desk"), desk, false),
            (&romeo, Some("desktop"), 0, false),
            (&romeo, Some("phone"), 0, false),
            (&romeo, None, 0, false),
            (&juliet, Some("desk"), 0, false),
            (&romeo, Some("certificate/ab"), desk, true),
            (&romeo, Some("certificate/ab/phone"), desk, true),
            (&romeo, Some("certificate/abc"), desk, false),
        ] {
            assert_eq!(all.is_revoked(user, client, count), expected, "{client:?} {count}");
        }
        let before = all.count();
        all.record(&romeo, None);
        for client in [Some("desk"), Some("phone"), None] {
            assert!(all.is_revoked(&romeo, client, before), "{client:?}");
            assert!(!all.is_revoked(&romeo, client, all.count()), "{client:?}");
            assert!(!all.is_revoked(&juliet, client, 0), "{client:?}");
        }
        assert!(all.is_client_revoked(&romeo, "desk", 0), "that one alone was revoked, too");
        assert!(!all.is_client_revoked(&romeo, "phone", 0));
        all.record(&romeo, None);
        assert_eq!(all.last.lock().len(), 3, "of the same one only the last");
        tokio::time::advance(LONGEST_LOGIN).await;
        all.record(&juliet, None);
        assert_eq!(all.last.lock().len(), 1, "no login is so old");
    }
}
