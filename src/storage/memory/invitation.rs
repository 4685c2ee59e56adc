//! Invitations in memory.

use async_trait::async_trait;

use super::state::State;
use super::storage::MemoryStorage;
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::invitation::{INVITATIONS, REMEMBERED};
use crate::storage::{Invitation, InvitationId, InvitationStore, Result, StorageError};

#[async_trait]
impl InvitationStore for MemoryStorage {
    async fn add_invitation(&self, invitation: &Invitation, most: usize) -> Result<()> {
        let mut state = self.state()?;
        let now = invitation.created;
        let kept = i64::try_from(REMEMBERED.as_micros()).unwrap_or(i64::MAX);
        let oldest = Timestamp::from_micros(now.as_micros().saturating_sub(kept));
        for owner in state.owners.values_mut() {
            owner.invitations.retain(|known| known.expires >= oldest);
        }
        let known = &mut state.owner(&invitation.inviter).invitations;
        if known.len() >= most {
            known.retain(|known| known.is_open(now));
        }
        if known.len() >= most {
            return Err(StorageError::Limit(INVITATIONS));
        }
        known.push(invitation.clone());
        Ok(())
    }

    async fn find_invitation(&self, id: InvitationId) -> Result<Option<Invitation>> {
        Ok(all(&*self.state()?).find(|known| known.id == id).cloned())
    }

    async fn invitations(
        &self,
        inviter: Option<&BareJid>,
        limit: usize,
    ) -> Result<Vec<Invitation>> {
        let state = self.state()?;
        let is_of = |known: &&Invitation| inviter.is_none_or(|inviter| known.inviter == *inviter);
        let mut found: Vec<_> = all(&state).filter(is_of).cloned().collect();
        found.sort_by_key(|known| (known.created, known.id));
        found.reverse();
        found.truncate(limit);
        Ok(found)
    }

    async fn use_invitation(&self, id: InvitationId, now: Option<Timestamp>) -> Result<bool> {
        let mut state = self.state()?;
        let Some(known) = find(&mut state, id) else { return Ok(false) };
        let is_usable = known.uses > 0 && now.is_none_or(|now| known.expires > now);
        known.uses -= u32::from(is_usable);
        Ok(is_usable)
    }

    async fn return_invitation(&self, id: InvitationId) -> Result<()> {
        if let Some(known) = find(&mut *self.state()?, id) {
            known.uses += 1;
        }
        Ok(())
    }

    async fn remove_invitation(&self, inviter: Option<&BareJid>, id: InvitationId) -> Result<bool> {
        let mut state = self.state()?;
        let mut is_removed = false;
        for owner in state.owners.values_mut() {
            owner.invitations.retain(|known| {
                let goes =
                    known.id == id && inviter.is_none_or(|inviter| known.inviter == *inviter);
                is_removed |= goes;
                !goes
            });
        }
        Ok(is_removed)
    }

    async fn reserved_for(&self, name: &BareJid, now: Timestamp) -> Result<Option<InvitationId>> {
        let state = self.state()?;
        let mut open = all(&state).filter(|known| known.is_open(now));
        Ok(open.find(|known| known.name.as_ref() == Some(name)).map(|known| known.id))
    }
}

fn all(state: &State) -> impl Iterator<Item = &Invitation> {
    state.owners.values().flat_map(|owner| &owner.invitations)
}

fn find(state: &mut State, id: InvitationId) -> Option<&mut Invitation> {
    state.owners.values_mut().flat_map(|owner| &mut owner.invitations).find(|known| known.id == id)
}
