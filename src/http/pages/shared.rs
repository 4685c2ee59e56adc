//! What all pages work with.

use std::sync::Arc;

use tokio::sync::OnceCell;

use super::account::Sessions;
use super::form::FormKey;
use super::layout::{self, Instead};
use super::sent::Sent;
use crate::auth::Verifier;
use crate::host::ServerState;
use crate::router::Router;

/// What the pages work with.
pub(super) struct Pages {
    pub(super) server: Arc<ServerState>,
    pub(super) router: Arc<Router>,
    pub(super) verifier: Arc<Verifier>,
    pub(super) sessions: Sessions,
    pub(super) sent: Sent,
    key: OnceCell<FormKey>,
}

impl Pages {
    pub(super) fn new(router: &Arc<Router>, verifier: &Arc<Verifier>) -> Self {
        Self {
            server: Arc::clone(&router.server),
            router: Arc::clone(router),
            verifier: Arc::clone(verifier),
            sessions: Sessions::default(),
            sent: Sent::default(),
            key: OnceCell::new(),
        }
    }

    /// The key with which forms are signed.
    ///
    /// # Errors
    /// The page for an error of the store.
    pub(super) async fn key(&self) -> Result<&FormKey, Instead> {
        let read = async {
            let secret = self.server.storage.accounts().secret().await?;
            Ok::<_, crate::storage::StorageError>(FormKey::of_secret(&secret))
        };
        self.key.get_or_try_init(|| read).await.map_err(|error| Box::new(layout::failed(&error)))
    }

    /// The domain of ours that a browser has asked for; else the first one.
    pub(super) fn domain(&self, asked: &str) -> String {
        let domains = || self.server.hosts().iter().map(|host| host.domain.as_str());
        let is_asked = |domain: &&str| {
            let ascii = idna::domain_to_ascii(domain);
            domain.eq_ignore_ascii_case(asked) || ascii.is_ok_and(|ascii| ascii == asked)
        };
        domains().find(is_asked).or_else(|| domains().next()).unwrap_or_default().to_owned()
    }
}
