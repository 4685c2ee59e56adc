//! How many of the stanzas of a stream are handled, in the order in which they came (XEP-0198 §4): the other server forgets
//! them then. They are carried in lanes, so that a later one may be carried before an earlier one.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// The stanzas of one stream.
#[derive(Default)]
pub(in crate::s2s) struct Handled {
    window: Mutex<Window>,
    progress: Notify,
}

#[derive(Default)]
struct Window {
    /// Stanzas are counted.
    is_on: bool,
    /// How many are carried, with all before them. It wraps at 2^32.
    handled: u32,
    /// Whether those that follow are carried.
    carried: VecDeque<bool>,
}

/// The place of a stanza. It is carried when this is dropped.
pub(super) struct Place {
    of: Arc<Handled>,
    number: u32,
}

impl Handled {
    /// What comes from now on is counted.
    pub(in crate::s2s) fn begin(&self) {
        self.go_on_from(0);
    }

    /// The same, on a stream that takes the place of another one, on which so many have come.
    pub(in crate::s2s) fn go_on_from(&self, handled: u32) {
        let mut window = self.window.lock();
        (window.is_on, window.handled) = (true, handled);
    }

    /// A stanza has come. `None` if it is not counted.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Place> {
        let mut window = self.window.lock();
        if !window.is_on {
            return None;
        }
        let number = window.entered();
        window.carried.push_back(false);
        Some(Place { of: Arc::clone(self), number })
    }

    /// How many have come.
    pub(in crate::s2s) fn entered(&self) -> u32 {
        self.window.lock().entered()
    }

    /// How many are handled.
    pub(in crate::s2s) fn count(&self) -> u32 {
        self.window.lock().handled
    }

    /// Waits until more are handled. For one task only.
    pub(in crate::s2s) async fn progress(&self) {
        self.progress.notified().await;
    }
}

impl Window {
    fn entered(&self) -> u32 {
        // Some hundred are carried at the same time.
        self.handled.wrapping_add(self.carried.len() as u32)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut window = self.of.window.lock();
        let index = self.number.wrapping_sub(window.handled) as usize;
        if let Some(own) = window.carried.get_mut(index) {
            *own = true;
        }
        let before = window.handled;
        while window.carried.front() == Some(&true) {
            window.carried.pop_front();
            window.handled = window.handled.wrapping_add(1);
        }
        let any = window.handled != before;
        drop(window);
        if any {
            self.of.progress.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_carried_counts_with_all_before_it() {
        let handled = Arc::new(Handled::default());
        assert!(handled.enter().is_none(), "nothing is counted yet");
        handled.begin();
        handled.window.lock().handled = u32::MAX - 1;
        let mut places: Vec<_> = (0..4).map(|_| handled.enter()).collect();
        assert_eq!(handled.entered(), 2);
        drop(places.remove(1));
        drop(places.remove(1));
        assert_eq!(handled.count(), u32::MAX - 1, "the first one is not carried");
        drop(places.remove(0));
        assert_eq!((handled.count(), handled.entered()), (1, 2));
        handled.progress().await;
        drop(places);
        assert_eq!(handled.count(), 2);
    }
}
