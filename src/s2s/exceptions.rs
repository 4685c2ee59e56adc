//! Domains that an administrator has allowed or denied by a command (`s2s allow`, `s2s deny`). They are stored, and count
//! more than the lists of the configuration.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::host::{RemoteRule, ServerState};
use crate::jid::BareJid;
use crate::storage;

/// The patterns that were allowed or denied. They are in memory, because each stanza asks for them.
#[derive(Default)]
pub(super) struct Exceptions(ArcSwap<Vec<RemoteRule>>);

impl Exceptions {
    /// All of them, sorted.
    pub(super) fn all(&self) -> Arc<Vec<RemoteRule>> {
        self.0.load_full()
    }

    /// Reads them from the store.
    ///
    /// # Errors
    /// If the store fails. Then they stay as they were.
    pub(super) async fn read(&self, server: &ServerState) -> storage::Result<()> {
        let Some(owner) = owner(server) else { return Ok(()) };
        let found = server.storage.documents().all(&owner, KIND).await?.into_iter();
        let all = found.map(|(pattern, xml)| RemoteRule { pattern, is_allowed: xml == ALLOWED });
        self.0.store(Arc::new(all.collect()));
        Ok(())
    }

    /// Allows or denies a pattern, or takes that back (`None`). `false` if there was nothing to take back.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) async fn set(
        &self,
        server: &ServerState,
        pattern: &str,
        is_allowed: Option<bool>,
    ) -> storage::Result<bool> {
        let Some(owner) = owner(server) else { return Ok(false) };
        let documents = server.storage.documents();
        let done = match is_allowed {
            Some(is_allowed) => {
                let word = if is_allowed { ALLOWED } else { DENIED };
                documents.put(&owner, KIND, pattern, word).await.map(|()| true)
            }
            None => documents.remove(&owner, KIND, pattern).await,
        };
        self.read(server).await?;
        done
    }
}

/// They are stored for the first host, and apply to all.
fn owner(server: &ServerState) -> Option<BareJid> {
    server.hosts().first().map(|host| host.jid.to_bare())
}

const KIND: &str = "s2s";
const ALLOWED: &str = "<allow/>";
const DENIED: &str = "<deny/>";
