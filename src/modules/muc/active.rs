//! The rooms in memory. A room is read from the store when it is needed, and removed from memory when it has no
//! occupants.
//!
//! The task that has an input for a room locks the room, and carries out all effects itself. So the inputs of a room
//! have one order, and the sender pays for what it causes (docs/decisions/0018-rooms-are-locked.md).

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
    slots: Arc<Slots>,
    /// All rooms that had occupants when the server started have been read.
    occupied_are_loaded: Arc<AtomicBool>,
}

type Slots = Mutex<FxHashMap<BareJid, Arc<Slot>>>;

/// The place of a room, whether the room exists or not.
#[derive(Debug, Default)]
pub(super) struct Slot {
    room: Arc<tokio::sync::Mutex<Option<Room>>>,
    /// Changes that are not in the store yet: until they are, the room stays in memory.
    pub(super) unsaved: AtomicUsize,
    /// The room was just read: the sessions of its occupants have not been checked yet.
    pub(super) is_fresh: AtomicBool,
    /// Something has failed while the room was read or changed: it may be in the store, with occupants, and is not in
    /// memory.
    is_broken: AtomicBool,
    /// How many occupants there were when it was last unlocked.
    occupants: AtomicUsize,
}

/// A room that is locked.
#[derive(Debug)]
pub(super) struct LockedRoom {
    slots: Arc<Slots>,
    jid: BareJid,
    pub(super) slot: Arc<Slot>,
    /// `None`: it is not in memory. [`LockedRoom::take`] takes it out while it is changed, so that a room that was
    /// changed only in part is never used again.
    pub(super) room: OwnedMutexGuard<Option<Room>>,
}

impl LockedRoom {
    /// Takes the room out, to change it. Until [`LockedRoom::put`] or [`LockedRoom::end`], it counts as broken.
    pub(super) fn take(&mut self) -> Option<Room> {
        let room = self.room.take()?;
        self.slot.is_broken.store(true, Ordering::Release);
        Some(room)
    }

    /// The room is about to be read. If that fails, nobody knows whether there is one.
    pub(super) fn begin_to_read(&mut self) {
        self.slot.is_broken.store(true, Ordering::Release);
    }

    /// Puts the room back.
    pub(super) fn put(&mut self, room: Room) {
        self.slot.is_broken.store(false, Ordering::Release);
        *self.room = Some(room);
    }

    /// Notes that the room was destroyed, or that it was not created.
    pub(super) fn end(&mut self) {
        self.slot.is_broken.store(false, Ordering::Release);
        *self.room = None;
    }
}

impl Drop for LockedRoom {
    /// The place of a room that does not exist is given up. Stanzas to such rooms leave nothing behind.
    fn drop(&mut self) {
        let occupants = self.room.as_ref().map_or(0, Room::occupants);
        self.slot.occupants.store(occupants, Ordering::Release);
        if self.room.is_some() || self.slot.must_stay() {
            return;
        }
        let mut slots = self.slots.lock();
        // The map and this lock hold the slot. Any other holder waits for the lock, or reads.
        let is_last = Arc::strong_count(&self.slot) == 2;
        if is_last && slots.get(&self.jid).is_some_and(|slot| Arc::ptr_eq(slot, &self.slot)) {
            slots.remove(&self.jid);
        }
    }
}

impl Slot {
    /// Whether it is needed although no room is in it.
    fn must_stay(&self) -> bool {
        self.unsaved.load(Ordering::Acquire) > 0 || self.is_broken.load(Ordering::Acquire)
    }
}

impl ActiveRooms {
    /// Locks the place of a room, whether there is a room or not.
    pub(super) async fn lock(&self, room: &BareJid) -> LockedRoom {
        let slot = Arc::clone(self.slots.lock().entry(room.clone()).or_default());
        let guard = Arc::clone(&slot.room).lock_owned().await;
        LockedRoom { slots: Arc::clone(&self.slots), jid: room.clone(), slot, room: guard }
    }

    /// Whether it is certain that the room has no occupants, or does not exist: all rooms with occupants are in memory,
    /// and this one is not.
    pub(super) fn is_known_to_be_empty(&self, room: &BareJid) -> bool {
        self.occupied_are_loaded.load(Ordering::Acquire) && !self.slots.lock().contains_key(room)
    }

    /// The flag that is set when all rooms that had occupants when the server started have been read.
    pub(super) fn occupied_are_loaded(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.occupied_are_loaded)
    }

    /// How many rooms are in memory, and how many occupants are in them.
    pub(super) fn count(&self) -> (usize, usize) {
        self.count_that(|_| true)
    }

    /// The same of one domain.
    pub(super) fn count_of(&self, domain: &str) -> (usize, usize) {
        self.count_that(|room| room.domain() == domain)
    }

    fn count_that(&self, which: impl Fn(&BareJid) -> bool) -> (usize, usize) {
        let slots = self.slots.lock();
        let found = slots.iter().filter(|(room, _)| which(room));
        let occupants = found.map(|(_, slot)| slot.occupants.load(Ordering::Acquire));
        occupants.fold((0, 0), |(rooms, all), here| (rooms + 1, all + here))
    }

    /// The rooms of a domain that somebody is in, or was a moment ago.
    pub(super) fn occupied(&self, domain: &str) -> Vec<BareJid> {
        let slots = self.slots.lock();
        let found = slots.iter().filter(|(room, slot)| {
            room.domain() == domain && slot.occupants.load(Ordering::Acquire) > 0
        });
        found.map(|(room, _)| room.clone()).collect()
    }

    /// Reads something of a room in memory, unless it is locked.
    pub(super) fn look<T>(&self, room: &BareJid, look: impl FnOnce(&Room) -> T) -> Option<T> {
        let slot = Arc::clone(self.slots.lock().get(room)?);
        let guard = slot.room.try_lock().ok()?;
        guard.as_ref().map(look)
    }

    /// Reads something of a room in memory, as soon as it is not locked. A task that has locked it would wait for ever.
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

    /// Rooms that are not in memory because something has failed. They may have occupants.
    pub(super) fn broken(&self) -> Vec<BareJid> {
        let slots = self.slots.lock();
        let broken = slots.iter().filter(|(_, slot)| slot.is_broken.load(Ordering::Acquire));
        broken.map(|(room, _)| room.clone()).collect()
    }

    /// Removes from memory the rooms that have no occupants and whose changes are all stored.
    pub(super) fn give_up_empty(&self) {
        self.slots.lock().retain(|_, slot| {
            // Nobody else has the slot, so nobody can lock it: the map is locked.
            let is_idle = Arc::strong_count(slot) == 1 && !slot.must_stay();
            let Ok(room) = slot.room.try_lock() else { return true };
            !is_idle || room.as_ref().is_some_and(|room| room.occupants() > 0)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::muc::fixtures;
    use crate::muc::{RoomConfig, RoomLimits};
    use crate::payload::datetime::Timestamp;

    fn coven() -> BareJid {
        BareJid::parse("coven@chat.example").unwrap()
    }

    fn room() -> Room {
        let creator = BareJid::parse("crone1@shakespeare.lit").unwrap();
        let (config, limits) = (RoomConfig::default(), RoomLimits::default());
        Room::new(coven(), creator, config, limits, [1; 32], Timestamp::from_micros(0))
    }

    #[tokio::test]
    async fn a_room_that_does_not_exist_leaves_nothing() {
        let rooms = ActiveRooms::default();
        let first = rooms.lock(&coven()).await;
        let jid = coven();
        let mut second = Box::pin(rooms.lock(&jid));
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(first);
        let mut second = second.await;
        assert_eq!(rooms.addresses(), [coven()]);
        second.put(room());
        drop(second);
        assert_eq!(rooms.count(), (1, 0), "a room that was made meanwhile stays");
        let mut third = rooms.lock(&coven()).await;
        third.end();
        drop(third);
        assert_eq!(rooms.count(), (0, 0));
    }

    #[tokio::test]
    async fn a_room_is_given_up_when_nobody_is_in_it_and_all_is_stored() {
        let rooms = ActiveRooms::default();
        let coven = fixtures::coven();
        let mut inside = fixtures::room();
        fixtures::presence(&mut inside, "hag66@witches.example/pda", "", "hag");
        let mut locked = rooms.lock(&coven).await;
        locked.put(inside);
        drop(locked);
        rooms.give_up_empty();
        assert_eq!(rooms.count(), (1, 1), "somebody is in it");
        let mut locked = rooms.lock(&coven).await;
        let mut inside = locked.take().unwrap();
        let gone = " type='unavailable'";
        fixtures::presence(&mut inside, "hag66@witches.example/pda", gone, "hag");
        locked.slot.unsaved.store(1, Ordering::Release);
        locked.put(inside);
        rooms.give_up_empty();
        assert_eq!(rooms.addresses(), std::slice::from_ref(&coven), "it is locked");
        let slot = Arc::clone(&locked.slot);
        drop(locked);
        rooms.give_up_empty();
        assert_eq!(rooms.count(), (1, 0), "a change is not stored yet");
        slot.unsaved.store(0, Ordering::Release);
        rooms.give_up_empty();
        assert_eq!(rooms.count(), (1, 0), "somebody is about to lock it");
        drop(slot);
        rooms.give_up_empty();
        assert_eq!(rooms.count(), (0, 0));
    }

    #[tokio::test]
    async fn a_room_whose_change_has_failed_is_not_forgotten() {
        let rooms = ActiveRooms::default();
        rooms.occupied_are_loaded().store(true, Ordering::Release);
        assert!(rooms.is_known_to_be_empty(&coven()));
        let mut locked = rooms.lock(&coven()).await;
        locked.put(room());
        drop(locked.take());
        drop(locked);
        assert_eq!(rooms.broken(), [coven()]);
        rooms.give_up_empty();
        assert!(!rooms.is_known_to_be_empty(&coven()), "somebody may be in it");
        let mut locked = rooms.lock(&coven()).await;
        assert!(locked.take().is_none());
        drop(locked);
        assert_eq!(rooms.broken(), [coven()], "nobody has read it");
        rooms.lock(&coven()).await.end();
        assert!(rooms.is_known_to_be_empty(&coven()));
    }
}
