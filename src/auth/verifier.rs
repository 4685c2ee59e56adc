//! Verifies logins. Where keys come from: `stored_keys.rs`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::external::REVOKED;
use super::password;
use super::{Derivations, NewClients, Offer, PasswordKey, Revocations, SaslError};
use crate::clock::Clock;
use crate::config::AuthConfig;
use crate::jid::BareJid;
use crate::storage::{self, DeviceLogin, Storage};
use crate::tasks::Tasks;

/// Verifies logins. It knows the accounts, the server's secret, and the limit on derivations. One per
/// server, shared.
pub struct Verifier {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) clock: Clock,
    pub(super) secret: [u8; 32],
    pub(super) token_key: [u8; 32],
    /// Logins that must not get a session.
    pub(super) revocations: Arc<Revocations>,
    derivations: Derivations,
    /// The iterations of invented keys. They may change while the server runs.
    iterations: AtomicU32,
    /// Clients are remembered. It may change while the server runs.
    devices: AtomicBool,
    tasks: Option<Tasks>,
    new_clients: Option<Arc<dyn NewClients>>,
}

impl Verifier {
    /// Reads the server's secret.
    ///
    /// # Errors
    /// If the storage fails.
    pub async fn new(
        storage: Arc<dyn Storage>,
        config: &AuthConfig,
        derivations: Derivations,
        clock: Clock,
    ) -> storage::Result<Self> {
        let secret = storage.accounts().secret().await?;
        let iterations = AtomicU32::new(config.iterations);
        let token_key = secret;
        let tasks = None;
        let devices = AtomicBool::new(config.devices);
        Ok(Self {
            storage,
            clock,
            secret,
            token_key,
            revocations: Arc::default(),
            derivations,
            iterations,
            devices,
            tasks,
            new_clients: None,
        })
    }

    /// Records logins in tasks of their own (kind `login`), so that no login waits for that write.
    /// Without this, a login is recorded before the answer.
    #[must_use]
    pub fn with_tasks(mut self, tasks: Tasks) -> Self {
        self.tasks = Some(tasks);
        self
    }

    /// Tells of clients that log in to an account for the first time.
    #[must_use]
    pub fn with_new_clients(mut self, told: Arc<dyn NewClients>) -> Self {
        self.new_clients = Some(told);
        self
    }

    /// The key from which tokens follow ([`super::token_key`]). Without this, the server's secret is the key.
    #[must_use]
    pub fn with_token_key(mut self, key: [u8; 32]) -> Self {
        self.token_key = key;
        self
    }

    /// Uses these revocations, which the code that revokes access shares.
    #[must_use]
    pub fn with_revocations(mut self, revocations: Arc<Revocations>) -> Self {
        self.revocations = revocations;
        self
    }

    /// Applies changed settings.
    pub fn refresh(&self, config: &AuthConfig) {
        self.iterations.store(config.iterations, Ordering::Relaxed);
        self.devices.store(config.devices, Ordering::Relaxed);
    }

    /// The rounds of PBKDF2 for new keys.
    pub(super) fn iterations(&self) -> u32 {
        self.iterations.load(Ordering::Relaxed)
    }

    /// What can be used to log in to the account that a client has named in its stream header (XEP-0388 §2.1). A client
    /// that takes the strongest mechanism cannot log in with one for which the account has no keys.
    ///
    /// Anybody may name an account. What is offered differs only for accounts that have keys of some hashes: those
    /// that were imported, until their first upgrade (XEP-0480). Of all others, and of names without an account, nobody
    /// learns anything.
    pub async fn offer_to(&self, user: &BareJid, offer: &Offer) -> Offer {
        match self.storage.accounts().hashes(user).await {
            Ok(hashes) if !hashes.is_empty() => offer.with_hashes(&hashes),
            Ok(_) => offer.clone(),
            Err(error) => {
                tracing::error!(jid = %user, %error, "storage failed");
                offer.clone()
            }
        }
    }

    /// Checks a prepared password. The key of it, if it is that of the account.
    ///
    /// It is checked against the keys that are cheapest to derive. One derivation is done, whether there is an
    /// account or not. Only accounts without keys for SHA-1 (imported ones) take another time.
    pub(super) async fn check_password(
        &self,
        user: &BareJid,
        password: String,
    ) -> Result<Option<PasswordKey>, SaslError> {
        let (keys, is_known) = self.cheapest_keys(user).await?;
        let proven = PasswordKey { hash: keys.hash, stored_key: keys.stored_key.clone() };
        let fits = self.derivations.run(move || password::fits(&keys, &password)).await;
        let fits = fits.ok_or(SaslError::TemporaryAuthFailure)?;
        Ok((fits & is_known).then_some(proven))
    }

    /// Whether there is such an account.
    pub(super) async fn has_account(&self, user: &BareJid) -> Result<bool, SaslError> {
        let found = self.storage.accounts().find(user).await.map_err(|error| {
            tracing::error!(jid = %user, %error, "storage failed");
            SaslError::TemporaryAuthFailure
        })?;
        Ok(found.is_some())
    }

    /// Whether the user has taken access away from this certificate.
    pub(super) async fn is_certificate_revoked(
        &self,
        user: &BareJid,
        fingerprint: &str,
    ) -> Result<bool, SaslError> {
        // A revocation keeps this lock until it is stored.
        let _turn = self.revocations.turn(user).await;
        let found = self.storage.documents().get(user, REVOKED, fingerprint).await;
        let found = found.map_err(|error| {
            tracing::error!(jid = %user, %error, "storage failed");
            SaslError::TemporaryAuthFailure
        })?;
        Ok(found.is_some())
    }

    /// Records a login, and with which client, if that is known. `since`: the revocations when it began. A failure is
    /// logged and has no other effect. In a server ([`Verifier::with_tasks`]), this does not wait for the storage.
    pub async fn note_login(&self, user: &BareJid, login: Option<DeviceLogin>, since: u64) {
        let with_device = self.devices.load(Ordering::Relaxed);
        let (storage, user, at) = (Arc::clone(&self.storage), user.clone(), self.clock.now());
        let (told, revocations) = (self.new_clients.clone(), Arc::clone(&self.revocations));
        let note = async move {
            let noted = match &login {
                Some(login) if with_device => {
                    let noted = storage.devices().note_device(&user, at, login).await;
                    match revocations.is_client_revoked(&user, &login.id, since) {
                        true => forget_again(&*storage, &user, login).await,
                        false => noted,
                    }
                }
                _ => storage.accounts().note_login(&user, at).await.map(|()| false),
            };
            match (noted, told, login) {
                (Ok(true), Some(told), Some(login)) => told.added(&user, &login).await,
                (Ok(_), ..) => {}
                (Err(error), ..) => tracing::error!(jid = %user, %error, "storage failed"),
            }
        };
        match &self.tasks {
            // The storage writes it later. The end of the server does not wait for that.
            Some(tasks) => {
                let stopping = tasks.stopping();
                drop(tasks.spawn("login", async move {
                    tokio::select! {
                        biased; // the storage gets it in any case
                        () = note => {}
                        () = stopping.cancelled() => {}
                    }
                }));
            }
            None => note.await,
        }
    }
}

/// Forgets a client again that was revoked before its login was written, unless it knows the password.
async fn forget_again(
    storage: &dyn Storage,
    user: &BareJid,
    login: &DeviceLogin,
) -> storage::Result<bool> {
    let devices = storage.devices().of(user).await?;
    if devices.iter().any(|device| device.id == login.id && !device.knows_password) {
        storage.devices().forget_device(user, &login.id).await?;
    }
    Ok(false)
}

/// Shows no secret.
impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}
