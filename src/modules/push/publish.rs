//! Notifications go to push services. For each device at most one is on its way, and at most one waits: what
//! comes meanwhile is added to the one that waits. So a service that is slow, or never answers, holds up
//! nobody, and a device costs at most one task.
//!
//! A registration ends if its service refuses it for good, or if it has failed so often in a row, for so
//! long. What has failed is tried again, a few times, later each time.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::time::{Instant, sleep};

use super::notification::Summary;
use super::outcome::Outcome;
use super::{device, registrations};
use crate::host::{Invalidation, ServerState, SharedState};
use crate::jid::{BareJid, Jid};
use crate::limit::Held;
use crate::stanza::{IqKind, Stanza};
use crate::storage::PushRegistration;
use crate::xml::Frame;

/// A device of an account: the key of its registration.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Target {
    user: BareJid,
    service: Jid,
    node: String,
}

/// The notifications on their way.
#[derive(Debug, Default)]
pub(super) struct Publisher {
    /// Weak: the server owns the publisher.
    server: OnceLock<Weak<ServerState>>,
    devices: Mutex<FxHashMap<Target, Device>>,
}

/// A device to which notifications go, or whose last ones have failed.
#[derive(Debug, Default)]
struct Device {
    /// A task is under way.
    is_busy: bool,
    /// The next notification.
    next: Option<Summary>,
    /// How many have failed in a row, and since when.
    failures: Option<(u32, Instant)>,
}

impl SharedState for Publisher {}

impl Target {
    pub(super) fn of(user: &BareJid, registration: &PushRegistration) -> Self {
        let PushRegistration { service, node, .. } = registration;
        Self { user: user.clone(), service: service.clone(), node: node.clone() }
    }
}

impl Publisher {
    /// Notifications can go from now on.
    pub(super) fn start(&self, server: &Arc<ServerState>) {
        drop(self.server.set(Arc::downgrade(server)));
    }

    /// The server, for tasks; `None` before it has started.
    pub(super) fn server(&self) -> Option<Arc<ServerState>> {
        self.server.get()?.upgrade()
    }

    /// Something has come: a notification goes to the device as soon as possible. Never waits.
    pub(super) fn notify(&self, target: Target, what: Summary) {
        let Some(server) = self.server() else { return };
        let mut devices = self.devices.lock();
        if let Some(device) = devices.get_mut(&target).filter(|device| device.is_busy) {
            match &mut device.next {
                Some(next) => next.add(what),
                None => device.next = Some(what),
            }
            return;
        }
        let held = server.budgets.pushes.holder(Some(target.user.as_str()), None);
        if let Err(scope) = held.try_add(1) {
            server.budgets.pushes.count(scope, crate::limit::Action::Error);
            return;
        }
        if devices.len() >= MAX_REMEMBERED {
            devices.retain(|_, device| device.is_busy);
        }
        let device = devices.entry(target.clone()).or_default();
        device.is_busy = true;
        device.next = Some(what);
        drop(devices);
        let (of, stopping) = (Arc::clone(&server), server.tasks.stopping());
        let task = async move {
            stopping.run_until_cancelled(publish_all(&of, &target, held)).await;
        };
        drop(server.tasks.spawn("push", task));
    }

    /// Takes the next notification of a device, or notes that there is none.
    fn next(&self, target: &Target) -> Option<Summary> {
        let mut devices = self.devices.lock();
        let device = devices.get_mut(target)?;
        let next = device.next.take();
        if next.is_none() {
            device.is_busy = false;
            if device.failures.is_none() {
                devices.remove(target);
            }
        }
        next
    }

    /// The registration is gone.
    fn forget(&self, target: &Target) {
        self.devices.lock().remove(target);
    }

    fn succeeded(&self, target: &Target) {
        if let Some(device) = self.devices.lock().get_mut(target) {
            device.failures = None;
        }
    }

    /// Counts a failure. Answers how many there were in a row, and since when.
    fn failed(&self, target: &Target) -> (u32, Instant) {
        let mut devices = self.devices.lock();
        let device = devices.entry(target.clone()).or_default();
        let (count, since) = device.failures.unwrap_or((0, Instant::now()));
        *device.failures.insert((count.saturating_add(1), since))
    }
}

/// Publishes to a device until nothing waits for it.
async fn publish_all(server: &ServerState, target: &Target, held: Held) {
    let publisher = server.shared::<Publisher>();
    while let Some(summary) = publisher.next(target) {
        if !publish_with_patience(server, target, summary).await {
            publisher.forget(target);
            break;
        }
        // What comes at once, rings once.
        sleep(PAUSE).await;
    }
    drop(held);
}

/// Publishes, several times if it fails. `false` if the device is not registered any more.
async fn publish_with_patience(server: &ServerState, target: &Target, summary: Summary) -> bool {
    let publisher = server.shared::<Publisher>();
    for (turn, pause) in RETRIES.iter().map(Some).chain([None]).enumerate() {
        let registration = match registration(server, target).await {
            Some(Some(registration)) => registration,
            Some(None) => return false,
            None => return true,
        };
        if turn > 0 && device::is_awake(server, &target.user, &registration) {
            return true;
        }
        let outcome = publish(server, target, &registration, &summary).await;
        server.metrics.pushes.inc([outcome.word()]);
        let gives_up = match outcome {
            Outcome::Done => {
                publisher.succeeded(target);
                return true;
            }
            Outcome::Busy => false,
            Outcome::Refused => true,
            Outcome::Failed => {
                let (count, since) = publisher.failed(target);
                count >= MAX_FAILURES && since.elapsed() >= MAX_FAILING
            }
        };
        if gives_up {
            remove(server, target, &registration, outcome).await;
            return false;
        }
        let Some(pause) = pause else { break };
        sleep(*pause).await;
    }
    true
}

/// Publishes once.
async fn publish(
    server: &ServerState,
    target: &Target,
    registration: &PushRegistration,
    summary: &Summary,
) -> Outcome {
    let (Some(host), Some(route)) = (server.host(target.user.domain()), server.route()) else {
        return Outcome::Failed;
    };
    let payload = summary.publish(registration);
    let (from, to) = (host.jid.clone(), registration.service.clone());
    let answer = match server.request(from, to, IqKind::Set, payload) {
        Err(error) => Err(error),
        Ok((request, answer)) => {
            route.route(readable(request)).await;
            server.metrics.pushed(summary.since.elapsed());
            answer.within(PATIENCE).await
        }
    };
    tracing::debug!(jid = %target.user, service = %target.service, ?answer, "push");
    Outcome::of(&answer)
}

/// The request as if it had come from outside: a service of ours reads its payload.
fn readable(request: Stanza) -> Stanza {
    let read = Frame::from_bytes(request.to_bytes()).map(Stanza::read);
    match read {
        Ok(Ok(read)) => read,
        _ => request,
    }
}

/// The registration as it is now: `None` if the store fails, `Some(None)` if there is none any more.
async fn registration(server: &ServerState, target: &Target) -> Option<Option<PushRegistration>> {
    match registrations::of(server, &target.user).await {
        Ok(all) => {
            let is_it =
                |one: &&PushRegistration| one.service == target.service && one.node == target.node;
            Some(all.all.iter().find(is_it).cloned())
        }
        Err(error) => {
            tracing::warn!(jid = %target.user, %error, "cannot read push registrations");
            None
        }
    }
}

/// Removes a registration whose service does not take notifications, unless the device has just renewed it.
async fn remove(
    server: &ServerState,
    target: &Target,
    registration: &PushRegistration,
    outcome: Outcome,
) {
    let Target { user, service, .. } = target;
    match server.storage.push().remove_unless_renewed(user, registration).await {
        Ok(_) => {
            let why = outcome.word();
            tracing::info!(jid = %user, %service, why, "a push registration was removed");
            server.invalidate(&Invalidation::Push(user.clone()));
        }
        Err(error) => {
            tracing::warn!(jid = %user, %service, %error, "cannot remove a push registration");
        }
    }
}

/// How long a service may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two notifications to a device.
const PAUSE: Duration = Duration::from_secs(1);
/// Before the next attempts.
const RETRIES: [Duration; 3] =
    [Duration::from_secs(10), Duration::from_secs(60), Duration::from_secs(300)];
/// So many failures in a row end a registration, if they take so long.
const MAX_FAILURES: u32 = 16;
const MAX_FAILING: Duration = Duration::from_secs(60 * 60);
/// Devices of which failures are remembered.
const MAX_REMEMBERED: usize = 10_000;
