//! Values that are held in memory and have changed in the store.
//!
//! Every change of what [`ServerState`] holds of the store passes [`ServerState::invalidate`], in the node that made
//! it. So there is one place from which other nodes on the same database can be told, and one that they
//! call when they hear of it: an [`Invalidation`] is a value that can be sent.

use super::ServerState;
use crate::jid::BareJid;

/// What has changed in the store.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Invalidation {
    /// An account was made or removed: everything that is held of this address.
    Account(BareJid),
    /// Whose messages an account wants in its archive (XEP-0441).
    ArchivePreferences(BareJid),
    /// Whom an account has blocked (XEP-0191).
    BlockList(BareJid),
}

impl ServerState {
    /// Forgets what is held in memory of something that has changed. To be called when the store has the
    /// new value; a value that is being read meanwhile is not held either (`host/cache.rs`).
    pub fn invalidate(&self, what: &Invalidation) {
        match what {
            Invalidation::Account(user) => {
                self.blocked.forget(user);
                self.known.forget(user);
                self.admins.forget(user);
            }
            Invalidation::ArchivePreferences(_) => {}
            Invalidation::BlockList(user) => self.blocked.forget(user),
        }
        self.registry.shared_states().invalidate(what);
    }
}
