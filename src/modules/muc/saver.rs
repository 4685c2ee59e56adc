//! Writes the changes of rooms. Rooms do not wait for the disk: code that must know that a change is on the disk gets a
//! receipt.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, Weak};

use futures_util::future::join_all;
use rustc_hash::FxHashMap;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::active::Slot;
use crate::host::ServerState;
use crate::jid::BareJid;
use crate::storage::{Receipt, Result, RoomChange, StorageError};

/// The way to the task that writes.
#[derive(Debug, Default)]
pub(super) struct Saver(OnceLock<(Weak<ServerState>, mpsc::Sender<Write>)>);

/// A change, and who waits for it.
#[derive(Debug)]
struct Write {
    room: BareJid,
    slot: Arc<Slot>,
    /// `None`: the room is removed.
    change: Option<RoomChange>,
    done: oneshot::Sender<Result<()>>,
}

/// All changes of one room that are written at once.
#[derive(Debug)]
struct Batch {
    room: BareJid,
    change: Option<RoomChange>,
    writes: Vec<(Arc<Slot>, oneshot::Sender<Result<()>>)>,
}

impl Saver {
    /// Starts the task.
    pub(super) fn start(&self, server: &Arc<ServerState>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        drop(self.0.set((Arc::downgrade(server), sender)));
        drop(server.tasks.spawn("rooms", run(Arc::clone(server), receiver)));
    }

    /// Writes a change, soon. Changes of one room are written in order.
    pub(super) fn change(&self, room: &BareJid, slot: &Arc<Slot>, change: RoomChange) -> Receipt {
        self.write(room, slot, Some(change))
    }

    /// Removes a room with its archive.
    pub(super) fn remove(&self, room: &BareJid, slot: &Arc<Slot>) -> Receipt {
        self.write(room, slot, None)
    }

    /// Waits until the changes of a room that were handed over are in the store, or have failed. No more may come
    /// meanwhile: the room is locked.
    ///
    /// # Errors
    /// If the newest of them failed.
    pub(super) async fn flush(&self, room: &BareJid, slot: &Arc<Slot>) -> Result<()> {
        // Usually once: what is written comes in order. Only those that found the queue full have ways of their own.
        while slot.unsaved.load(Ordering::Acquire) > 0 {
            self.change(room, slot, RoomChange::default()).await?;
        }
        Ok(())
    }

    fn write(&self, room: &BareJid, slot: &Arc<Slot>, change: Option<RoomChange>) -> Receipt {
        let (done, receipt) = oneshot::channel();
        slot.unsaved.fetch_add(1, Ordering::AcqRel);
        let write = Write { room: room.clone(), slot: Arc::clone(slot), change, done };
        if let Some((server, sender)) = self.0.get()
            && let Err(TrySendError::Full(write) | TrySendError::Closed(write)) =
                sender.try_send(write)
            && let Some(server) = server.upgrade()
        {
            // The server ends, and the task has ended already; or it cannot keep up.
            let tasks = server.tasks.clone();
            drop(tasks.spawn("room", async move { write_all(&server, vec![write]).await }));
        }
        Receipt::waiting(receipt)
    }
}

/// Writes what comes, until the server ends. What comes later is written at once.
async fn run(server: Arc<ServerState>, mut receiver: mpsc::Receiver<Write>) {
    let stopping = server.tasks.stopping();
    while let Some(first) = stopping.run_until_cancelled(receiver.recv()).await.flatten() {
        let mut writes = vec![first];
        while writes.len() < AT_ONCE
            && let Ok(write) = receiver.try_recv()
        {
            writes.push(write);
        }
        write_all(&server, writes).await;
    }
    receiver.close();
    let mut writes = Vec::new();
    while let Some(write) = receiver.recv().await {
        writes.push(write);
    }
    write_all(&server, writes).await;
}

/// Writes changes: those of one room at once, and rooms side by side.
async fn write_all(server: &ServerState, writes: Vec<Write>) {
    let mut batches: Vec<Batch> = Vec::new();
    let mut places: FxHashMap<BareJid, usize> = FxHashMap::default();
    for write in writes {
        let place = *places.entry(write.room.clone()).or_insert(batches.len());
        add(&mut batches, place, write);
    }
    join_all(batches.into_iter().map(|batch| write(server, batch))).await;
}

/// Adds a change to those of its room.
fn add(batches: &mut Vec<Batch>, place: usize, write: Write) {
    let Write { room, slot, change, done } = write;
    match batches.get_mut(place) {
        None => batches.push(Batch { room, change, writes: vec![(slot, done)] }),
        Some(batch) => {
            batch.change = match (batch.change.take(), change) {
                (Some(mut old), Some(new)) => {
                    merge(&mut old, new);
                    Some(old)
                }
                _ => None,
            };
            batch.writes.push((slot, done));
        }
    }
}

async fn write(server: &ServerState, batch: Batch) {
    let rooms = server.storage.rooms();
    let written = match batch.change {
        Some(change) => rooms.change(&batch.room, change).await,
        None => rooms.remove(&batch.room).await,
    };
    if let Err(error) = &written {
        tracing::error!(room = %batch.room, %error, "a change of a room was not stored");
    }
    let failed = written.err().map(|error| error.to_string());
    for (slot, done) in batch.writes {
        slot.unsaved.fetch_sub(1, Ordering::AcqRel);
        let outcome = match &failed {
            None => Ok(()),
            Some(error) => Err(StorageError::Database(error.clone())),
        };
        drop(done.send(outcome));
    }
}

/// Adds a later change to an earlier one.
fn merge(old: &mut RoomChange, new: RoomChange) {
    old.settings = new.settings.or(old.settings.take());
    old.subject = new.subject.or(old.subject.take());
    old.extra = new.extra.or(old.extra.take());
    old.members.retain(|member| !new.forget_members.contains(&member.jid));
    old.forget_members.extend(new.forget_members);
    old.members.extend(new.members);
    old.occupants.retain(|occupant| !new.gone.contains(&occupant.session));
    old.gone.extend(new.gone);
    old.occupants.extend(new.occupants);
}

/// Changes that wait to be written, at most. Those of one room become one.
const QUEUE: usize = 16_384;
/// Changes that are written at once, at most.
const AT_ONCE: usize = 256;

#[cfg(test)]
mod tests {
    use super::merge;
    use crate::jid::FullJid;
    use crate::storage::{RoomChange, RoomOccupant};

    #[test]
    fn whoever_leaves_and_comes_back_is_there() {
        let session = FullJid::parse("hag66@shakespeare.lit/pda").unwrap();
        let occupant = |nick: &str| RoomOccupant {
            session: session.clone(),
            nick: nick.to_owned(),
            data: String::new(),
        };
        let came = |nick| RoomChange { occupants: vec![occupant(nick)], ..RoomChange::default() };
        let gone = || RoomChange { gone: vec![session.clone()], ..RoomChange::default() };
        let mut change = came("a");
        merge(&mut change, gone());
        assert_eq!((change.occupants.len(), change.gone.len()), (0, 1));
        merge(&mut change, came("b"));
        assert_eq!(change.occupants, [occupant("b")]);
    }
}
