//! Devices in SQLite. Logins are written by `device_note.rs`.

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::change::Change;
use super::database::Database;
use super::device_note::DeviceNote;
use super::write_tx::WriteTx;
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::sql::device;
use crate::storage::{Device, DeviceLogin, DeviceStore, Result, StorageError};

#[async_trait]
impl DeviceStore for Database {
    async fn note_device(
        &self,
        user: &BareJid,
        at: Timestamp,
        login: &DeviceLogin,
    ) -> Result<bool> {
        let (answer, written) = oneshot::channel();
        let note = DeviceNote { login: login.clone(), is_new: false, answer };
        self.writer.login(user.clone(), at, Some(Box::new(note))).await?;
        written.await.map_err(|_| StorageError::closed())?
    }

    async fn of(&self, user: &BareJid) -> Result<Vec<Device>> {
        device::all(&mut *self.reader().await?, user).await
    }

    async fn forget_device(&self, user: &BareJid, id: &str) -> Result<bool> {
        self.writer.write(Forget(user.clone(), id.to_owned())).await
    }

    async fn forget_unseen(&self, before: Timestamp, limit: usize) -> Result<u64> {
        self.writer.write(ForgetUnseen(before, limit)).await
    }
}

struct Forget(BareJid, String);

#[async_trait]
impl Change for Forget {
    type Answer = bool;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<bool> {
        let Some(known) = on.owner_if_any(&self.0).await? else { return Ok(false) };
        device::forget(on.tx.connection().await?, known.number, &self.1).await
    }
}

struct ForgetUnseen(Timestamp, usize);

#[async_trait]
impl Change for ForgetUnseen {
    type Answer = u64;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<u64> {
        device::forget_unseen(on.tx.connection().await?, self.0.as_micros(), self.1).await
    }
}
