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

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::Router;
    use crate::host::Parts;
    use crate::jid::BareJid;
    use crate::modules;
    use crate::storage::NewAccount;

    #[tokio::test]
    async fn an_account_is_not_removed_while_a_token_of_it_is_stored() {
        let parts = Parts::for_tests(&["a.example"]);
        let registry = modules::registry(&parts.config);
        let router = Router::new(parts, registry).unwrap();
        let user = BareJid::parse("romeo@a.example").unwrap();
        let created = router.server.clock.now();
        let new = NewAccount { user: user.clone(), keys: Vec::new(), created, admin: false };
        router.server.storage.accounts().create(&[new]).await.unwrap();
        let turn = router.server.sessions.revocations().turn(&user).await;
        let mut removal = Box::pin(router.remove_account(&user));
        assert!(removal.as_mut().now_or_never().is_none());
        assert!(router.server.storage.accounts().find(&user).await.unwrap().is_some());
        drop(turn);
        assert_eq!(removal.await.unwrap(), Some(0));
        assert!(router.server.storage.accounts().find(&user).await.unwrap().is_none());
    }
}
