//! The accounts with the role of an administrator, in memory: each login asks whether the account may run
//! commands.

use arc_swap::ArcSwap;
use rustc_hash::FxHashSet;

use crate::jid::BareJid;
use crate::storage::{Result, Storage};

/// The accounts with the role. Read from the store at the start, and whenever the role of an account
/// changes.
#[derive(Debug, Default)]
pub struct Admins(ArcSwap<FxHashSet<BareJid>>);

impl Admins {
    /// Reads them from the store.
    ///
    /// # Errors
    /// If the store fails: then nothing changes.
    pub async fn load(&self, storage: &dyn Storage) -> Result<()> {
        let admins = storage.accounts().admins().await?;
        self.0.store(admins.into_iter().collect::<FxHashSet<_>>().into());
        Ok(())
    }

    /// Whether the account has the role.
    #[must_use]
    pub fn contains(&self, bare: &str) -> bool {
        let admins = self.0.load();
        !admins.is_empty() && admins.iter().any(|admin| admin.as_str() == bare)
    }

    /// The account was removed. A new account of the same name is not an administrator.
    pub(super) fn forget(&self, user: &BareJid) {
        if self.contains(user.as_str()) {
            self.0.rcu(|admins| {
                let mut admins = FxHashSet::clone(admins);
                admins.remove(user);
                admins
            });
        }
    }
}
