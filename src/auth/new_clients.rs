//! Who is told of a client that logs in to an account for the first time.

use async_trait::async_trait;

use crate::jid::BareJid;
use crate::storage::DeviceLogin;

/// Is told of clients that are new to an account that had others before.
#[async_trait]
pub trait NewClients: Send + Sync {
    /// Called when the login was written. The task that has noted it waits for this.
    async fn added(&self, user: &BareJid, login: &DeviceLogin);
}
