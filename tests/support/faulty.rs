//! Storage that fails when it is told to: the disk is full, or the server is gone in this moment; or
//! that is slow.

#[path = "faulty_documents.rs"]
mod faulty_documents;
#[path = "faulty_pubsub.rs"]
mod faulty_pubsub;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::oneshot;
use waxwing::jid::{BareJid, Jid};
use waxwing::payload::datetime::Timestamp;
use waxwing::storage::{
    AccountStore, ApiTokenStore, ArchiveStore, CapabilityStore, DeviceStore, DocumentStore, End,
    FileStore, Handled, InvitationStore, Kept, MessageId, NewMessage, Page, PubSubStore, PushStore,
    Query, Receipt, Result, Resumable, ResumptionStore, Retention, RoomStore, RosterChange,
    RosterItem, RosterStore, RosterVersion, SavedSession, SessionNumber, Storage, StorageError,
    UsageStore, Waiting,
};

/// Another storage, whose messages, sessions and rosters can no longer be written from some moment
/// on, or whose messages or rosters can no longer be read.
pub(crate) struct Faulty {
    inner: Arc<dyn Storage>,
    state: AtomicU8,
    /// How long the next answers about rosters are on their way.
    delays: Mutex<VecDeque<Duration>>,
    /// How long the next question to an archive is on its way.
    delay_of_page: Mutex<Option<Duration>>,
    /// How long the disk takes for a message.
    delay_of_disk: Mutex<Option<Duration>>,
    /// How long the next publication is on its way to the disk.
    delay_of_publication: Mutex<Option<Duration>>,
    /// How long the next removal of a document is on its way to the disk.
    delay_of_removal: Mutex<Option<Duration>>,
}

impl Faulty {
    pub(crate) fn new(inner: Arc<dyn Storage>) -> Self {
        let [delay_of_page, delay_of_disk, delay_of_publication, delay_of_removal] =
            [(); 4].map(|()| Mutex::new(None));
        let delays = Mutex::default();
        Self {
            inner,
            state: AtomicU8::new(WORKS),
            delays,
            delay_of_page,
            delay_of_disk,
            delay_of_publication,
            delay_of_removal,
        }
    }

    /// From now on nothing is written, whatever the server does until its end: it has crashed.
    pub(crate) fn die(&self) {
        self.state.store(DEAD, Ordering::Relaxed);
    }

    /// As with a full disk: it takes what is to be written, and says later that it could not.
    pub(crate) fn fail(&self, fails: bool) {
        self.state.store(if fails { FAILS } else { WORKS }, Ordering::Relaxed);
        *self.delay_of_disk.lock() = None;
    }

    /// What is kept cannot be read any more.
    pub(crate) fn hide(&self) {
        self.state.store(HIDDEN, Ordering::Relaxed);
    }

    /// Nor can rosters.
    pub(crate) fn hide_rosters(&self) {
        self.state.store(NO_ROSTERS, Ordering::Relaxed);
    }

    /// The next thing that is done with a roster is done at once, and known to be done later. Several
    /// of these are for the next ones, in their order.
    pub(crate) fn delay(&self, by: Duration) {
        self.delays.lock().push_back(by);
    }

    /// The next page of an archive is asked for now, and read later.
    pub(crate) fn delay_page(&self, by: Duration) {
        *self.delay_of_page.lock() = Some(by);
    }

    /// Each message is kept at once, and known to be kept later.
    pub(crate) fn delay_disk(&self, by: Duration) {
        *self.delay_of_disk.lock() = Some(by);
    }

    /// The next document is removed later.
    pub(crate) fn delay_removal(&self, by: Duration) {
        *self.delay_of_removal.lock() = Some(by);
    }

    /// The storage without faults, behind the delay of the next removal of a document.
    pub(crate) async fn for_removal(&self) -> &dyn Storage {
        let delay = self.delay_of_removal.lock().take();
        if let Some(delay) = delay {
            tokio::time::sleep(delay).await;
        }
        self.inner()
    }

    /// The next publication at a node is stored later.
    pub(crate) fn delay_publication(&self, by: Duration) {
        *self.delay_of_publication.lock() = Some(by);
    }

    /// The storage without faults, behind the delay of the next publication.
    pub(crate) async fn for_publication(&self) -> &dyn Storage {
        let delay = self.delay_of_publication.lock().take();
        if let Some(delay) = delay {
            tokio::time::sleep(delay).await;
        }
        self.inner()
    }

    /// The storage without faults.
    pub(crate) fn inner(&self) -> &dyn Storage {
        &*self.inner
    }

    async fn late<T>(&self, answer: T) -> T {
        let delay = self.delays.lock().pop_front();
        if let Some(delay) = delay {
            tokio::time::sleep(delay).await;
        }
        answer
    }

    fn state(&self) -> u8 {
        self.state.load(Ordering::Relaxed)
    }

    fn check(&self) -> Result<()> {
        match self.state() {
            FAILS => Err(StorageError::Full("the disk is full")),
            DEAD => Err(broken()),
            _ => Ok(()),
        }
    }

    fn check_reading(&self) -> Result<()> {
        if self.state() == HIDDEN { Err(broken()) } else { Ok(()) }
    }

    fn check_rosters(&self) -> Result<()> {
        if self.state() == NO_ROSTERS { Err(broken()) } else { Ok(()) }
    }
}

#[async_trait]
impl Storage for Faulty {
    fn accounts(&self) -> &dyn AccountStore {
        self.inner.accounts()
    }

    fn api_tokens(&self) -> &dyn ApiTokenStore {
        self.inner.api_tokens()
    }

    fn archive(&self) -> &dyn ArchiveStore {
        self
    }

    fn invitations(&self) -> &dyn InvitationStore {
        self.inner.invitations()
    }

    fn files(&self) -> &dyn FileStore {
        self.inner.files()
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

    fn pubsub(&self) -> &dyn PubSubStore {
        self
    }

    fn push(&self) -> &dyn PushStore {
        self.inner.push()
    }

    fn resumption(&self) -> &dyn ResumptionStore {
        self
    }

    fn rooms(&self) -> &dyn RoomStore {
        self.inner.rooms()
    }

    fn roster(&self) -> &dyn RosterStore {
        self
    }

    fn usage(&self) -> &dyn UsageStore {
        self.inner.usage()
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

#[async_trait]
impl ArchiveStore for Faulty {
    async fn keep(&self, message: NewMessage) -> Result<Kept> {
        match self.state() {
            WORKS | HIDDEN | NO_ROSTERS => {
                let kept = self.inner.archive().keep(message).await?;
                let Some(delay) = *self.delay_of_disk.lock() else { return Ok(kept) };
                let (answer, receipt) = oneshot::channel();
                #[expect(clippy::disallowed_methods, reason = "the disk is not the server's task")]
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    answer.send(kept.receipt.await)
                });
                Ok(Kept { id: kept.id, receipt: Receipt::waiting(receipt) })
            }
            FAILS => {
                // A number it has all the same.
                let nobody = NewMessage { holders: SmallVec::new(), handled: None, ..message };
                let kept = self.inner.archive().keep(nobody).await?;
                let full = Err(StorageError::Full("the disk is full"));
                Ok(Kept { id: kept.id, receipt: Receipt::settled(full) })
            }
            _ => Err(broken()),
        }
    }

    fn horizon(&self) -> Option<MessageId> {
        self.inner.archive().horizon()
    }

    async fn advance_horizon(&self) -> Result<Option<MessageId>> {
        self.check_reading()?;
        self.inner.archive().advance_horizon().await
    }

    async fn delivered(&self, owner: &BareJid, ids: &[MessageId]) -> Result<()> {
        self.check()?;
        self.inner.archive().delivered(owner, ids).await
    }

    async fn waiting(
        &self,
        owner: &BareJid,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<Waiting>> {
        self.check_reading()?;
        self.inner.archive().waiting(owner, after, limit).await
    }

    async fn waiting_count(&self, owner: &BareJid) -> Result<u64> {
        self.inner.archive().waiting_count(owner).await
    }

    async fn page(&self, owner: &BareJid, query: &Query) -> Result<Option<Page>> {
        self.check_reading()?;
        let delay = self.delay_of_page.lock().take();
        if let Some(delay) = delay {
            tokio::time::sleep(delay).await;
        }
        self.inner.archive().page(owner, query).await
    }

    async fn replace(&self, owner: &BareJid, id: MessageId, xml: bytes::Bytes) -> Result<bool> {
        self.inner.archive().replace(owner, id, xml).await
    }

    async fn ends(&self, owner: &BareJid) -> Result<Option<(End, End)>> {
        self.inner.archive().ends(owner).await
    }

    async fn owners(&self, after: Option<&BareJid>, limit: usize) -> Result<Vec<BareJid>> {
        self.inner.archive().owners(after, limit).await
    }

    async fn expire(&self, owner: &BareJid, retention: Retention) -> Result<u64> {
        self.check()?;
        self.inner.archive().expire(owner, retention).await
    }
}

#[async_trait]
impl RosterStore for Faulty {
    async fn load(&self, owner: &BareJid) -> Result<(RosterVersion, Vec<RosterItem>)> {
        self.check_rosters()?;
        self.late(self.inner.roster().load(owner).await).await
    }

    async fn find(&self, owner: &BareJid, jid: &Jid) -> Result<Option<RosterItem>> {
        self.check_rosters()?;
        self.inner.roster().find(owner, jid).await
    }

    async fn changes(
        &self,
        owner: &BareJid,
        since: RosterVersion,
        limit: usize,
    ) -> Result<(RosterVersion, Option<Vec<RosterChange>>)> {
        self.check_rosters()?;
        self.late(self.inner.roster().changes(owner, since, limit).await).await
    }

    async fn put(&self, owner: &BareJid, item: &RosterItem, limit: u32) -> Result<RosterVersion> {
        self.check()?;
        self.late(self.inner.roster().put(owner, item, limit).await).await
    }

    async fn remove(&self, owner: &BareJid, jid: &Jid) -> Result<Option<RosterVersion>> {
        self.check()?;
        self.late(self.inner.roster().remove(owner, jid).await).await
    }

    async fn replace(
        &self,
        owner: &BareJid,
        jid: &Jid,
        old: Option<&RosterItem>,
        new: Option<&RosterItem>,
        limit: u32,
    ) -> Result<Option<RosterVersion>> {
        self.check()?;
        self.late(self.inner.roster().replace(owner, jid, old, new, limit).await).await
    }
}

#[async_trait]
impl ResumptionStore for Faulty {
    async fn begin(
        &self,
        owner: &BareJid,
        resource: &str,
        key: &str,
    ) -> Result<(SessionNumber, Receipt)> {
        self.check()?;
        self.inner.resumption().begin(owner, resource, key).await
    }

    async fn handled(&self, handled: Handled) -> Result<Receipt> {
        match self.check() {
            Ok(()) => self.inner.resumption().handled(handled).await,
            Err(error) => Ok(Receipt::settled(Err(error))),
        }
    }

    async fn save(&self, sessions: Vec<SavedSession>) -> Result<()> {
        self.check()?;
        self.inner.resumption().save(sessions).await
    }

    async fn find(&self, key: &str) -> Result<Option<Resumable>> {
        self.inner.resumption().find(key).await
    }

    async fn all(&self) -> Result<Vec<Resumable>> {
        self.inner.resumption().all().await
    }

    async fn begin_anew(&self, at: Timestamp) -> Result<()> {
        self.check()?;
        self.inner.resumption().begin_anew(at).await
    }

    async fn end(&self, session: SessionNumber, at: Timestamp) -> Result<()> {
        self.check()?;
        self.inner.resumption().end(session, at).await
    }

    async fn end_all(&self, owner: &BareJid, at: Timestamp) -> Result<u64> {
        self.inner.resumption().end_all(owner, at).await
    }

    async fn expire(&self, before: Timestamp) -> Result<u64> {
        self.check()?;
        self.inner.resumption().expire(before).await
    }
}

fn broken() -> StorageError {
    StorageError::Database("the device fails".to_owned())
}

const WORKS: u8 = 0;
const FAILS: u8 = 1;
const DEAD: u8 = 2;
const HIDDEN: u8 = 3;
const NO_ROSTERS: u8 = 4;
