//! Turns: how many attempts run at the same time, in all and by each account or address, so that one account or one
//! address does not delay all others with servers that do not answer.

use std::net::IpAddr;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use smol_str::{SmolStr, format_smolstr};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The turns of all accounts or addresses.
pub(super) struct Turns {
    all: Arc<Semaphore>,
    by_name: Mutex<FxHashMap<SmolStr, Weak<Semaphore>>>,
}

/// Permission for one attempt. The turn is free again when this is dropped.
pub(super) struct Turn {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

/// The turns of one account or address.
pub(super) struct Queue<'a> {
    turns: &'a Turns,
    own: Arc<Semaphore>,
}

impl Turns {
    /// `all`: the most that are taken at the same time.
    pub(super) fn new(all: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), by_name: Mutex::default() }
    }

    /// The queue of this name, which has `each` turns at the same time.
    pub(super) fn of(&self, name: &str, each: usize) -> Queue<'_> {
        let mut by_name = self.by_name.lock();
        if let Some(own) = by_name.get(name).and_then(Weak::upgrade) {
            return Queue { turns: self, own };
        }
        if by_name.len() == by_name.capacity() {
            by_name.retain(|_, own| own.strong_count() > 0);
        }
        let own = Arc::new(Semaphore::new(each));
        by_name.insert(name.into(), Arc::downgrade(&own));
        Queue { turns: self, own }
    }
}

impl Queue<'_> {
    /// Waits for a turn: first among those of this name, then among all.
    pub(super) async fn turn(&self) -> Option<Turn> {
        // They are never closed.
        let own = Arc::clone(&self.own).acquire_owned().await.ok()?;
        let all = Arc::clone(&self.turns.all).acquire_owned().await.ok()?;
        Some(Turn { _own: own, _all: all })
    }

    /// Takes a turn without waiting; `None` if there is none.
    #[cfg(test)]
    fn turn_now(&self) -> Option<Turn> {
        let own = Arc::clone(&self.own).try_acquire_owned().ok()?;
        let all = Arc::clone(&self.turns.all).try_acquire_owned().ok()?;
        Some(Turn { _own: own, _all: all })
    }
}

/// The name of an address: that of its network, for IPv6.
pub(super) fn name_of(address: IpAddr) -> SmolStr {
    match address.to_canonical() {
        IpAddr::V4(address) => format_smolstr!("{address}"),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format_smolstr!("{a:x}:{b:x}:{c:x}:{d:x}")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_name_does_not_take_the_turns_of_the_others() {
        let turns = Turns::new(4);
        let romeo = turns.of("romeo@a.example", 2);
        let (one, _two) = (romeo.turn().await.unwrap(), romeo.turn().await.unwrap());
        let third = async { turns.of("romeo@a.example", 2).turn().await };
        assert!(timeout(Duration::from_secs(1), third).await.is_err());
        assert!(turns.of("romeo@a.example", 2).turn_now().is_none());
        let juliet = turns.of("juliet@a.example", 2);
        let _others = (juliet.turn().await.unwrap(), juliet.turn_now().unwrap());
        // All are taken.
        assert!(turns.of("nurse@a.example", 2).turn_now().is_none());
        drop(one);
        assert!(turns.of("nurse@a.example", 2).turn_now().is_some());
        assert!(turns.of("romeo@a.example", 2).turn_now().is_some());
    }

    #[test]
    fn names_without_turns_are_forgotten() {
        let turns = Turns::new(4);
        for number in 0..1000 {
            assert!(turns.of(&format!("{number}"), 2).turn_now().is_some());
        }
        assert!(turns.by_name.lock().len() < 10);
    }

    #[test]
    fn an_address_stands_for_its_network() {
        let name = |text: &str| name_of(text.parse().unwrap());
        assert_eq!(name("2001:db8::1"), name("2001:db8::2:3"));
        assert_ne!(name("2001:db8::1"), name("2001:db8:0:1::1"));
        assert_eq!(name("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
