//! A slot to which somebody uploads: it stays open while bytes come, and for some time after that, so that an upload which
//! is interrupted can be continued. How slow an upload may be is bounded elsewhere ([`super::store`]).

use std::time::Duration;

use super::refused::Refused;
use crate::host::ServerState;
use crate::host::uploads::later;
use crate::payload::datetime::Timestamp;
use crate::storage::{FileId, StoredFile};

/// The slot of a file that is being uploaded.
pub(super) struct OpenSlot<'a> {
    server: &'a ServerState,
    id: FileId,
    /// Until when it may be used, as it is stored.
    until: Timestamp,
    /// For how long an upload may be continued.
    resume: Duration,
}

impl<'a> OpenSlot<'a> {
    /// The slot of this file, which can be used for so long from now on.
    pub(super) async fn open(
        server: &'a ServerState,
        file: &StoredFile,
        resume: Duration,
    ) -> Result<Self, Refused> {
        let mut this = Self { server, id: file.id, until: file.slot_until, resume };
        this.extend().await?;
        Ok(this)
    }

    /// Bytes have come. Most times that costs nothing: half of the time may pass before it is written down.
    pub(super) async fn note_progress(&mut self) -> Result<(), Refused> {
        match later(self.server.clock.now(), self.resume / 2) > self.until {
            true => self.extend().await,
            false => Ok(()),
        }
    }

    /// It can be continued for the whole time from now on.
    pub(super) async fn extend(&mut self) -> Result<(), Refused> {
        let until = later(self.server.clock.now(), self.resume);
        if until > self.until {
            let extended = self.server.storage.files().extend(self.id, until).await;
            extended.map_err(|error| Refused::failed(&error))?;
            self.until = until;
        }
        Ok(())
    }
}
