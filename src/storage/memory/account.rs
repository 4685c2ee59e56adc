//! Accounts in memory.

use async_trait::async_trait;

use super::state::{AccountData, Owner};
use super::storage::MemoryStorage;
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::secret::new_secret;
use crate::storage::{Account, AccountStore, Created, NewAccount, Result, ScramHash, ScramKeys};

impl Owner {
    fn as_account(&self, user: &BareJid) -> Option<Account> {
        let account = self.account.as_ref()?;
        Some(Account {
            user: user.clone(),
            created: account.created,
            last_login: account.last_login,
            admin: account.admin,
        })
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
            let (created, admin) = (new.created, new.admin);
            let data = AccountData { keys, created, last_login: None, admin };
            state.owner(&new.user).account = Some(data);
            answers.push(Created::Made);
        }
        Ok(answers)
    }

    async fn find(&self, user: &BareJid) -> Result<Option<Account>> {
        Ok(self.state()?.owners.get(user).and_then(|o| o.as_account(user)))
    }

    async fn keys(&self, user: &BareJid, hash: ScramHash) -> Result<Option<ScramKeys>> {
        let state = self.state()?;
        let account = state.owners.get(user).and_then(|o| o.account.as_ref());
        Ok(account.and_then(|a| a.keys.iter().find(|k| k.hash == hash)).cloned())
    }

    async fn cheapest_keys(&self, user: &BareJid) -> Result<Option<ScramKeys>> {
        for hash in [ScramHash::Sha1, ScramHash::Sha256, ScramHash::Sha512] {
            if let Some(keys) = self.keys(user, hash).await? {
                return Ok(Some(keys));
            }
        }
        Ok(None)
    }

    async fn hashes(&self, user: &BareJid) -> Result<Vec<ScramHash>> {
        let state = self.state()?;
        let account = state.owners.get(user).and_then(|o| o.account.as_ref());
        let mut hashes: Vec<_> =
            account.into_iter().flat_map(|a| &a.keys).map(|k| k.hash).collect();
        hashes.sort_unstable();
        Ok(hashes)
    }

    async fn set_keys(&self, user: &BareJid, keys: &[ScramKeys]) -> Result<bool> {
        let mut state = self.state()?;
        let Some(owner) = state.owners.get_mut(user) else { return Ok(false) };
        let Some(account) = &mut owner.account else { return Ok(false) };
        account.keys = keys.to_vec();
        owner.devices.values_mut().for_each(|device| device.knows_password = false);
        Ok(true)
    }

    async fn add_keys(
        &self,
        user: &BareJid,
        (hash, stored_key): (ScramHash, &[u8]),
        keys: &ScramKeys,
    ) -> Result<bool> {
        let mut state = self.state()?;
        let account = state.owners.get_mut(user).and_then(|o| o.account.as_mut());
        let is_proven = |k: &ScramKeys| k.hash == hash && k.stored_key == stored_key;
        let Some(account) = account.filter(|a| a.keys.iter().any(is_proven)) else {
            return Ok(false);
        };
        if !account.keys.iter().any(|k| k.hash == keys.hash) {
            account.keys.push(keys.clone());
        }
        Ok(true)
    }

    async fn set_admin(&self, user: &BareJid, admin: bool) -> Result<bool> {
        let mut state = self.state()?;
        let account = state.owners.get_mut(user).and_then(|o| o.account.as_mut());
        Ok(account.map(|a| a.admin = admin).is_some())
    }

    async fn admins(&self) -> Result<Vec<BareJid>> {
        let all = self.list(None, None, usize::MAX).await?;
        Ok(all.into_iter().filter(|account| account.admin).map(|account| account.user).collect())
    }

    async fn note_login(&self, user: &BareJid, at: Timestamp) -> Result<()> {
        let mut state = self.state()?;
        if let Some(account) = state.owners.get_mut(user).and_then(|o| o.account.as_mut()) {
            account.last_login = Some(at);
        }
        Ok(())
    }

    async fn remove(&self, user: &BareJid) -> Result<bool> {
        let mut state = self.state()?;
        if state.owners.get(user).is_some_and(|o| o.account.is_none() && o.group_chat.is_some()) {
            return Ok(false);
        }
        Ok(state.remove(user).is_some_and(|o| o.account.is_some()))
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
