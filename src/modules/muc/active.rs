//! The rooms in memory. A room is read when somebody needs it, and given up when nobody is in it.
//!
//! Whoever has something for a room locks it, and does in its own task all that follows: so what happens in a
//! room has one order, and what a sender causes costs the sender (docs/decisions/0018-rooms-are-locked.md).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::OwnedMutexGuard;

use crate::jid::BareJid;
use crate::muc::Room;

/// The rooms in memory of one service.
#[derive(Debug, Default)]
pub(super) struct ActiveRooms {
    slots: Mutex<FxHashMap<BareJid, Arc<Slot>>>,
}

/// The place of a room.
#[derive(Debug, Default)]
pub(super) struct Slot {
    room: Arc<tokio::sync::Mutex<Option<Room>>>,
    /// Changes that are not in the store yet: until they are, the room stays in memory.
    pub(super) unsaved: AtomicUsize,
    /// The room was just read: nobody has looked yet which of its occupants are still there.
    pub(super) is_fresh: AtomicBool,
}

/// A room that is locked.
#[derive(Debug)]
pub(super) struct Locked {
    pub(super) slot: Arc<Slot>,
    /// `None`: it is not in memory. While the room changes it is taken out, so that a room which was changed
    /// only in part is never used again.
    pub(super) room: OwnedMutexGuard<Option<Room>>,
}

impl ActiveRooms {
    /// Locks the place of a room, whether there is a room or not.
    pub(super) async fn lock(&self, room: &BareJid) -> Locked {
        let slot = Arc::clone(self.slots.lock().entry(room.clone()).or_default());
        let guard = Arc::clone(&slot.room).lock_owned().await;
        Locked { slot, room: guard }
    }

    /// Looks at a room in memory, unless something happens in it just now.
    pub(super) fn look<T>(&self, room: &BareJid, look: impl FnOnce(&Room) -> T) -> Option<T> {
        let slot = Arc::clone(self.slots.lock().get(room)?);
        let guard = slot.room.try_lock().ok()?;
        guard.as_ref().map(look)
    }

    /// Looks at a room in memory, as soon as nothing happens in it. Not for those who have locked it.
    pub(super) async fn look_when_idle<T>(
        &self,
        room: &BareJid,
        look: impl FnOnce(&Room) -> T,
    ) -> Option<T> {
        let slot = Arc::clone(self.slots.lock().get(room)?);
        let guard = slot.room.lock().await;
        guard.as_ref().map(look)
    }

    /// The addresses of the rooms in memory.
    pub(super) fn addresses(&self) -> Vec<BareJid> {
        self.slots.lock().keys().cloned().collect()
    }

    /// Gives up the rooms that nobody is in and that the store has as they are.
    pub(super) fn give_up_empty(&self) {
        self.slots.lock().retain(|_, slot| {
            // Nobody else has the slot, so nobody can lock it: the map is locked.
            let is_idle = Arc::strong_count(slot) == 1 && slot.unsaved.load(Ordering::Acquire) == 0;
            let Ok(room) = slot.room.try_lock() else { return true };
            !is_idle || room.as_ref().is_some_and(|room| room.occupants() > 0)
        });
    }
}
