//! A device that has a connection, but does not acknowledge an important message in time, is woken. It may have lost
//! its network, and a ping would find that out minutes later.
//!
//! A device has a message when the undelivered marker is no longer in flight (docs/delivery.md). One without a marker (a carbon,
//! a message of a room) it has when its client has answered the question that follows the message (XEP-0198 §4).
//!
//! A call does not wait as long as a message. If the device has an earlier message that it has not acknowledged, that
//! counts: a device that was silent for as long as a call may wait is woken at once.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use smallvec::{SmallVec, smallvec};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::notification::Summary;
use super::publish::notify;
use super::publisher::{Publisher, Target};
use crate::host::{ServerState, SharedState};
use crate::session::SessionRef;
use crate::storage::MessageId;

/// The devices whose acknowledgements are awaited, each by one task.
#[derive(Debug, Default)]
pub(super) struct Watched(Mutex<FxHashMap<Target, Watch>>);

impl SharedState for Watched {}

/// What a device has not acknowledged.
#[derive(Debug)]
struct Watch {
    /// The oldest message first. Of many, the first and the last ones are enough.
    waiting: SmallVec<[Pending; 1]>,
    what: Summary,
    /// Wakes the task if it has to check earlier.
    is_earlier: Arc<Notify>,
}

/// A message that the device was given.
#[derive(Debug)]
struct Pending {
    session: SessionRef,
    /// `None`: it is a carbon, or comes from a room.
    marker: Option<MessageId>,
    is_call: bool,
    given: Instant,
    /// When it is late.
    due: Instant,
}

/// Wakes the device if its session does not acknowledge the message in time. `marker`: that of the message, if the session
/// was given it with one.
pub(super) fn watch(
    server: &ServerState,
    target: Target,
    session: &SessionRef,
    marker: Option<MessageId>,
    what: Summary,
) {
    let Some(of) = server.shared::<Publisher>().server() else { return };
    let (is_call, given) = (what.has_call(), Instant::now());
    let due = given + if is_call { A_CALL } else { SOON };
    let new = Pending { session: session.clone(), marker, is_call, given, due };
    let mut watched = server.shared::<Watched>().0.lock();
    if let Some(watch) = watched.get_mut(&target) {
        watch.add(new, what);
        return;
    }
    if watched.len() >= MAX_WATCHED {
        return;
    }
    let watch = Watch { waiting: smallvec![new], what, is_earlier: Arc::default() };
    watched.insert(target.clone(), watch);
    drop(watched);
    let stopping = server.tasks.stopping();
    let task = async move {
        stopping.run_until_cancelled(watch_all(&of, target)).await;
    };
    drop(server.tasks.spawn("push-watch", task));
}

impl Watched {
    /// When to check a device next, and what wakes the task earlier. Forgets a device that has all messages.
    fn next(&self, target: &Target) -> Option<(Instant, Arc<Notify>)> {
        let mut all = self.0.lock();
        let watch = all.get(target)?;
        let Some(due) = watch.due() else {
            all.remove(target);
            return None;
        };
        Some((due, Arc::clone(&watch.is_earlier)))
    }

    /// Takes what a device has not acknowledged in time. The device is no longer watched then.
    fn take_late(&self, target: &Target) -> Option<Summary> {
        let mut all = self.0.lock();
        if !all.get_mut(target)?.is_late() {
            return None;
        }
        all.remove(target).map(|watch| watch.what)
    }
}

impl Watch {
    /// Notes that the device was given one more message.
    fn add(&mut self, new: Pending, what: Summary) {
        self.waiting.retain(|one| one.is_in_flight());
        match self.waiting.last() {
            None => self.what = what,
            Some(_) => self.what.add(what),
        }
        if new.is_call {
            for one in &mut self.waiting {
                one.due = one.due.min(one.given + A_CALL);
            }
            self.is_earlier.notify_one();
        }
        let is_same = self.waiting.last().is_some_and(|last| last.is_call == new.is_call);
        if self.waiting.len() > 1 && is_same || self.waiting.len() >= MAX_LOOKED_AT {
            self.waiting.pop();
        }
        self.waiting.push(new);
    }

    /// When the next message is late.
    fn due(&self) -> Option<Instant> {
        self.waiting.iter().map(Pending::due).min()
    }

    /// Whether a message is late. Forgets those that the device has.
    fn is_late(&mut self) -> bool {
        let now = Instant::now();
        // A session without a connection is no longer late: it waits, and its device is woken because of that.
        let waits = |one: &Pending| one.session.hibernation().is_some();
        self.waiting.retain(|one| one.is_in_flight() && !(one.due() <= now && waits(one)));
        self.waiting.iter().any(|one| one.due() <= now)
    }
}

impl Pending {
    /// Whether the client may not have it yet.
    fn is_in_flight(&self) -> bool {
        match self.marker {
            Some(marker) => self.session.has_in_flight(marker),
            // It was just given, and the question is about to follow.
            None => Instant::now() < self.due || self.session.asked_since().is_some(),
        }
    }

    /// When it is late: without a marker, when the last question has been without an answer for as long.
    fn due(&self) -> Instant {
        let asked = self.session.asked_since().filter(|_| self.marker.is_none());
        asked.map_or(self.due, |since| since + (self.due - self.given))
    }
}

/// Checks when a message is late, until the device has all of them.
async fn watch_all(server: &ServerState, target: Target) {
    let watched = server.shared::<Watched>();
    while let Some((due, is_earlier)) = watched.next(&target) {
        if timeout_at(due, is_earlier.notified()).await.is_ok() {
            continue;
        }
        if let Some(late) = watched.take_late(&target) {
            return notify(server, target, late);
        }
    }
}

/// How long a device may take to acknowledge.
const SOON: Duration = Duration::from_secs(20);
/// The same for a call.
const A_CALL: Duration = Duration::from_secs(5);
/// Messages of one device whose acknowledgements are awaited, at most.
const MAX_LOOKED_AT: usize = 4;
/// Devices that are watched at the same time, at most.
const MAX_WATCHED: usize = 10_000;
