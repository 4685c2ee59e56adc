//! Only one task at a time writes a file. A client that continues an upload does not wait until the server has noticed
//! that its old connection is dead: the old task is stopped.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::storage::FileId;

/// Which files are being written.
#[derive(Clone, Debug, Default)]
pub struct Turns(Arc<Mutex<FxHashMap<FileId, Running>>>);

#[derive(Clone, Debug, Default)]
struct Running {
    stop: CancellationToken,
    ended: CancellationToken,
}

/// The right to write a file, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    turns: Turns,
    id: FileId,
    running: Running,
}

impl Turns {
    /// Stops the task that writes this file, and takes the turn. `None` if that task does not stop in time.
    pub async fn take(&self, id: FileId) -> Option<Turn> {
        let ended = async {
            loop {
                let other = match self.try_take(id) {
                    Ok(turn) => return turn,
                    Err(other) => other,
                };
                other.stop.cancel();
                other.ended.cancelled().await;
            }
        };
        timeout(PATIENCE, ended).await.ok()
    }

    fn try_take(&self, id: FileId) -> Result<Turn, Running> {
        let mut all = self.0.lock();
        if let Some(other) = all.get(&id) {
            return Err(other.clone());
        }
        let running = Running::default();
        all.insert(id, running.clone());
        Ok(Turn { turns: self.clone(), id, running })
    }
}

impl Turn {
    /// Cancelled when another task wants to write.
    #[must_use]
    pub fn stopped(&self) -> CancellationToken {
        self.running.stop.clone()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.0.lock().remove(&self.id);
        self.running.ended.cancel();
    }
}

const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_later_one_stops_the_earlier_one() {
        let (turns, id) = (Turns::default(), FileId::random());
        let first = turns.take(id).await.unwrap();
        let other = turns.take(FileId::random()).await.unwrap();
        assert!(!first.stopped().is_cancelled());
        // One that does not stop keeps its turn.
        assert!(turns.take(id).await.is_none());
        let stopped = first.stopped();
        let work = async {
            stopped.cancelled().await;
            drop(first);
        };
        let (second, ()) = tokio::join!(turns.take(id), work);
        assert!(!second.unwrap().stopped().is_cancelled() && !other.stopped().is_cancelled());
        drop(other);
        assert!(turns.0.lock().is_empty());
    }
}
