//! Invitations in SQLite.

use async_trait::async_trait;

use super::change::Change;
use super::database::Database;
use super::write_tx::WriteTx;
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::invitation::{INVITATIONS, REMEMBERED, SWEPT};
use crate::storage::sql::invitation;
use crate::storage::{Invitation, InvitationId, InvitationStore, Result, StorageError};

#[async_trait]
impl InvitationStore for Database {
    async fn add_invitation(&self, invitation: &Invitation, most: usize) -> Result<()> {
        self.writer.write(Add(invitation.clone(), most)).await
    }

    async fn find_invitation(&self, id: InvitationId) -> Result<Option<Invitation>> {
        invitation::find(&mut *self.reader().await?, id).await
    }

    async fn invitations(
        &self,
        inviter: Option<&BareJid>,
        limit: usize,
    ) -> Result<Vec<Invitation>> {
        let mut reader = self.reader().await?;
        match inviter {
            Some(inviter) => invitation::of(&mut reader, inviter, limit).await,
            None => invitation::all(&mut reader, limit).await,
        }
    }

    async fn use_invitation(&self, id: InvitationId, now: Option<Timestamp>) -> Result<bool> {
        self.writer.write(Use(id, now.map_or(i64::MIN, Timestamp::as_micros))).await
    }

    async fn return_invitation(&self, id: InvitationId) -> Result<()> {
        self.writer.write(Return(id)).await
    }

    async fn remove_invitation(&self, inviter: Option<&BareJid>, id: InvitationId) -> Result<bool> {
        self.writer.write(Remove(inviter.cloned(), id)).await
    }

    async fn reserved_for(&self, name: &BareJid, now: Timestamp) -> Result<Option<InvitationId>> {
        invitation::with_name(&mut *self.reader().await?, name, now.as_micros()).await
    }
}

struct Add(Invitation, usize);

#[async_trait]
impl Change for Add {
    type Answer = ();

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<()> {
        let Self(new, most) = self;
        let owner = on.owner(&new.inviter).await?.number;
        let connection = on.tx.connection().await?;
        let now = new.created.as_micros();
        let (all, open) = invitation::count(connection, owner, now).await?;
        if open >= *most as u64 {
            return Err(StorageError::Limit(INVITATIONS));
        }
        if all >= *most as u64 {
            invitation::remove_closed(connection, owner, now).await?;
        }
        let kept = i64::try_from(REMEMBERED.as_micros()).unwrap_or(i64::MAX);
        invitation::sweep(connection, now.saturating_sub(kept), SWEPT).await?;
        invitation::insert(connection, owner, new).await
    }
}

struct Use(InvitationId, i64);

#[async_trait]
impl Change for Use {
    type Answer = bool;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<bool> {
        invitation::take(on.tx.connection().await?, self.0, self.1).await
    }
}

struct Return(InvitationId);

#[async_trait]
impl Change for Return {
    type Answer = ();

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<()> {
        invitation::give_back(on.tx.connection().await?, self.0).await
    }
}

struct Remove(Option<BareJid>, InvitationId);

#[async_trait]
impl Change for Remove {
    type Answer = bool;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<bool> {
        let owner = match &self.0 {
            Some(inviter) => match on.owner_if_any(inviter).await? {
                Some(known) => Some(known.number),
                None => return Ok(false),
            },
            None => None,
        };
        invitation::remove(on.tx.connection().await?, owner, self.1).await
    }
}
