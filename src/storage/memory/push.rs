//! Push registrations in memory.

use async_trait::async_trait;

use super::storage::MemoryStorage;
use crate::jid::{BareJid, Jid};
use crate::storage::push::stalest;
use crate::storage::{PushRegistration, PushStore, Result};

#[async_trait]
impl PushStore for MemoryStorage {
    async fn registrations(&self, owner: &BareJid) -> Result<Vec<PushRegistration>> {
        let state = self.state()?;
        Ok(state.owners.get(owner).map(|owner| owner.push.clone()).unwrap_or_default())
    }

    async fn register(
        &self,
        owner: &BareJid,
        registration: &PushRegistration,
        max: usize,
    ) -> Result<()> {
        let mut state = self.state()?;
        let default = state.default_quota;
        let owner = state.owner(owner);
        let key = |other: &PushRegistration| (other.service.to_string(), other.node.clone());
        let place = owner.push.binary_search_by_key(&key(registration), key);
        let old = place.map_or(0, |at| owner.push[at].bytes());
        owner.change(default, old, registration.bytes(), true)?;
        match place {
            Ok(at) => owner.push[at] = registration.clone(),
            Err(at) => owner.push.insert(at, registration.clone()),
        }
        while owner.push.len() > max
            && let Some(at) = stalest(&owner.push, registration)
        {
            owner.push.remove(at);
            owner.room = owner.room.freed();
        }
        Ok(())
    }

    async fn remove(&self, owner: &BareJid, service: &Jid, node: Option<&str>) -> Result<usize> {
        let mut state = self.state()?;
        let Some(owner) = state.owners.get_mut(owner) else { return Ok(0) };
        let before = owner.push.len();
        owner.push.retain(|other| !other.has_key(service, node));
        owner.room = owner.room.freed();
        Ok(before - owner.push.len())
    }

    async fn remove_unless_renewed(
        &self,
        owner: &BareJid,
        registration: &PushRegistration,
    ) -> Result<bool> {
        let mut state = self.state()?;
        let Some(owner) = state.owners.get_mut(owner) else { return Ok(false) };
        let before = owner.push.len();
        owner.push.retain(|other| {
            !other.has_key(&registration.service, Some(&registration.node))
                || other.registered != registration.registered
        });
        owner.room = owner.room.freed();
        Ok(owner.push.len() < before)
    }
}
