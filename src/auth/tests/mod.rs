//! What is shared: accounts in memory, a server that knows Juliet, and a client that can lie.

mod exchange;
mod names;
mod revocations;
mod tokens;
mod upgrades;
mod vectors;
mod without_scram;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;

use super::hash::{hash, hmac, salted_password};
use super::{
    Derivations, Exchange, Offer, SaslError, Step, TlsFacts, TlsVersion, Verifier, derive_keys,
};
use crate::clock::Clock;
use crate::config::AuthConfig;
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::{
    Account, AccountStore, ApiTokenStore, ArchiveStore, CapabilityStore, Created, Device,
    DeviceLogin, DeviceStore, DocumentStore, FileStore, InvitationStore, NewAccount, PubSubStore,
    PushStore, Result, ResumptionStore, RoomStore, RosterStore, ScramHash, ScramKeys, Storage,
    StorageError, UsageStore,
};

/// Accounts in memory; nothing else of storage is there.
#[derive(Default)]
pub(super) struct Accounts {
    keys: Mutex<HashMap<(BareJid, ScramHash), ScramKeys>>,
    logins: Mutex<Vec<(BareJid, Timestamp)>>,
    is_broken: Mutex<bool>,
}

#[async_trait]
impl AccountStore for Accounts {
    async fn create(&self, _: &[NewAccount]) -> Result<Vec<Created>> {
        unreachable!("no login makes an account")
    }
    async fn find(&self, _: &BareJid) -> Result<Option<Account>> {
        unreachable!("a login needs keys only")
    }
    async fn keys(&self, user: &BareJid, hash: ScramHash) -> Result<Option<ScramKeys>> {
        if *self.is_broken.lock() {
            return Err(StorageError::Database("disk full".to_owned()));
        }
        Ok(self.keys.lock().get(&(user.clone(), hash)).cloned())
    }
    async fn cheapest_keys(&self, user: &BareJid) -> Result<Option<ScramKeys>> {
        for hash in super::hash::HASHES {
            if let Some(keys) = self.keys(user, hash).await? {
                return Ok(Some(keys));
            }
        }
        Ok(None)
    }
    async fn hashes(&self, user: &BareJid) -> Result<Vec<ScramHash>> {
        let mut found = Vec::new();
        for hash in super::hash::HASHES {
            found.extend(self.keys(user, hash).await?.map(|keys| keys.hash));
        }
        Ok(found)
    }
    async fn set_keys(&self, _: &BareJid, _: &[ScramKeys]) -> Result<bool> {
        unreachable!("no login changes keys")
    }
    async fn add_keys(&self, _: &BareJid, _: (ScramHash, &[u8]), _: &ScramKeys) -> Result<bool> {
        unreachable!("upgrades have a store of their own in their tests")
    }
    async fn note_login(&self, user: &BareJid, at: Timestamp) -> Result<()> {
        self.logins.lock().push((user.clone(), at));
        Ok(())
    }
    async fn remove(&self, _: &BareJid) -> Result<bool> {
        unreachable!("no login removes an account")
    }
    async fn list(&self, _: Option<&str>, _: Option<&BareJid>, _: usize) -> Result<Vec<Account>> {
        unreachable!("no login lists accounts")
    }
    async fn count(&self, _: Option<&str>) -> Result<u64> {
        unreachable!("no login counts accounts")
    }
    async fn secret(&self) -> Result<[u8; 32]> {
        Ok([7; 32])
    }
    async fn set_admin(&self, _: &BareJid, _: bool) -> Result<bool> {
        unreachable!("no login gives a role")
    }
    async fn admins(&self) -> Result<Vec<BareJid>> {
        unreachable!("no login asks for roles")
    }
}

#[async_trait]
impl DeviceStore for Accounts {
    async fn note_device(&self, user: &BareJid, at: Timestamp, _: &DeviceLogin) -> Result<bool> {
        self.note_login(user, at).await.map(|()| false)
    }
    async fn of(&self, _: &BareJid) -> Result<Vec<Device>> {
        unreachable!("no login lists clients")
    }
    async fn forget_device(&self, _: &BareJid, _: &str) -> Result<bool> {
        unreachable!("no login forgets clients")
    }
    async fn forget_unseen(&self, _: Timestamp, _: usize) -> Result<u64> {
        unreachable!("no login forgets clients")
    }
}

#[async_trait]
impl Storage for Accounts {
    fn accounts(&self) -> &dyn AccountStore {
        self
    }
    fn api_tokens(&self) -> &dyn ApiTokenStore {
        unreachable!("logins need accounts only")
    }

    fn archive(&self) -> &dyn ArchiveStore {
        unreachable!("logins need accounts only")
    }
    fn capabilities(&self) -> &dyn CapabilityStore {
        unreachable!("logins need accounts only")
    }

    fn devices(&self) -> &dyn DeviceStore {
        self
    }
    fn documents(&self) -> &dyn DocumentStore {
        unreachable!("logins need accounts only")
    }
    fn invitations(&self) -> &dyn InvitationStore {
        unreachable!("logins need accounts only")
    }
    fn files(&self) -> &dyn FileStore {
        unreachable!("logins need accounts only")
    }
    fn push(&self) -> &dyn PushStore {
        unreachable!("logins need accounts only")
    }
    fn pubsub(&self) -> &dyn PubSubStore {
        unreachable!("logins need accounts only")
    }
    fn resumption(&self) -> &dyn ResumptionStore {
        unreachable!("logins need accounts only")
    }
    fn rooms(&self) -> &dyn RoomStore {
        unreachable!("logins need accounts only")
    }
    fn roster(&self) -> &dyn RosterStore {
        unreachable!("logins need accounts only")
    }
    fn usage(&self) -> &dyn UsageStore {
        unreachable!("logins need accounts only")
    }
    async fn close(&self) {}
}

/// A server for `example.com` with the account `juliet`, password `r0m30,myr0m30`, and with
/// `nurse`, who has keys for SHA-256 only.
pub(super) struct Server {
    accounts: Arc<Accounts>,
    derivations: Derivations,
    verifier: Arc<Verifier>,
    offer: Offer,
}

const PASSWORD: &str = "r0m30,myr0m30";
const ROUNDS: u32 = 4096;

impl Server {
    /// With everything that can be offered.
    async fn new() -> Self {
        Self::with(&tls13(), |_| {}).await
    }

    async fn with(tls: &TlsFacts, change: impl FnOnce(&mut AuthConfig)) -> Self {
        let mut config = config();
        change(&mut config);
        let accounts = Arc::new(Accounts::default());
        for (user, hashes) in
            [("juliet", &super::hash::HASHES[..]), ("nurse", &[ScramHash::Sha256][..])]
        {
            let user = BareJid::from_parts(Some(user), "example.com").unwrap();
            for keys in derive_keys(PASSWORD, ROUNDS).unwrap() {
                if hashes.contains(&keys.hash) {
                    accounts.keys.lock().insert((user.clone(), keys.hash), keys);
                }
            }
        }
        let storage: Arc<dyn Storage> = Arc::<Accounts>::clone(&accounts);
        let clock = Clock::manual(Timestamp::from_micros(5));
        let derivations = Derivations::new(&config);
        let verifier = Verifier::new(storage, &config, derivations.clone(), clock).await.unwrap();
        let verifier = Arc::new(verifier);
        Self { accounts, derivations, verifier, offer: Offer::new(&config, Some(tls)) }
    }

    fn begin(&self, mechanism: &str) -> Exchange {
        Exchange::begin(&self.verifier, "example.com", &self.offer, mechanism, None).unwrap()
    }

    /// The answer to the only or the first message.
    async fn first(&self, mechanism: &str, message: &[u8]) -> std::result::Result<Step, SaslError> {
        self.begin(mechanism).step(Some(message)).await
    }
}

fn config() -> AuthConfig {
    AuthConfig {
        anonymous: true,
        plain: true,
        iterations: ROUNDS,
        failures_per_connection: 5,
        slow_addresses: true,
        certificate_authorities: None,
        certificate_revocation_lists: None,
        devices: true,
        announce_devices: false,
        devices_age: std::time::Duration::ZERO,
        derivations: 1,
    }
}

fn tls13() -> TlsFacts {
    TlsFacts {
        version: Some(TlsVersion::V1_3),
        exporter: Some([9; 32]),
        server_end_point: Some(vec![8; 32]),
        addresses: Vec::new(),
        fingerprint: None,
    }
}

fn juliet() -> BareJid {
    BareJid::parse("juliet@example.com").unwrap()
}

fn challenge(step: std::result::Result<Step, SaslError>) -> String {
    match step {
        Ok(Step::Challenge(payload)) => String::from_utf8(payload).unwrap(),
        other => panic!("no challenge: {other:?}"),
    }
}

/// The value of an attribute.
fn attribute<'a>(message: &'a str, name: &str) -> &'a str {
    message.split(',').find_map(|a| a.strip_prefix(name)).unwrap()
}

/// A client which computes the right proof for whatever it sends.
struct Client<'a> {
    hash: ScramHash,
    password: &'a str,
    first_bare: &'a str,
    server_first: &'a str,
}

impl Client<'_> {
    /// `c=` over `bound`, the nonce of the server, and the proof.
    fn last(&self, bound: &[u8]) -> String {
        let nonce = attribute(self.server_first, "r=");
        self.sign(&format!("c={},r={nonce}", STANDARD.encode(bound)))
    }

    fn sign(&self, without_proof: &str) -> String {
        format!("{without_proof},p={}", STANDARD.encode(self.proof(without_proof)))
    }

    fn proof(&self, without_proof: &str) -> Vec<u8> {
        let salt = STANDARD.decode(attribute(self.server_first, "s=")).unwrap();
        let rounds = attribute(self.server_first, "i=").parse().unwrap();
        let salted = salted_password(self.hash, self.password, &salt, rounds);
        let client_key = hmac(self.hash, &salted, b"Client Key");
        let stored_key = hash(self.hash, &client_key);
        let text = format!("{},{},{without_proof}", self.first_bare, self.server_first);
        let signature = hmac(self.hash, &stored_key, text.as_bytes());
        client_key.iter().zip(signature).map(|(k, s)| k ^ s).collect()
    }
}
