//! The running server, as commands use it.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::SessionRow;
use crate::host::rooms::RoomAdministration;
use crate::host::{Client, RemoteServers};
use crate::jid::{BareJid, Jid};
use crate::storage::StorageError;

/// The running server, as commands use it. There is none if a command works on the data directory of a
/// stopped server.
#[async_trait]
pub trait ServerControl: Send + Sync {
    /// The sessions.
    fn sessions(&self) -> Vec<SessionRow>;
    /// The external components, each with its connections.
    fn components(&self) -> Vec<ComponentRow> {
        Vec::new()
    }
    /// Whether this server serves the domain, as a host or as a service.
    fn is_ours(&self, _domain: &str) -> bool {
        false
    }
    /// Stores an external component, as a section `[[component]]` of the configuration, or removes one that was stored
    /// (`None`). It is applied at once. `false` if there was none to remove.
    ///
    /// # Errors
    /// If the store fails.
    async fn set_component(
        &self,
        _domain: &str,
        _section: Option<&str>,
    ) -> Result<bool, StorageError> {
        Ok(false)
    }
    /// Ends the session of a full JID, or all sessions of a bare JID. Returns how many.
    async fn close(&self, jid: &Jid, reason: Option<&str>) -> usize;
    /// Takes away the access of a client (XEP-0494), forgets it, and closes its sessions. Returns how many.
    ///
    /// # Errors
    /// If the store fails: then no session was closed.
    async fn revoke_client(
        &self,
        user: &BareJid,
        client: &Client,
        reason: &str,
    ) -> Result<usize, StorageError>;
    /// Removes an account with all its data, tells its contacts (RFC 6121 §2.5.2), and closes its
    /// sessions. Returns how many; `None` if there is no such account.
    ///
    /// # Errors
    /// If the store fails: then nothing has changed.
    async fn remove_account(&self, user: &BareJid) -> Result<Option<usize>, StorageError>;
    /// The role of an account was changed in the store.
    fn admins_changed(&self);
    /// The push services of an account, or what they are told, were changed in the store.
    fn push_changed(&self, user: &BareJid);
    /// Call it when what an account does with strangers was changed in the store.
    fn strangers_changed(&self, user: &BareJid);
    /// The rooms of group chats; `None` if there is no service for them.
    fn rooms(&self) -> Option<Arc<dyn RoomAdministration>>;
    /// What talks to other servers; `None` if there are none to talk to.
    fn remote_servers(&self) -> Option<Arc<dyn RemoteServers>>;
    /// The state of the server: names and values, in the order in which they are shown.
    fn status(&self) -> Vec<(&'static str, Value)>;
}

/// A connection of an external component, or a component that is not connected, as an administrator sees it.
#[derive(Clone, Debug, Default)]
pub struct ComponentRow {
    /// Its configured domain.
    pub domain: String,
    /// Where it is; `None` if it is not connected.
    pub peer: Option<String>,
    /// Seconds since it has connected.
    pub seconds: Option<u64>,
    /// How many stanzas wait for it.
    pub waiting: usize,
}
