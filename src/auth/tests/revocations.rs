//! A client logs in while access is taken away from it (XEP-0494).

use futures_util::FutureExt as _;
use tokio::sync::{Notify, Semaphore};

use super::super::{
    Binding, MechanismName, PasswordKey, Revocations, TokenLogin, clients_with_tokens,
    revoke_client,
};
use super::*;
use crate::storage::MemoryStorage;

/// A store in which documents are written as slowly as the test wants.
struct Slow {
    inner: Arc<dyn Storage>,
    /// Wakes when something is to be written.
    is_asked: Notify,
    /// What may be written.
    permits: Semaphore,
}

#[async_trait]
impl DocumentStore for Slow {
    async fn get(&self, owner: &BareJid, kind: &str, key: &str) -> Result<Option<String>> {
        self.inner.documents().get(owner, kind, key).await
    }
    async fn all(&self, owner: &BareJid, kind: &str) -> Result<Vec<(String, String)>> {
        self.inner.documents().all(owner, kind).await
    }
    async fn put(&self, owner: &BareJid, kind: &str, key: &str, xml: &str) -> Result<()> {
        self.is_asked.notify_one();
        self.permits.acquire().await.unwrap().forget();
        self.inner.documents().put(owner, kind, key, xml).await
    }
    async fn put_within_quota(&self, o: &BareJid, k: &str, key: &str, xml: &str) -> Result<()> {
        self.inner.documents().put_within_quota(o, k, key, xml).await
    }
    async fn remove(&self, owner: &BareJid, kind: &str, key: &str) -> Result<bool> {
        self.inner.documents().remove(owner, kind, key).await
    }
}

#[async_trait]
impl Storage for Slow {
    fn accounts(&self) -> &dyn AccountStore {
        self.inner.accounts()
    }
    fn api_tokens(&self) -> &dyn ApiTokenStore {
        self.inner.api_tokens()
    }

    fn archive(&self) -> &dyn ArchiveStore {
        self.inner.archive()
    }
    fn capabilities(&self) -> &dyn CapabilityStore {
        self.inner.capabilities()
    }
    fn devices(&self) -> &dyn DeviceStore {
        self.inner.devices()
    }
    fn documents(&self) -> &dyn DocumentStore {
        self
    }
    fn files(&self) -> &dyn FileStore {
        self.inner.files()
    }
    fn invitations(&self) -> &dyn InvitationStore {
        self.inner.invitations()
    }
    fn push(&self) -> &dyn PushStore {
        self.inner.push()
    }
    fn pubsub(&self) -> &dyn PubSubStore {
        self.inner.pubsub()
    }
    fn resumption(&self) -> &dyn ResumptionStore {
        self.inner.resumption()
    }
    fn rooms(&self) -> &dyn RoomStore {
        self.inner.rooms()
    }
    fn roster(&self) -> &dyn RosterStore {
        self.inner.roster()
    }
    fn usage(&self) -> &dyn UsageStore {
        self.inner.usage()
    }
    async fn close(&self) {}
}

struct Fixture {
    verifier: Arc<Verifier>,
    storage: Arc<Slow>,
    revocations: Arc<Revocations>,
    clock: Clock,
    key: PasswordKey,
}

impl Fixture {
    async fn new() -> Self {
        let inner: Arc<dyn Storage> = MemoryStorage::new();
        let clock = Clock::manual(Timestamp::from_micros(5));
        let keys = derive_keys(PASSWORD, ROUNDS).unwrap();
        let key = PasswordKey { hash: keys[0].hash, stored_key: keys[0].stored_key.clone() };
        let new = NewAccount { user: juliet(), keys, admin: false, created: clock.now() };
        inner.accounts().create(&[new]).await.unwrap();
        let (is_asked, permits) = (Notify::new(), Semaphore::new(0));
        let storage = Arc::new(Slow { inner, is_asked, permits });
        let revocations = Arc::<Revocations>::default();
        let (derivations, of) = (Derivations::new(&config()), Arc::clone(&storage) as Arc<_>);
        let verifier = Verifier::new(of, &config(), derivations, clock.clone()).await.unwrap();
        let verifier = Arc::new(verifier.with_revocations(Arc::clone(&revocations)));
        Self { verifier, storage, revocations, clock, key }
    }

    async fn issue(&self, since: u64) -> Option<String> {
        let issued = self.verifier.issue_token(&juliet(), DESK, NONE, &self.key, since).await;
        issued.unwrap().map(|new| new.token)
    }

    async fn revoke(&self, client: &str) {
        let (of, now) = (&*self.storage, self.clock.now());
        revoke_client(of, Some(&self.revocations), &juliet(), client, true, now).await.unwrap();
    }

    async fn tokens(&self) -> Vec<(String, Timestamp)> {
        clients_with_tokens(&*self.storage, &juliet(), self.clock.now()).await.unwrap()
    }

    async fn devices(&self) -> Vec<String> {
        let devices = self.storage.devices().of(&juliet()).await.unwrap();
        devices.into_iter().map(|device| device.id).collect()
    }

    fn login(&self, token: &str) -> tokio::task::JoinHandle<Option<SaslError>> {
        let proof = hmac(ScramHash::Sha256, token.as_bytes(), b"Initiator");
        let verifier = Arc::clone(&self.verifier);
        #[expect(clippy::disallowed_methods, reason = "a client is no task of the server")]
        tokio::spawn(async move {
            let login = TokenLogin { installation: DESK.to_owned(), invalidate: false };
            verifier.check_token(&juliet(), &login, NONE, &[], &proof).await.err()
        })
    }
}

#[tokio::test]
async fn a_token_that_is_used_while_it_is_revoked_stays_revoked() {
    let fixture = Fixture::new().await;
    fixture.storage.permits.add_permits(1);
    let token = fixture.issue(0).await.unwrap();
    // The login has read the tokens and writes which one is in use.
    fixture.storage.is_asked.notified().await;
    let login = fixture.login(&token);
    fixture.storage.is_asked.notified().await;
    let mut revocation = Box::pin(fixture.revoke(DESK));
    assert!(revocation.as_mut().now_or_never().is_none(), "it waits for the login");
    fixture.storage.permits.add_permits(2);
    assert_eq!(login.await.unwrap(), None);
    revocation.await;
    assert_eq!(fixture.tokens().await, []);
    assert_eq!(fixture.login(&token).await.unwrap(), Some(SaslError::CredentialsExpired));
    assert_eq!(fixture.login("another").await.unwrap(), Some(SaslError::NotAuthorized));
    // A new token does not bring the old one back.
    fixture.storage.permits.add_permits(9);
    let new = fixture.issue(fixture.revocations.count()).await.unwrap();
    assert_eq!(fixture.login(&token).await.unwrap(), Some(SaslError::NotAuthorized));
    assert_eq!(fixture.login(&new).await.unwrap(), None);
}

#[tokio::test]
async fn a_login_that_was_verified_before_a_revocation_buys_no_token() {
    let fixture = Fixture::new().await;
    fixture.storage.permits.add_permits(9);
    let since = fixture.revocations.count();
    fixture.revoke("phone").await;
    assert!(fixture.issue(since).await.is_some(), "it is another client");
    fixture.revoke(DESK).await;
    assert_eq!(fixture.issue(since).await, None);
    assert_eq!(fixture.tokens().await, []);
    assert!(fixture.issue(fixture.revocations.count()).await.is_some(), "a new login");
}

#[tokio::test]
async fn a_login_that_is_written_after_a_revocation_makes_the_client_not_known_again() {
    let fixture = Fixture::new().await;
    let login = |by_password| DeviceLogin {
        id: DESK.to_owned(),
        software: None,
        device: None,
        by_password,
    };
    let since = fixture.revocations.count();
    fixture.revoke(DESK).await;
    fixture.verifier.note_login(&juliet(), Some(login(false)), since).await;
    assert_eq!(fixture.devices().await, [""; 0]);
    // One that knows the password still has access.
    fixture.verifier.note_login(&juliet(), Some(login(true)), since).await;
    assert_eq!(fixture.devices().await, [DESK]);
}

const DESK: &str = "d4565fa7-4d72-4749-b3d3-740edbf87770";
const NONE: MechanismName = MechanismName::Token(Binding::None);
