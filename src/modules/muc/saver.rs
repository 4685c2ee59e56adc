//! Writes what has changed in rooms. The rooms do not wait for the disk; whoever must know that something is on
//! the disk has a receipt.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use super::active::Slot;
use crate::host::ServerState;
use crate::jid::BareJid;
use crate::storage::{Receipt, Result, RoomChange, StorageError};

/// The way to the task that writes.
#[derive(Debug, Default)]
pub(super) struct Saver(Mutex<Option<mpsc::Sender<Write>>>);

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
        *self.0.lock() = Some(sender);
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

    fn write(&self, room: &BareJid, slot: &Arc<Slot>, change: Option<RoomChange>) -> Receipt {
        let (done, receipt) = oneshot::channel();
        slot.unsaved.fetch_add(1, Ordering::AcqRel);
        let write = Write { room: room.clone(), slot: Arc::clone(slot), change, done };
        let sent = self.0.lock().as_ref().is_some_and(|sender| sender.try_send(write).is_ok());
        match sent {
            true => Receipt::waiting(receipt),
            false => {
                slot.unsaved.fetch_sub(1, Ordering::AcqRel);
                Receipt::settled(Err(StorageError::closed()))
            }
        }
    }
}

/// Writes what comes, until the server ends and nothing comes any more.
async fn run(server: Arc<ServerState>, mut receiver: mpsc::Receiver<Write>) {
    let stopping = server.tasks.stopping();
    loop {
        let first = match stopping.run_until_cancelled(receiver.recv()).await {
            Some(first) => first,
            // The server ends: what is queued is written, and nothing more comes.
            None => receiver.try_recv().ok(),
        };
        let Some(first) = first else { return };
        let mut batches: Vec<Batch> = Vec::new();
        let mut next = Some(first);
        while let Some(write) = next {
            add(&mut batches, write);
            next = if batches.len() < AT_ONCE { receiver.try_recv().ok() } else { None };
        }
        join_all(batches.into_iter().map(|batch| write(&server, batch))).await;
    }
}

/// Adds a change to those of its room.
fn add(batches: &mut Vec<Batch>, write: Write) {
    let Write { room, slot, change, done } = write;
    match batches.iter_mut().find(|batch| batch.room == room) {
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
            Some(error) => Err(StorageError::Database(error.clone().into())),
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
/// Rooms that are written at once, at most.
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
