//! The accounts with the role of an administrator, in memory: most clients ask at login what the server can
//! do, and that is more for an administrator.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use rustc_hash::FxHashSet;

use crate::jid::BareJid;
use crate::storage::{Result, Storage};

/// The accounts with the role. Read from the store at the first question, and again after a change.
#[derive(Debug, Default)]
pub struct Admins {
    held: ArcSwapOption<Held>,
    /// How many changes there were. What was read before the last one is out of date.
    changes: AtomicU64,
}

#[derive(Debug)]
struct Held {
    accounts: FxHashSet<BareJid>,
    /// How many changes there were when the reading began.
    changes: u64,
}

impl Admins {
    /// Whether the account has the role.
    ///
    /// # Errors
    /// If the store fails, and the accounts are not in memory.
    pub async fn contains(&self, storage: &dyn Storage, bare: &str) -> Result<bool> {
        let changes = self.changes.load(Ordering::SeqCst);
        if let Some(held) = &*self.held.load()
            && held.changes == changes
        {
            return Ok(held.contains(bare));
        }
        let accounts = storage.accounts().admins().await?.into_iter().collect();
        let held = Arc::new(Held { accounts, changes });
        self.held.store(Some(Arc::clone(&held)));
        Ok(held.contains(bare))
    }

    /// Forgets the roles, because the role of an account has changed.
    pub(super) fn forget(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }

    /// Called when the account was removed or made: a new account of the same name is no administrator. Most accounts
    /// never were one, and for these nothing is read again.
    pub(super) fn forget_if_known(&self, user: &BareJid) {
        if self.held.load().as_ref().is_none_or(|held| held.contains(user.as_str())) {
            self.forget();
        }
    }
}

impl Held {
    fn contains(&self, bare: &str) -> bool {
        !self.accounts.is_empty() && self.accounts.iter().any(|admin| admin.as_str() == bare)
    }
}

#[cfg(test)]
mod tests {
    use super::Admins;
    use crate::jid::BareJid;
    use crate::payload::datetime::Timestamp;
    use crate::storage::{MemoryStorage, NewAccount, Storage};

    fn user(name: &str) -> BareJid {
        BareJid::from_parts(Some(name), "montague.lit").unwrap()
    }

    async fn add(storage: &dyn Storage, name: &str, admin: bool) {
        let created = Timestamp::from_micros(0);
        let account = NewAccount { user: user(name), keys: Vec::new(), created, admin };
        storage.accounts().create(&[account]).await.unwrap();
    }

    #[tokio::test]
    async fn a_changed_role_is_read_again_when_the_change_is_told() {
        let storage = MemoryStorage::new();
        let admins = Admins::default();
        let is_admin =
            async |name: &str| admins.contains(&*storage, user(name).as_str()).await.unwrap();
        add(&*storage, "romeo", true).await;
        add(&*storage, "juliet", false).await;
        assert!(is_admin("romeo").await && !is_admin("juliet").await);
        storage.accounts().set_admin(&user("juliet"), true).await.unwrap();
        assert!(!is_admin("juliet").await, "it is not read again for each question");
        admins.forget();
        assert!(is_admin("juliet").await && is_admin("romeo").await);
    }

    #[tokio::test]
    async fn a_removed_administrator_is_none() {
        let storage = MemoryStorage::new();
        let admins = Admins::default();
        add(&*storage, "romeo", true).await;
        assert!(admins.contains(&*storage, user("romeo").as_str()).await.unwrap());
        storage.accounts().remove(&user("romeo")).await.unwrap();
        admins.forget_if_known(&user("juliet"));
        assert!(admins.contains(&*storage, user("romeo").as_str()).await.unwrap());
        admins.forget_if_known(&user("romeo"));
        assert!(!admins.contains(&*storage, user("romeo").as_str()).await.unwrap());
    }
}
