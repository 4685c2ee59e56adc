//! Devices in memory.

use async_trait::async_trait;

use super::storage::MemoryStorage;
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::{BY_RESOURCE, Device, DeviceLogin, DeviceStore, MOST_DEVICES, Result};

#[async_trait]
impl DeviceStore for MemoryStorage {
    async fn note_device(
        &self,
        user: &BareJid,
        at: Timestamp,
        login: &DeviceLogin,
    ) -> Result<bool> {
        let mut state = self.state()?;
        let Some(owner) = state.owners.get_mut(user) else { return Ok(false) };
        let Some(account) = &mut owner.account else { return Ok(false) };
        account.last_login = Some(at);
        if let Some(known) = owner.devices.get_mut(&login.id) {
            known.last_seen = at;
            known.software = login.software.clone().or(known.software.take());
            known.device = login.device.clone().or(known.device.take());
            known.knows_password |= login.by_password;
            return Ok(false);
        }
        let is_first = owner.devices.is_empty();
        let new = Device {
            id: login.id.clone(),
            software: login.software.clone(),
            device: login.device.clone(),
            first_seen: at,
            last_seen: at,
            knows_password: login.by_password,
        };
        owner.devices.insert(login.id.clone(), new);
        let by_resource = login.id.starts_with(BY_RESOURCE);
        let is_alike = |device: &&Device| device.id.starts_with(BY_RESOURCE) == by_resource;
        if owner.devices.values().filter(is_alike).count() > MOST_DEVICES {
            let others = owner.devices.values().filter(is_alike);
            let others = others.filter(|device| device.id != login.id);
            let oldest = others.min_by_key(|device| device.last_seen).map(|d| d.id.clone());
            oldest.and_then(|id| owner.devices.remove(&id));
        }
        Ok(!is_first)
    }

    async fn of(&self, user: &BareJid) -> Result<Vec<Device>> {
        let state = self.state()?;
        let devices = state.owners.get(user).into_iter().flat_map(|owner| owner.devices.values());
        Ok(devices.cloned().collect())
    }

    async fn forget_device(&self, user: &BareJid, id: &str) -> Result<bool> {
        let mut state = self.state()?;
        Ok(state.owners.get_mut(user).and_then(|owner| owner.devices.remove(id)).is_some())
    }

    async fn forget_unseen(&self, before: Timestamp, limit: usize) -> Result<u64> {
        let mut state = self.state()?;
        let mut forgotten = 0;
        for owner in state.owners.values_mut() {
            owner.devices.retain(|_, device| {
                let goes = device.last_seen < before && forgotten < limit as u64;
                forgotten += u64::from(goes);
                !goes
            });
        }
        Ok(forgotten)
    }
}
