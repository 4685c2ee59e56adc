//! The limit on how many keys are derived from passwords at the same time: one limit for logins, new
//! passwords, registration, commands and imports.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use tokio::sync::Semaphore;

use super::{PasswordError, derive_keys};
use crate::config::AuthConfig;
use crate::storage::ScramKeys;

/// Derives keys on threads of their own, at most `auth.derivations` at once; others wait in order.
/// Cheap to clone: clones share the limit. One per server.
#[derive(Clone, Debug)]
pub struct Derivations {
    permits: Arc<Semaphore>,
    limit: usize,
}

impl Derivations {
    /// With the limit of the configuration.
    #[must_use]
    pub fn new(config: &AuthConfig) -> Self {
        let limit = config.derivations.clamp(1, Semaphore::MAX_PERMITS);
        Self { permits: Arc::new(Semaphore::new(limit)), limit }
    }

    /// Derives the keys of a new password.
    ///
    /// # Errors
    /// As [`derive_keys`]; [`PasswordError::Unfinished`] if the process ends in the meantime.
    pub async fn keys(
        &self,
        password: &str,
        iterations: u32,
    ) -> Result<Vec<ScramKeys>, PasswordError> {
        let password = password.to_owned();
        let derived = self.run(move || derive_keys(&password, iterations)).await;
        derived.unwrap_or(Err(PasswordError::Unfinished))
    }

    /// Derives the keys of many passwords, in their order. Each password waits for its own turn, so logins
    /// wait no longer than for a single one.
    pub async fn keys_of_many(
        &self,
        passwords: Vec<String>,
        iterations: u32,
    ) -> Vec<Result<Vec<ScramKeys>, PasswordError>> {
        let derived = passwords.into_iter().map(|password| {
            let this = self.clone();
            async move { this.keys(&password, iterations).await }
        });
        stream::iter(derived).buffered(self.limit).collect().await
    }

    /// Runs one derivation on a blocking thread. `None` if it panicked or the process ends.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        derive: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        let work = move || {
            // The permit is held to the end, even if the connection is lost in the meantime.
            let _permit = permit;
            derive()
        };
        tokio::task::spawn_blocking(work)
            .await
            .inspect_err(|error| tracing::error!(%error, "key derivation failed"))
            .ok()
    }

    /// All permits, for tests.
    #[cfg(test)]
    pub(crate) fn permits(&self) -> Arc<Semaphore> {
        Arc::clone(&self.permits)
    }
}

#[cfg(test)]
mod tests {
    use super::Derivations;
    use crate::config::{AuthConfig, Config};

    fn derivations(derivations: usize) -> Derivations {
        let config = Config::default_for("a.example", "x".into());
        Derivations::new(&AuthConfig { derivations, ..config.auth })
    }

    #[tokio::test]
    async fn the_keys_of_many_passwords_come_in_their_order() {
        let mut passwords: Vec<_> = (0..20).map(|i| format!("password {i}")).collect();
        passwords[7].clear();
        let keys = derivations(3).keys_of_many(passwords, 1).await;
        assert_eq!(keys.len(), 20);
        let bad: Vec<_> = (0..20).filter(|i| keys[*i].is_err()).collect();
        assert_eq!(bad, [7]);
    }

    #[tokio::test]
    async fn no_more_run_at_once_than_the_bound() {
        let derivations = derivations(1);
        let held = derivations.permits().acquire_owned().await.unwrap();
        let mut waits = Box::pin(derivations.keys("secret", 1));
        assert!(futures_util::poll!(&mut waits).is_pending());
        let clone = derivations.clone();
        let mut import = Box::pin(clone.keys_of_many(vec!["a".into(), "b".into()], 1));
        assert!(futures_util::poll!(&mut import).is_pending());
        drop(held);
        assert!(waits.await.is_ok());
        assert_eq!(import.await.iter().filter(|keys| keys.is_ok()).count(), 2);
    }
}
