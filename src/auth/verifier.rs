//! Verifies logins: finds the keys of an account, or makes some up where there is none.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Semaphore;

use super::hash::{HASHES, digest_length, hmac};
use super::password::{self, SALT_BYTES};
use super::{Exchange, MechanismName, Offer, SaslError};
use crate::clock::Clock;
use crate::config::AuthConfig;
use crate::jid::BareJid;
use crate::storage::{self, ScramHash, ScramKeys, Storage};
use crate::tasks::Tasks;

/// Verifies logins: knows accounts, the server's secret, and the limit on derivations. One per
/// server, shared.
pub struct Verifier {
    storage: Arc<dyn Storage>,
    clock: Clock,
    secret: [u8; 32],
    settings: ArcSwap<Settings>,
    tasks: Option<Tasks>,
}

/// What may change while the server runs.
struct Settings {
    iterations: u32,
    /// Derivations at once; those that wait are bounded by their connections and deadlines.
    derivations: Arc<Semaphore>,
}

impl Settings {
    fn new(config: &AuthConfig) -> Arc<Self> {
        let derivations = config.derivations.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Self {
            iterations: config.iterations,
            derivations: Arc::new(Semaphore::new(derivations)),
        })
    }
}

impl Verifier {
    /// Reads the server's secret.
    ///
    /// # Errors
    /// If storage cannot give it.
    pub async fn new(
        storage: Arc<dyn Storage>,
        config: &AuthConfig,
        clock: Clock,
    ) -> storage::Result<Self> {
        let secret = storage.accounts().secret().await?;
        let settings = ArcSwap::new(Settings::new(config));
        Ok(Self { storage, clock, secret, settings, tasks: None })
    }

    /// Notes logins in tasks of their own (kind `login`), so that no login waits for that write.
    /// Without this, it is written before the answer.
    #[must_use]
    pub fn with_tasks(mut self, tasks: Tasks) -> Self {
        self.tasks = Some(tasks);
        self
    }

    /// Takes over changed settings. Exchanges under way keep the old ones.
    pub fn refresh(&self, config: &AuthConfig) {
        self.settings.store(Settings::new(config));
    }

    /// Begins an exchange for an account of `domain`, which is one that we serve.
    ///
    /// # Errors
    /// `invalid-mechanism` for what is not offered, `encryption-required` without TLS.
    pub fn begin(
        self: &Arc<Self>,
        domain: &str,
        offer: &Offer,
        mechanism: &str,
    ) -> Result<Exchange, SaslError> {
        if !offer.is_encrypted() {
            return Err(SaslError::EncryptionRequired);
        }
        let mechanism: MechanismName = mechanism.parse()?;
        if !offer.mechanisms().contains(&mechanism) {
            return Err(SaslError::InvalidMechanism);
        }
        Ok(Exchange::new(Arc::clone(self), domain, offer.clone(), mechanism))
    }

    /// The keys of an account, and whether they are true. If there is no such account, or it has no
    /// keys of this hash, they are made up, always the same ones: nobody can tell, nobody fits.
    pub(super) async fn keys(
        &self,
        user: &BareJid,
        hash: ScramHash,
    ) -> Result<(ScramKeys, bool), SaslError> {
        // Also where they are not needed, so that both take the same time.
        let made_up = self.made_up(user, hash);
        let found = self.storage.accounts().keys(user, hash).await.map_err(|error| {
            tracing::error!(jid = %user, %error, "storage failed");
            SaslError::TemporaryAuthFailure
        })?;
        match found {
            Some(keys) if is_whole(&keys, hash) => Ok((keys, true)),
            Some(_) => {
                tracing::error!(jid = %user, "stored keys are damaged");
                Ok((made_up, false))
            }
            None => Ok((made_up, false)),
        }
    }

    /// The password, prepared, is that of the account.
    ///
    /// Checked against the keys that are cheapest to derive. All three are asked for, and one
    /// derivation is done, whether there is an account or not. Only accounts without keys for
    /// SHA-1 (imported ones) take another time.
    pub(super) async fn check_password(
        &self,
        user: &BareJid,
        password: String,
    ) -> Result<bool, SaslError> {
        let (mut keys, mut is_known) = self.keys(user, HASHES[0]).await?;
        for hash in &HASHES[1..] {
            let (others, are_known) = self.keys(user, *hash).await?;
            if are_known && !is_known {
                (keys, is_known) = (others, true);
            }
        }
        let derivations = Arc::clone(&self.settings.load().derivations);
        let permit =
            derivations.acquire_owned().await.map_err(|_| SaslError::TemporaryAuthFailure)?;
        let check = move || {
            // Held to the end, even if the connection has gone meanwhile.
            let _permit = permit;
            password::fits(&keys, &password)
        };
        let fits = tokio::task::spawn_blocking(check).await.map_err(|error| {
            tracing::error!(%error, "derivation failed");
            SaslError::TemporaryAuthFailure
        })?;
        Ok(fits & is_known)
    }

    /// Notes a login. A failure is logged and harms nobody.
    pub(super) async fn note_login(&self, user: &BareJid) {
        let (storage, user, at) = (Arc::clone(&self.storage), user.clone(), self.clock.now());
        let note = async move {
            if let Err(error) = storage.accounts().note_login(&user, at).await {
                tracing::error!(jid = %user, %error, "storage failed");
            }
        };
        match &self.tasks {
            // The storage writes it at its leisure; the end of the server does not wait for that.
            Some(tasks) => {
                let stopping = tasks.stopping();
                drop(tasks.spawn("login", async move {
                    tokio::select! {
                        biased; // it is handed to the storage in any case
                        () = note => {}
                        () = stopping.cancelled() => {}
                    }
                }));
            }
            None => note.await,
        }
    }

    /// Keys of an account that does not exist: they follow from the server's secret.
    fn made_up(&self, user: &BareJid, hash: ScramHash) -> ScramKeys {
        let derive =
            |what: &str| hmac(hash, &self.secret, format!("{what}\0{hash:?}\0{user}").as_bytes());
        let mut salt = derive("salt");
        salt.truncate(SALT_BYTES);
        ScramKeys {
            hash,
            salt,
            iterations: self.settings.load().iterations,
            stored_key: derive("stored"),
            server_key: derive("server"),
        }
    }

    #[cfg(test)]
    pub(super) fn derivations(&self) -> Arc<Semaphore> {
        Arc::clone(&self.settings.load().derivations)
    }
}

/// Without the secret.
impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

fn is_whole(keys: &ScramKeys, hash: ScramHash) -> bool {
    let length = digest_length(hash);
    keys.hash == hash
        && !keys.salt.is_empty()
        && keys.iterations > 0
        && keys.stored_key.len() == length
        && keys.server_key.len() == length
}
