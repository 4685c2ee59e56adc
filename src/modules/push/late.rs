//! A device has a connection, and does not acknowledge an important message: it is woken. Its network may be
//! gone without a word, and a ping would find that out minutes later.
//!
//! A message is with the device when its undelivered marker is no longer in flight (docs/delivery.md).

use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::time::sleep;

use super::notification::Summary;
use super::publish::{Publisher, Target};
use crate::host::{ServerState, SharedState};
use crate::session::SessionRef;
use crate::storage::MessageId;

/// The devices that are watched, each by one task.
#[derive(Debug, Default)]
pub(super) struct Watched(Mutex<FxHashMap<Target, Watch>>);

impl SharedState for Watched {}

/// What a device has not acknowledged.
#[derive(Clone, Debug)]
struct Watch {
    session: SessionRef,
    /// The newest message.
    newest: MessageId,
    what: Summary,
}

/// Wakes the device if its session does not acknowledge the message in time.
pub(super) fn watch(
    server: &ServerState,
    target: Target,
    session: &SessionRef,
    marker: MessageId,
    what: Summary,
    wait: Duration,
) {
    let publisher = server.shared::<Publisher>();
    let Some(of) = publisher.server() else { return };
    let new = Watch { session: session.clone(), newest: marker, what };
    let mut watched = server.shared::<Watched>().0.lock();
    if let Some(old) = watched.get_mut(&target) {
        (old.session, old.newest) = (new.session, new.newest);
        old.what.add(new.what);
        return;
    }
    if watched.len() >= MAX_WATCHED {
        return;
    }
    watched.insert(target.clone(), new);
    drop(watched);
    let stopping = server.tasks.stopping();
    let session = session.clone();
    let task = async move {
        let all = watch_all(&of, target, session, marker, wait);
        stopping.run_until_cancelled(all).await;
    };
    drop(server.tasks.spawn("push-watch", task));
}

/// Looks after a while whether the device has the message. If so, looks at what came later.
async fn watch_all(
    server: &ServerState,
    target: Target,
    mut session: SessionRef,
    mut marker: MessageId,
    mut wait: Duration,
) {
    let watched = server.shared::<Watched>();
    loop {
        sleep(wait).await;
        wait = SOON;
        let is_late = session.hibernation().is_none() && session.has_in_flight(marker);
        let mut all = watched.0.lock();
        let Some(now) = all.get(&target).cloned() else { return };
        let has_more = !is_late && now.newest != marker && now.session.has_in_flight(now.newest);
        if has_more {
            (session, marker) = (now.session, now.newest);
            continue;
        }
        all.remove(&target);
        drop(all);
        if is_late {
            server.shared::<Publisher>().notify(target, now.what);
        }
        return;
    }
}

/// How long a device may take to acknowledge.
pub(super) const SOON: Duration = Duration::from_secs(20);
/// The same for a call.
pub(super) const A_CALL: Duration = Duration::from_secs(5);
/// Devices that are watched at the same time.
const MAX_WATCHED: usize = 10_000;
