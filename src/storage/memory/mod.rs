//! Storage in memory, lost with the process: for tests, and for trying the server.
//!
//! It answers exactly as the databases do (`tests/storage.rs` runs the same suite on all), but it is not
//! made to hold much.

mod archive;
mod resumption;
mod roster;
mod usage;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};

use self::archive::{Archived, Undelivered};
use self::roster::Contacts;
use super::{
    Account, AccountStore, ArchiveStore, Created, DocumentStore, MessageId, NewAccount, NodeNumber,
    Result, Resumable, ResumptionStore, RosterStore, ScramHash, ScramKeys, SessionNumber, Storage,
    StorageError, UsageStore,
};
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::message_id::{IdClock, Ids};
use crate::storage::secret::new_secret;
use crate::storage::usage::Room;

/// The storage in memory.
#[derive(Debug)]
pub struct MemoryStorage {
    shared: Arc<Shared>,
    node: NodeNumber,
}

/// What all nodes of a store have in common.
#[derive(Debug)]
struct Shared {
    /// `None` when it is closed.
    state: Mutex<Option<State>>,
    /// The quota, in bytes, of accounts that have none of their own.
    quota: AtomicU64,
}

#[derive(Debug)]
struct State {
    owners: BTreeMap<BareJid, Owner>,
    /// The ids of each node.
    ids: BTreeMap<NodeNumber, Ids>,
    last_owner: i64,
    last_session: i64,
    quota: u64,
    sessions: BTreeMap<SessionNumber, Resumable>,
    secret: Option<[u8; 32]>,
}

#[derive(Debug, Default)]
struct Owner {
    number: i64,
    account: Option<Login>,
    documents: BTreeMap<(String, String), String>,
    archive: BTreeMap<MessageId, Archived>,
    waiting: BTreeMap<MessageId, Undelivered>,
    roster: Contacts,
    quota: Option<u64>,
    room: Room,
}

#[derive(Debug)]
struct Login {
    keys: Vec<ScramKeys>,
    created: Timestamp,
    last: Option<Timestamp>,
    admin: bool,
}

impl MemoryStorage {
    /// An empty storage.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let state = State {
            owners: BTreeMap::new(),
            ids: BTreeMap::new(),
            last_owner: 0,
            last_session: 0,
            quota: u64::MAX,
            sessions: BTreeMap::new(),
            secret: None,
        };
        let quota = AtomicU64::new(u64::MAX);
        let shared = Arc::new(Shared { state: Mutex::new(Some(state)), quota });
        let storage = Self { shared, node: NodeNumber::default() };
        Arc::new(storage.node(NodeNumber::default()))
    }

    /// Another node on the same storage. What one node writes, all read. Closing one closes all. For tests
    /// of what several nodes do.
    #[must_use]
    pub fn node(&self, node: NodeNumber) -> Self {
        if let Ok(mut state) = self.state() {
            state.ids(node);
        }
        Self { shared: Arc::clone(&self.shared), node }
    }

    fn state(&self) -> Result<MappedMutexGuard<'_, State>> {
        let mut state = MutexGuard::try_map(self.shared.state.lock(), Option::as_mut)
            .map_err(|_| StorageError::closed())?;
        state.quota = self.shared.quota.load(Ordering::Acquire);
        Ok(state)
    }
}

impl State {
    /// The ids of a node.
    fn ids(&mut self, node: NodeNumber) -> &mut Ids {
        let ids = || Ids::after(0, IdClock::default(), node);
        self.ids.entry(node).or_insert_with(ids)
    }

    /// The owner, which is made if it does not exist.
    fn owner(&mut self, jid: &BareJid) -> &mut Owner {
        let (last, room) = (&mut self.last_owner, Room::first(None, self.quota));
        self.owners.entry(jid.clone()).or_insert_with(|| {
            *last += 1;
            Owner { number: *last, room, ..Owner::default() }
        })
    }

    fn put(
        &mut self,
        owner: &BareJid,
        (kind, key): (&str, &str),
        xml: &str,
        within_quota: bool,
    ) -> Result<()> {
        let default = self.quota;
        let owner = self.owner(owner);
        let name = (kind.to_owned(), key.to_owned());
        let old = owner.documents.get(&name).map_or(0, |old| old.len() as u64);
        owner.change(default, old, xml.len() as u64, within_quota)?;
        owner.documents.insert(name, xml.to_owned());
        Ok(())
    }

    fn remove(&mut self, jid: &BareJid) -> Option<Owner> {
        self.sessions.retain(|_, session| session.owner != *jid);
        self.owners.remove(jid)
    }
}

impl Owner {
    fn as_account(&self, user: &BareJid) -> Option<Account> {
        let login = self.account.as_ref()?;
        Some(Account {
            user: user.clone(),
            created: login.created,
            last_login: login.last,
            admin: login.admin,
        })
    }
}

#[async_trait]
impl Storage for MemoryStorage {
    fn accounts(&self) -> &dyn AccountStore {
        self
    }

    fn archive(&self) -> &dyn ArchiveStore {
        self
    }

    fn documents(&self) -> &dyn DocumentStore {
        self
    }

    fn resumption(&self) -> &dyn ResumptionStore {
        self
    }

    fn roster(&self) -> &dyn RosterStore {
        self
    }

    fn usage(&self) -> &dyn UsageStore {
        self
    }

    async fn close(&self) {
        *self.shared.state.lock() = None;
    }
}

#[async_trait]
impl AccountStore for MemoryStorage {
    async fn create(&self, accounts: &[NewAccount]) -> Result<Vec<Created>> {
        let mut state = self.state()?;
        let mut answers = Vec::with_capacity(accounts.len());
        for new in accounts {
            if state.owners.get(&new.user).is_some_and(|o| o.account.is_some()) {
                answers.push(Created::Exists);
                continue;
            }
            state.remove(&new.user);
            let keys = new.keys.clone();
            let login = Login { keys, created: new.created, last: None, admin: new.admin };
            state.owner(&new.user).account = Some(login);
            answers.push(Created::Made);
        }
        Ok(answers)
    }

    async fn find(&self, user: &BareJid) -> Result<Option<Account>> {
        Ok(self.state()?.owners.get(user).and_then(|o| o.as_account(user)))
    }

    async fn keys(&self, user: &BareJid, hash: ScramHash) -> Result<Option<ScramKeys>> {
        let state = self.state()?;
        let login = state.owners.get(user).and_then(|o| o.account.as_ref());
        Ok(login.and_then(|l| l.keys.iter().find(|k| k.hash == hash)).cloned())
    }

    async fn set_keys(&self, user: &BareJid, keys: &[ScramKeys]) -> Result<bool> {
        let mut state = self.state()?;
        let login = state.owners.get_mut(user).and_then(|o| o.account.as_mut());
        Ok(login.map(|l| l.keys = keys.to_vec()).is_some())
    }

    async fn set_admin(&self, user: &BareJid, admin: bool) -> Result<bool> {
        let mut state = self.state()?;
        let login = state.owners.get_mut(user).and_then(|o| o.account.as_mut());
        Ok(login.map(|l| l.admin = admin).is_some())
    }

    async fn admins(&self) -> Result<Vec<BareJid>> {
        let all = self.list(None, None, usize::MAX).await?;
        Ok(all.into_iter().filter(|account| account.admin).map(|account| account.user).collect())
    }

    async fn note_login(&self, user: &BareJid, at: Timestamp) -> Result<()> {
        let mut state = self.state()?;
        if let Some(login) = state.owners.get_mut(user).and_then(|o| o.account.as_mut()) {
            login.last = Some(at);
        }
        Ok(())
    }

    async fn remove(&self, user: &BareJid) -> Result<bool> {
        Ok(self.state()?.remove(user).is_some_and(|o| o.account.is_some()))
    }

    async fn list(
        &self,
        domain: Option<&str>,
        after: Option<&BareJid>,
        limit: usize,
    ) -> Result<Vec<Account>> {
        let state = self.state()?;
        let mut rows: Vec<Account> = state
            .owners
            .iter()
            .filter(|(jid, _)| domain.is_none_or(|d| jid.domain() == d))
            .filter(|(jid, _)| after.is_none_or(|a| jid.as_str() > a.as_str()))
            .filter_map(|(jid, owner)| owner.as_account(jid))
            .collect();
        rows.sort_by(|a, b| a.user.as_str().cmp(b.user.as_str()));
        rows.truncate(limit);
        Ok(rows)
    }

    async fn count(&self, domain: Option<&str>) -> Result<u64> {
        let state = self.state()?;
        let accounts = state.owners.iter().filter(|(_, o)| o.account.is_some());
        Ok(accounts.filter(|(jid, _)| domain.is_none_or(|d| jid.domain() == d)).count() as u64)
    }

    async fn secret(&self) -> Result<[u8; 32]> {
        let mut state = self.state()?;
        if state.secret.is_none() {
            state.secret = Some(new_secret()?);
        }
        Ok(state.secret.expect("it was made in the line above"))
    }
}

#[async_trait]
impl DocumentStore for MemoryStorage {
    async fn get(&self, owner: &BareJid, kind: &str, key: &str) -> Result<Option<String>> {
        let state = self.state()?;
        let name = (kind.to_owned(), key.to_owned());
        Ok(state.owners.get(owner).and_then(|o| o.documents.get(&name)).cloned())
    }

    async fn all(&self, owner: &BareJid, kind: &str) -> Result<Vec<(String, String)>> {
        let state = self.state()?;
        let documents = state.owners.get(owner).into_iter().flat_map(|o| &o.documents);
        let of_kind = documents.filter(|((k, _), _)| k == kind);
        Ok(of_kind.map(|((_, key), xml)| (key.clone(), xml.clone())).collect())
    }

    async fn put(&self, owner: &BareJid, kind: &str, key: &str, xml: &str) -> Result<()> {
        self.state()?.put(owner, (kind, key), xml, false)
    }

    async fn put_within_quota(
        &self,
        owner: &BareJid,
        kind: &str,
        key: &str,
        xml: &str,
    ) -> Result<()> {
        self.state()?.put(owner, (kind, key), xml, true)
    }

    async fn remove(&self, owner: &BareJid, kind: &str, key: &str) -> Result<bool> {
        let mut state = self.state()?;
        let name = (kind.to_owned(), key.to_owned());
        let Some(owner) = state.owners.get_mut(owner) else { return Ok(false) };
        owner.room = owner.room.freed();
        Ok(owner.documents.remove(&name).is_some())
    }
}
