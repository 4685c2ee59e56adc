//! Accounts and keys in SQLite.

use async_trait::async_trait;

use super::change::Change;
use super::database::Database;
use super::remove_owner::purge;
use super::write_tx::WriteTx;
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::secret::new_secret;
use crate::storage::sql::{account, device, room, setting};
use crate::storage::{Account, AccountStore, Created, NewAccount, Result, ScramHash, ScramKeys};

#[async_trait]
impl AccountStore for Database {
    async fn create(&self, accounts: &[NewAccount]) -> Result<Vec<Created>> {
        self.writer.write(Create(accounts.to_vec())).await
    }

    async fn find(&self, user: &BareJid) -> Result<Option<Account>> {
        account::find(&mut *self.reader().await?, user).await
    }

    async fn keys(&self, user: &BareJid, hash: ScramHash) -> Result<Option<ScramKeys>> {
        account::keys(&mut *self.reader().await?, user, hash).await
    }

    async fn cheapest_keys(&self, user: &BareJid) -> Result<Option<ScramKeys>> {
        account::cheapest_keys(&mut *self.reader().await?, user).await
    }

    async fn hashes(&self, user: &BareJid) -> Result<Vec<ScramHash>> {
        account::hashes(&mut *self.reader().await?, user).await
    }

    async fn set_keys(&self, user: &BareJid, keys: &[ScramKeys]) -> Result<bool> {
        self.writer.write(SetKeys { user: user.clone(), keys: keys.to_vec() }).await
    }

    async fn add_keys(
        &self,
        user: &BareJid,
        (hash, stored_key): (ScramHash, &[u8]),
        keys: &ScramKeys,
    ) -> Result<bool> {
        let (user, proven, keys) = (user.clone(), (hash, stored_key.to_vec()), keys.clone());
        self.writer.write(AddKeys { user, proven, keys }).await
    }

    async fn set_admin(&self, user: &BareJid, admin: bool) -> Result<bool> {
        self.writer.write(SetAdmin { user: user.clone(), admin }).await
    }

    async fn admins(&self) -> Result<Vec<BareJid>> {
        account::admins(&mut *self.reader().await?).await
    }

    async fn note_login(&self, user: &BareJid, at: Timestamp) -> Result<()> {
        self.writer.login(user.clone(), at, None).await
    }

    async fn remove(&self, user: &BareJid) -> Result<bool> {
        if room::exists(&mut *self.reader().await?, user).await? {
            return Ok(false);
        }
        self.forget_archive(user, self.writer.newest()).await?;
        self.writer.write(Remove(user.clone())).await
    }

    async fn list(
        &self,
        domain: Option<&str>,
        after: Option<&BareJid>,
        limit: usize,
    ) -> Result<Vec<Account>> {
        account::list(&mut *self.reader().await?, domain, after, limit).await
    }

    async fn count(&self, domain: Option<&str>) -> Result<u64> {
        account::count(&mut *self.reader().await?, domain).await
    }

    async fn secret(&self) -> Result<[u8; 32]> {
        if let Some(secret) = self.secret.get() {
            return Ok(*secret);
        }
        let secret = self.writer.write(Secret(new_secret()?)).await?;
        Ok(*self.secret.get_or_init(|| secret))
    }
}

struct Create(Vec<NewAccount>);

#[async_trait]
impl Change for Create {
    type Answer = Vec<Created>;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<Vec<Created>> {
        let mut answers = Vec::with_capacity(self.0.len());
        for new in &self.0 {
            // Nearly always there is no such owner yet, so this comes before any query.
            let owner = match on.new_owner(&new.user).await? {
                Some(known) => known.number,
                None => {
                    let old = on.owner(&new.user).await?.number;
                    if account::exists(on.tx.connection().await?, old).await? {
                        answers.push(Created::Exists);
                        continue;
                    }
                    purge(on, &new.user, old).await?;
                    on.owner(&new.user).await?.number
                }
            };
            account::insert(on.tx.connection().await?, owner, new).await?;
            answers.push(Created::Made);
        }
        Ok(answers)
    }
}

struct SetKeys {
    user: BareJid,
    keys: Vec<ScramKeys>,
}

#[async_trait]
impl Change for SetKeys {
    type Answer = bool;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<bool> {
        let Some(known) = on.owner_if_any(&self.user).await? else { return Ok(false) };
        if !account::exists(on.tx.connection().await?, known.number).await? {
            return Ok(false);
        }
        account::replace_keys(on.tx.connection().await?, known.number, &self.keys).await?;
        device::password_changed(on.tx.connection().await?, known.number).await?;
        Ok(true)
    }
}

struct AddKeys {
    user: BareJid,
    proven: (ScramHash, Vec<u8>),
    keys: ScramKeys,
}

#[async_trait]
impl Change for AddKeys {
    type Answer = bool;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<bool> {
        let connection = on.tx.connection().await?;
        let (hash, stored_key) = &self.proven;
        let found = account::keys(connection, &self.user, *hash).await?;
        if found.is_none_or(|found| found.stored_key != *stored_key) {
            return Ok(false);
        }
        let Some(known) = on.owner_if_any(&self.user).await? else { return Ok(false) };
        account::add_keys(on.tx.connection().await?, known.number, &self.keys).await?;
        Ok(true)
    }
}

struct SetAdmin {
    user: BareJid,
    admin: bool,
}

#[async_trait]
impl Change for SetAdmin {
    type Answer = bool;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<bool> {
        let Some(known) = on.owner_if_any(&self.user).await? else { return Ok(false) };
        account::set_admin(on.tx.connection().await?, known.number, self.admin).await
    }
}

struct Remove(BareJid);

#[async_trait]
impl Change for Remove {
    type Answer = bool;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<bool> {
        let Some(known) = on.owner_if_any(&self.0).await? else { return Ok(false) };
        let existed = account::exists(on.tx.connection().await?, known.number).await?;
        if !existed && room::exists(on.tx.connection().await?, &self.0).await? {
            return Ok(false);
        }
        purge(on, &self.0, known.number).await?;
        Ok(existed)
    }
}

struct Secret([u8; 32]);

#[async_trait]
impl Change for Secret {
    type Answer = [u8; 32];

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<[u8; 32]> {
        setting::secret(on.tx.connection().await?, &self.0).await
    }
}
