//! Files in memory: their rows.

use async_trait::async_trait;

use super::state::State;
use super::storage::MemoryStorage;
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::file::FILE_QUOTA;
use crate::storage::{
    ContentHash, FileBounds, FileId, FileStore, FileTotals, Purpose, Result, StorageError,
    StoredFile,
};

#[async_trait]
impl FileStore for MemoryStorage {
    async fn reserve(&self, file: &StoredFile, bounds: FileBounds) -> Result<()> {
        let mut state = self.state()?;
        let owner = state.owner(&file.owner);
        let sharing = file.purpose.sharing_quota();
        let mut files = owner.files.clone();
        loop {
            let same = || files.iter().filter(|other| sharing.contains(&other.purpose));
            let bytes = same().map(|other| other.size).fold(file.size, u64::saturating_add);
            if bytes <= bounds.bytes && (files.len() as u64) < bounds.files {
                break;
            }
            let old = same().filter(|other| bounds.replace && other.content.is_some());
            let oldest = old.min_by_key(|other| (other.created, other.id)).map(|other| other.id);
            let oldest = oldest.filter(|_| file.size <= bounds.bytes);
            let Some(oldest) = oldest else { return Err(StorageError::Limit(FILE_QUOTA)) };
            files.retain(|other| other.id != oldest);
        }
        files.push(file.clone());
        owner.files = files;
        Ok(())
    }

    async fn find(&self, id: FileId) -> Result<Option<StoredFile>> {
        Ok(all(&*self.state()?).find(|file| file.id == id).cloned())
    }

    async fn files_of(&self, owner: &BareJid, limit: usize) -> Result<Vec<StoredFile>> {
        let state = self.state()?;
        let mut files =
            state.owners.get(owner).map(|owner| owner.files.clone()).unwrap_or_default();
        files.sort_by_key(|file| (file.created, file.id));
        files.reverse();
        files.truncate(limit);
        Ok(files)
    }

    async fn used_by(&self, owner: &BareJid, purpose: Purpose) -> Result<(u64, u64)> {
        let state = self.state()?;
        let Some(owner) = state.owners.get(owner) else { return Ok((0, 0)) };
        let sharing = purpose.sharing_quota();
        let same = owner.files.iter().filter(|file| sharing.contains(&file.purpose));
        Ok((same.map(|file| file.size).sum(), owner.files.len() as u64))
    }

    async fn extend(&self, id: FileId, until: Timestamp) -> Result<()> {
        let mut state = self.state()?;
        for file in all_mut(&mut state).filter(|file| file.id == id) {
            file.slot_until = file.slot_until.max(until);
        }
        Ok(())
    }

    async fn announce_content(&self, hash: ContentHash, size: u64) -> Result<()> {
        self.state()?.contents.insert(hash, size);
        Ok(())
    }

    async fn complete(&self, id: FileId, hash: ContentHash) -> Result<bool> {
        let mut state = self.state()?;
        let Some(file) = all_mut(&mut state).find(|file| file.id == id && file.content.is_none())
        else {
            return Ok(false);
        };
        file.content = Some(hash);
        Ok(true)
    }

    async fn remove_file(&self, owner: &BareJid, id: FileId) -> Result<bool> {
        let mut state = self.state()?;
        let Some(owner) = state.owners.get_mut(owner) else { return Ok(false) };
        let before = owner.files.len();
        owner.files.retain(|file| file.id != id);
        Ok(owner.files.len() < before)
    }

    async fn remove_expired(&self, now: Timestamp, limit: usize) -> Result<u64> {
        let mut state = self.state()?;
        let mut removed = 0;
        for owner in state.owners.values_mut() {
            owner.files.retain(|file| {
                let has_expired = file.expires.is_some_and(|expires| expires <= now);
                let goes = (has_expired || file.is_over(now)) && removed < limit as u64;
                removed += u64::from(goes);
                !goes
            });
        }
        Ok(removed)
    }

    async fn unused_contents(&self, limit: usize) -> Result<Vec<ContentHash>> {
        let state = self.state()?;
        let unused = state.contents.keys().copied().filter(|hash| is_unused(&state, *hash));
        Ok(unused.take(limit).collect())
    }

    async fn is_unused(&self, hash: ContentHash) -> Result<bool> {
        Ok(is_unused(&*self.state()?, hash))
    }

    async fn forget_content(&self, hash: ContentHash) -> Result<bool> {
        let mut state = self.state()?;
        let is_unused = is_unused(&state, hash);
        if is_unused {
            state.contents.remove(&hash);
        }
        Ok(is_unused)
    }

    async fn totals(&self) -> Result<FileTotals> {
        let state = self.state()?;
        Ok(FileTotals {
            files: all(&state).count() as u64,
            bytes: all(&state).map(|file| file.size).sum(),
            contents: state.contents.len() as u64,
            content_bytes: state.contents.values().sum(),
        })
    }
}

fn all(state: &State) -> impl Iterator<Item = &StoredFile> {
    state.owners.values().flat_map(|owner| &owner.files)
}

fn all_mut(state: &mut State) -> impl Iterator<Item = &mut StoredFile> {
    state.owners.values_mut().flat_map(|owner| &mut owner.files)
}

fn is_unused(state: &State, hash: ContentHash) -> bool {
    all(state).all(|file| file.content != Some(hash))
}
