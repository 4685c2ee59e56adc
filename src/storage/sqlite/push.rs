//! Push registrations in SQLite.

use async_trait::async_trait;

use super::change::Change;
use super::database::Database;
use super::quota;
use super::write_tx::WriteTx;
use crate::jid::{BareJid, Jid};
use crate::payload::datetime::Timestamp;
use crate::storage::push::stalest;
use crate::storage::sql::push;
use crate::storage::{PushRegistration, PushStore, Result};

#[async_trait]
impl PushStore for Database {
    async fn registrations(&self, owner: &BareJid) -> Result<Vec<PushRegistration>> {
        push::all(&mut *self.reader().await?, owner).await
    }

    async fn register(
        &self,
        owner: &BareJid,
        registration: &PushRegistration,
        max: usize,
    ) -> Result<()> {
        let new = registration.clone();
        self.writer.write(Register { owner: owner.clone(), new, max }).await
    }

    async fn remove(&self, owner: &BareJid, service: &Jid, node: Option<&str>) -> Result<usize> {
        let (owner, service) = (owner.clone(), service.clone());
        let node = node.map(str::to_owned);
        self.writer.write(Remove { owner, service, node, registered: None }).await
    }

    async fn remove_unless_renewed(
        &self,
        owner: &BareJid,
        registration: &PushRegistration,
    ) -> Result<bool> {
        let (owner, service) = (owner.clone(), registration.service.clone());
        let node = Some(registration.node.clone());
        let registered = Some(registration.registered);
        let removed = self.writer.write(Remove { owner, service, node, registered }).await?;
        Ok(removed > 0)
    }
}

struct Register {
    owner: BareJid,
    new: PushRegistration,
    max: usize,
}

#[async_trait]
impl Change for Register {
    type Answer = ();

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<()> {
        let owner = on.owner(&self.owner).await?.number;
        let mut all = push::all(on.tx.connection().await?, &self.owner).await?;
        let is_same = |old: &PushRegistration| old.has_key(&self.new.service, Some(&self.new.node));
        let place = all.iter().position(is_same);
        let old = place.map_or(0, |at| all[at].bytes());
        quota::charge(on, &self.owner, old, self.new.bytes(), true).await?;
        push::put(on.tx.connection().await?, owner, &self.new).await?;
        let mut number = all.len() + usize::from(place.is_none());
        while number > self.max
            && let Some(at) = stalest(&all, &self.new)
        {
            let stale = all.remove(at);
            let connection = on.tx.connection().await?;
            push::remove(connection, owner, &stale.service, Some(&stale.node), None).await?;
            on.memory.freed(&self.owner);
            number -= 1;
        }
        Ok(())
    }
}

struct Remove {
    owner: BareJid,
    service: Jid,
    node: Option<String>,
    registered: Option<Timestamp>,
}

#[async_trait]
impl Change for Remove {
    type Answer = usize;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<usize> {
        let Some(known) = on.owner_if_any(&self.owner).await? else { return Ok(0) };
        let (owner, node) = (known.number, self.node.as_deref());
        let connection = on.tx.connection().await?;
        let removed = push::remove(connection, owner, &self.service, node, self.registered).await?;
        on.memory.freed(&self.owner);
        Ok(removed)
    }
}
