//! What hashes of capabilities stand for, in memory.

use async_trait::async_trait;
use smol_str::SmolStr;

use super::storage::MemoryStorage;
use crate::jid::BareJid;
use crate::storage::{CapabilityStore, MAX_CAPABILITIES, MAX_CAPABILITIES_OF_OWNER, Result};

#[async_trait]
impl CapabilityStore for MemoryStorage {
    async fn interests(&self, hash: &str) -> Result<Option<Vec<SmolStr>>> {
        let state = self.state()?;
        let mut all = state.owners.values().flat_map(|owner| &owner.capabilities);
        Ok(all.find(|(_, known, _)| known == hash).map(|(_, _, nodes)| nodes.clone()))
    }

    async fn remember(&self, owner: &BareJid, hash: &str, nodes: &[SmolStr]) -> Result<()> {
        let mut state = self.state()?;
        let all = || state.owners.values().flat_map(|owner| &owner.capabilities);
        if all().any(|(_, known, _)| known == hash) {
            return Ok(());
        }
        let mut numbers: Vec<i64> = all().map(|(number, ..)| *number).collect();
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        let last = numbers.get(MAX_CAPABILITIES - 1).copied();
        let number = numbers.first().map_or(1, |newest| newest + 1);
        let own = &mut state.owner(owner).capabilities;
        own.push((number, hash.into(), nodes.to_vec()));
        if own.len() > MAX_CAPABILITIES_OF_OWNER {
            own.remove(0);
        }
        if let Some(last) = last {
            let owners = state.owners.values_mut();
            owners.for_each(|owner| owner.capabilities.retain(|(number, ..)| *number > last));
        }
        Ok(())
    }
}
