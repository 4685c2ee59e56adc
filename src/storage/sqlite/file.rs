//! Files in SQLite: their rows.

use async_trait::async_trait;

use super::change::Change;
use super::database::Database;
use super::write_tx::WriteTx;
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::sql::{file, file_room, upload_hour};
use crate::storage::upload_day::{hour, last_forgotten};
use crate::storage::{
    ContentHash, FILE_QUOTA, FileBounds, FileId, FileStore, FileTotals, Purpose, REPLACED_AT_ONCE,
    Result, StorageError, StoredFile, UPLOAD_DAY, UploadDay, UploadedFiles,
};

#[async_trait]
impl FileStore for Database {
    async fn reserve(&self, file: &StoredFile, bounds: FileBounds) -> Result<()> {
        self.writer.write(Reserve(file.clone(), bounds)).await
    }

    async fn find(&self, id: FileId) -> Result<Option<StoredFile>> {
        file::find(&mut *self.reader().await?, id).await
    }

    async fn files_of(&self, owner: &BareJid, limit: usize) -> Result<Vec<StoredFile>> {
        file::of(&mut *self.reader().await?, owner, limit).await
    }

    async fn uploaded(
        &self,
        owner: &BareJid,
        now: Timestamp,
        limit: usize,
    ) -> Result<UploadedFiles> {
        file::uploaded(&mut *self.reader().await?, owner, now, limit).await
    }

    async fn next_end(&self, owner: &BareJid, purpose: Purpose) -> Result<Option<Timestamp>> {
        file::next_end(&mut *self.reader().await?, owner, purpose.sharing_quota()).await
    }

    async fn used_by(&self, owner: &BareJid, purpose: Purpose) -> Result<(u64, u64)> {
        let Some(number) = self.owner_number(owner).await? else { return Ok((0, 0)) };
        let sharing = purpose.sharing_quota();
        let room = file_room::room(&mut *self.reader().await?, number, sharing).await?;
        Ok((room.bytes, room.files))
    }

    async fn extend(&self, id: FileId, until: Timestamp) -> Result<()> {
        self.writer.write(Extend(id, until)).await
    }

    async fn note_media_type(&self, id: FileId, media_type: &str) -> Result<()> {
        self.writer.write(NoteMediaType(id, media_type.to_owned())).await
    }

    async fn announce_content(&self, hash: ContentHash, size: u64) -> Result<()> {
        self.writer.write(Announce(hash, size)).await
    }

    async fn complete(
        &self,
        id: FileId,
        hash: ContentHash,
        bounds: FileBounds,
    ) -> Result<Option<u64>> {
        self.writer.write(Complete(id, hash, bounds)).await
    }

    async fn remove_file(&self, owner: &BareJid, id: FileId) -> Result<bool> {
        self.writer.write(Remove(owner.clone(), id)).await
    }

    async fn upload_day(&self, owner: &BareJid, now: Timestamp) -> Result<UploadDay> {
        let Some(number) = self.owner_number(owner).await? else { return Ok(UploadDay::default()) };
        let connection = &mut *self.reader().await?;
        Ok(UploadDay::new(upload_hour::after(connection, number, last_forgotten(now)).await?))
    }

    async fn expired_slots(&self, now: Timestamp, limit: usize) -> Result<Vec<StoredFile>> {
        file::expired_slots(&mut *self.reader().await?, now, limit).await
    }

    async fn give_up(&self, id: FileId, unsent: u64) -> Result<bool> {
        self.writer.write(GiveUp(id, unsent)).await
    }

    async fn remove_expired(&self, now: Timestamp, limit: usize) -> Result<u64> {
        self.writer.write(RemoveExpired(now, limit)).await
    }

    async fn unused_contents(
        &self,
        after: Option<ContentHash>,
        limit: usize,
    ) -> Result<Vec<ContentHash>> {
        file::unused(&mut *self.reader().await?, after, limit).await
    }

    async fn is_unused(&self, hash: ContentHash) -> Result<bool> {
        file::is_unused(&mut *self.reader().await?, hash).await
    }

    async fn forget_content(&self, hash: ContentHash) -> Result<bool> {
        self.writer.write(Forget(hash)).await
    }

    async fn totals(&self) -> Result<FileTotals> {
        file::totals(&mut *self.reader().await?).await
    }
}

struct Reserve(StoredFile, FileBounds);

#[async_trait]
impl Change for Reserve {
    type Answer = ();

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<()> {
        let Self(new, bounds) = self;
        if new.size > bounds.bytes {
            return Err(StorageError::Limit(FILE_QUOTA));
        }
        let owner = on.owner(&new.owner).await?.number;
        let connection = on.tx.connection().await?;
        let last = last_forgotten(new.created);
        let day = UploadDay::new(upload_hour::after(connection, owner, last).await?);
        if bounds.per_day.is_some_and(|per_day| !day.has_room(new.size, per_day)) {
            return Err(StorageError::Limit(UPLOAD_DAY));
        }
        let room = file_room::room(connection, owner, new.purpose.sharing_quota()).await?;
        let (bytes, files) = match bounds.replace {
            true => (room.bytes - room.uploaded_bytes, room.files - room.replaceable),
            false => (room.bytes, room.files),
        };
        if bounds.are_exceeded(bytes.saturating_add(new.size), files + 1) {
            return Err(StorageError::Limit(FILE_QUOTA));
        }
        upload_hour::forget(connection, owner, last).await?;
        upload_hour::add(connection, owner, hour(new.created), new.size).await?;
        file::insert(connection, owner, new).await
    }
}

struct Extend(FileId, Timestamp);

#[async_trait]
impl Change for Extend {
    type Answer = ();

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<()> {
        file::extend(on.tx.connection().await?, self.0, self.1).await
    }
}

struct NoteMediaType(FileId, String);

#[async_trait]
impl Change for NoteMediaType {
    type Answer = ();

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<()> {
        file::note_media_type(on.tx.connection().await?, self.0, &self.1).await
    }
}

struct Announce(ContentHash, u64);

#[async_trait]
impl Change for Announce {
    type Answer = ();

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<()> {
        file::put_content(on.tx.connection().await?, self.0, self.1).await
    }
}

struct Complete(FileId, ContentHash, FileBounds);

#[async_trait]
impl Change for Complete {
    type Answer = Option<u64>;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<Option<u64>> {
        let Self(id, hash, bounds) = self;
        let connection = on.tx.connection().await?;
        let Some((owner, purpose)) = file_room::slot(connection, *id).await? else {
            return Ok(None);
        };
        file::complete(connection, *id, *hash).await?;
        let sharing = purpose.sharing_quota();
        let room = file_room::room(connection, owner, sharing).await?;
        let (mut bytes, mut files) = (room.uploaded_bytes, room.uploaded);
        if !bounds.replace || !bounds.are_exceeded(bytes, files) {
            return Ok(Some(0));
        }
        let mut replaced = 0;
        for (old, size) in file_room::oldest(connection, owner, sharing, REPLACED_AT_ONCE).await? {
            if !bounds.are_exceeded(bytes, files) {
                break;
            }
            if old != *id {
                file::remove(connection, owner, old).await?;
                (bytes, files) = (bytes.saturating_sub(size), files.saturating_sub(1));
                replaced += 1;
            }
        }
        Ok(Some(replaced))
    }
}

struct Remove(BareJid, FileId);

#[async_trait]
impl Change for Remove {
    type Answer = bool;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<bool> {
        let Some(known) = on.owner_if_any(&self.0).await? else { return Ok(false) };
        file::remove(on.tx.connection().await?, known.number, self.1).await
    }
}

struct GiveUp(FileId, u64);

#[async_trait]
impl Change for GiveUp {
    type Answer = bool;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<bool> {
        let connection = on.tx.connection().await?;
        let removed = file_room::remove_slot(connection, self.0).await?;
        if let Some((owner, created)) = removed {
            upload_hour::take_back(connection, owner, hour(created), self.1).await?;
        }
        Ok(removed.is_some())
    }
}

struct RemoveExpired(Timestamp, usize);

#[async_trait]
impl Change for RemoveExpired {
    type Answer = u64;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<u64> {
        file::remove_expired(on.tx.connection().await?, self.0, self.1).await
    }
}

struct Forget(ContentHash);

#[async_trait]
impl Change for Forget {
    type Answer = bool;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<bool> {
        let connection = on.tx.connection().await?;
        let is_unused = file::is_unused(connection, self.0).await?;
        if is_unused {
            file::forget(connection, self.0).await?;
        }
        Ok(is_unused)
    }
}
