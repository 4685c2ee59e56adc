//! Files in memory: their rows.

use async_trait::async_trait;

use super::state::{Owner, State};
use super::storage::MemoryStorage;
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::upload_day::{hour, last_forgotten};
use crate::storage::{
    ContentHash, FILE_QUOTA, FileBounds, FileId, FileStore, FileTotals, Purpose, REPLACED_AT_ONCE,
    Result, StorageError, StoredFile, UPLOAD_DAY, UploadDay, UploadedFiles,
};

#[async_trait]
impl FileStore for MemoryStorage {
    async fn reserve(&self, file: &StoredFile, bounds: FileBounds) -> Result<()> {
        let mut state = self.state()?;
        let owner = state.owner(&file.owner);
        let last = last_forgotten(file.created);
        owner.upload_hours.retain(|hour, _| *hour > last);
        let day = day(owner, last);
        if bounds.per_day.is_some_and(|per_day| !day.has_room(file.size, per_day)) {
            return Err(StorageError::Limit(UPLOAD_DAY));
        }
        let sharing = file.purpose.sharing_quota();
        let same = || owner.files.iter().filter(|other| sharing.contains(&other.purpose));
        let counts = |other: &&StoredFile| !bounds.replace || other.content.is_none();
        let bytes = same().filter(counts).map(|o| o.size).fold(file.size, u64::saturating_add);
        let replaceable = same().filter(|other| !counts(other)).count();
        if bounds.are_exceeded(bytes, (owner.files.len() - replaceable + 1) as u64) {
            return Err(StorageError::Limit(FILE_QUOTA));
        }
        let of_hour = owner.upload_hours.entry(hour(file.created)).or_default();
        *of_hour = of_hour.saturating_add(file.size);
        owner.files.push(file.clone());
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

    async fn uploaded(
        &self,
        owner: &BareJid,
        now: Timestamp,
        limit: usize,
    ) -> Result<UploadedFiles> {
        let mut newest = self.files_of(owner, usize::MAX).await?;
        newest.retain(|file| file.content.is_some() && !file.is_over(now));
        let all = newest.len() as u64;
        newest.truncate(limit);
        Ok(UploadedFiles { newest, all })
    }

    async fn next_end(&self, owner: &BareJid, purpose: Purpose) -> Result<Option<Timestamp>> {
        let state = self.state()?;
        let files = state.owners.get(owner).into_iter().flat_map(|owner| &owner.files);
        let same = files.filter(|file| purpose.sharing_quota().contains(&file.purpose));
        let end = |file: &StoredFile| match file.content {
            Some(_) => file.expires,
            None => Some(file.slot_until),
        };
        Ok(same.filter_map(end).min())
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

    async fn note_media_type(&self, id: FileId, media_type: &str) -> Result<()> {
        let mut state = self.state()?;
        for file in all_mut(&mut state).filter(|file| file.id == id) {
            file.media_type.get_or_insert_with(|| media_type.to_owned());
        }
        Ok(())
    }

    async fn announce_content(&self, hash: ContentHash, size: u64) -> Result<()> {
        self.state()?.contents.insert(hash, size);
        Ok(())
    }

    async fn complete(
        &self,
        id: FileId,
        hash: ContentHash,
        bounds: FileBounds,
    ) -> Result<Option<u64>> {
        let mut state = self.state()?;
        let is_it = |file: &StoredFile| file.id == id && file.content.is_none();
        let owner = state.owners.values_mut().find(|owner| owner.files.iter().any(is_it));
        let Some(files) = owner.map(|owner| &mut owner.files) else { return Ok(None) };
        let Some(file) = files.iter_mut().find(|file| is_it(file)) else { return Ok(None) };
        file.content = Some(hash);
        let sharing = file.purpose.sharing_quota();
        let mut replaced = 0;
        while bounds.replace && replaced < REPLACED_AT_ONCE as u64 {
            let uploaded = || files.iter().filter(|other| other.content.is_some());
            let same = || uploaded().filter(|other| sharing.contains(&other.purpose));
            if !bounds.are_exceeded(same().map(|o| o.size).sum(), uploaded().count() as u64) {
                break;
            }
            let others = same().filter(|other| other.id != id);
            let oldest = others.min_by_key(|other| (other.created, other.id)).map(|other| other.id);
            let Some(oldest) = oldest else { break };
            files.retain(|other| other.id != oldest);
            replaced += 1;
        }
        Ok(Some(replaced))
    }

    async fn remove_file(&self, owner: &BareJid, id: FileId) -> Result<bool> {
        let mut state = self.state()?;
        let Some(owner) = state.owners.get_mut(owner) else { return Ok(false) };
        let before = owner.files.len();
        owner.files.retain(|file| file.id != id);
        Ok(owner.files.len() < before)
    }

    async fn upload_day(&self, owner: &BareJid, now: Timestamp) -> Result<UploadDay> {
        let state = self.state()?;
        let owner = state.owners.get(owner);
        Ok(owner.map(|owner| day(owner, last_forgotten(now))).unwrap_or_default())
    }

    async fn expired_slots(&self, now: Timestamp, limit: usize) -> Result<Vec<StoredFile>> {
        let state = self.state()?;
        let is_slot = |file: &&StoredFile| file.content.is_none() && file.is_over(now);
        Ok(all(&state).filter(is_slot).take(limit).cloned().collect())
    }

    async fn give_up(&self, id: FileId, unsent: u64) -> Result<bool> {
        let mut state = self.state()?;
        let is_it = |file: &StoredFile| file.id == id && file.content.is_none();
        for owner in state.owners.values_mut() {
            let Some(at) = owner.files.iter().position(is_it) else { continue };
            let slot = owner.files.remove(at);
            if let Some(bytes) = owner.upload_hours.get_mut(&hour(slot.created)) {
                *bytes = bytes.saturating_sub(unsent);
            }
            return Ok(true);
        }
        Ok(false)
    }

    async fn remove_expired(&self, now: Timestamp, limit: usize) -> Result<u64> {
        let mut state = self.state()?;
        let mut removed = 0;
        for owner in state.owners.values_mut() {
            owner.files.retain(|file| {
                let has_expired = file.content.is_some() && file.is_over(now);
                let goes = has_expired && removed < limit as u64;
                removed += u64::from(goes);
                !goes
            });
        }
        Ok(removed)
    }

    async fn unused_contents(
        &self,
        after: Option<ContentHash>,
        limit: usize,
    ) -> Result<Vec<ContentHash>> {
        let state = self.state()?;
        let behind = state.contents.keys().copied().filter(|hash| Some(*hash) > after);
        Ok(behind.filter(|hash| is_unused(&state, *hash)).take(limit).collect())
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

/// The hours of an owner after this one.
fn day(owner: &Owner, last: i64) -> UploadDay {
    let hours = owner.upload_hours.range(last + 1..);
    UploadDay::new(hours.map(|(hour, bytes)| (*hour, *bytes)).collect())
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
