//! Logins of clients, which are written with other jobs: see `batch.rs`.

use rustc_hash::FxHashMap;
use tokio::sync::oneshot;

use super::write_tx::WriteTx;
use crate::storage::sql::device;
use crate::storage::{DeviceLogin, Result, StorageError};

/// A login of a client that is to be noted, and who waits for that.
pub(super) struct DeviceNote {
    pub(super) login: DeviceLogin,
    pub(super) is_new: bool,
    pub(super) answer: oneshot::Sender<Result<bool>>,
}

impl DeviceNote {
    /// Tells the waiting caller whether the note was written.
    pub(super) fn settle(self, failure: Option<&StorageError>) {
        let answer = failure.map_or(Ok(self.is_new), |error| Err(error.clone()));
        drop(self.answer.send(answer));
    }
}

/// Writes logins of clients, each with the number of its owner and the time in microseconds since 1970.
pub(super) async fn write(
    on: &mut WriteTx<'_>,
    notes: &mut [(i64, &mut DeviceNote, i64)],
) -> Result<()> {
    let mut merged: FxHashMap<(i64, String), (i64, DeviceLogin, i64)> = FxHashMap::default();
    for (owner, note, at) in &*notes {
        let login = &note.login;
        let (_, all, last) = merged
            .entry((*owner, login.id.clone()))
            .or_insert_with(|| (*owner, login.clone(), *at));
        all.software = login.software.clone().or(all.software.take());
        all.device = login.device.clone().or(all.device.take());
        all.by_password |= login.by_password;
        *last = *at;
    }
    let rows: Vec<_> = merged.into_values().collect();
    let mut new = device::note(&mut on.tx, &rows).await?;
    for (owner, id) in &new {
        device::trim(on.tx.connection().await?, *owner, id).await?;
    }
    let mut told = Vec::with_capacity(new.len());
    for (owner, id) in new.drain(..) {
        if device::count(on.tx.connection().await?, owner).await? > 1 {
            told.push((owner, id));
        }
    }
    for (owner, note, _) in notes {
        // It may run again after a transaction that was rolled back.
        let found = told.iter().position(|(o, id)| o == owner && *id == note.login.id);
        note.is_new = found.map(|i| told.swap_remove(i)).is_some();
    }
    Ok(())
}
