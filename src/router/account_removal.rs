//! The removal of an account by the administrator. A client that cancels its own registration
//! (XEP-0077 §3.2) comes by `modules/register.rs`; both do the same.

use super::internal::Internal;
use super::route::Router;
use crate::host;
use crate::jid::BareJid;
use crate::storage;

impl Router {
    /// Removes an account, see [`host::remove_account`]. Answers how many sessions were closed; `None` if
    /// there is no such account.
    ///
    /// # Errors
    /// If the store fails: then nothing has changed.
    pub async fn remove_account(&self, user: &BareJid) -> storage::Result<Option<usize>> {
        let Some(mut work) = Internal::for_domain(self, user.domain()) else { return Ok(None) };
        let closed = host::remove_account(&mut work.cx(), user).await;
        work.finish().await;
        closed
    }
}
