//! The notifications that are being sent. For each device, at most one is being sent, and at most one waits: what comes
//! meanwhile is added to the one that waits. So a service that is slow, or never answers, delays no other device, and
//! a device costs at most one task. A call wakes that task from any wait.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::notification::Summary;
use crate::host::{ServerState, SharedState};
use crate::jid::{BareJid, Jid};
use crate::limit::{Action, Held};
use crate::storage::PushRegistration;

/// A device of an account: the key of its registration.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Target {
    pub(super) user: BareJid,
    pub(super) service: Jid,
    pub(super) node: String,
}

/// The notifications that are being sent.
#[derive(Debug, Default)]
pub(super) struct Publisher {
    /// Weak: the server owns the publisher.
    server: OnceLock<Weak<ServerState>>,
    devices: Mutex<FxHashMap<Target, Device>>,
}

/// A device for which notifications are being sent, or whose last ones have failed.
#[derive(Debug, Default)]
struct Device {
    /// Its task is running.
    is_busy: bool,
    /// The next notification.
    next: Option<Summary>,
    /// How many have failed in a row, and since when.
    failures: Option<(u32, Instant)>,
    /// When the last call came that did not wait.
    last_call: Option<Instant>,
    /// A call has come that does not wait, and is in the next notification.
    has_call: bool,
    /// Wakes the task when that happens.
    calls: Arc<Notify>,
}

impl SharedState for Publisher {}

impl Device {
    fn take(&mut self) -> Option<Summary> {
        self.has_call = false;
        self.next.take()
    }
}

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

    /// Adds a notification. Returns the part of the budget for a task, if one is to be started.
    pub(super) fn add(&self, server: &ServerState, target: &Target, what: Summary) -> Option<Held> {
        let mut devices = self.devices.lock();
        let now = what.has_call().then(Instant::now);
        if let Some(device) = devices.get_mut(target).filter(|device| device.is_busy) {
            match &mut device.next {
                Some(next) => next.add(what),
                None => device.next = Some(what),
            }
            // Several calls at the same moment must not flood the push service.
            let is_soon = device.last_call.is_some_and(|last| last.elapsed() < PAUSE);
            if now.is_some() && !is_soon {
                device.last_call = now;
                device.has_call = true;
                device.calls.notify_one();
            }
            return None;
        }
        let held = server.budgets.pushes.holder(Some(target.user.as_str()), None);
        if let Err(scope) = held.try_add(1) {
            server.budgets.pushes.count(scope, Action::Error);
            return None;
        }
        if devices.len() >= MAX_REMEMBERED {
            devices.retain(|_, device| device.is_busy);
        }
        let device = devices.entry(target.clone()).or_default();
        device.is_busy = true;
        device.next = Some(what);
        device.last_call = now;
        Some(held)
    }

    /// Takes the next notification of a device, or notes that there is none.
    pub(super) fn next(&self, target: &Target) -> Option<Summary> {
        let mut devices = self.devices.lock();
        let device = devices.get_mut(target)?;
        let next = device.take();
        if next.is_none() {
            device.is_busy = false;
            if device.failures.is_none() {
                devices.remove(target);
            }
        }
        next
    }

    /// Takes what has come for a device meanwhile. Its task continues.
    pub(super) fn more(&self, target: &Target) -> Option<Summary> {
        self.devices.lock().get_mut(target)?.take()
    }

    /// Waits until a call comes that must not wait.
    pub(super) async fn call(&self, target: &Target) {
        loop {
            let calls = match self.devices.lock().get(target) {
                Some(device) if device.has_call => return,
                Some(device) => Arc::clone(&device.calls),
                None => return,
            };
            calls.notified().await;
        }
    }

    /// The device has registered again. Returns whether a notification is being sent, or has failed.
    pub(super) fn renewed(&self, target: &Target) -> bool {
        let mut devices = self.devices.lock();
        let device = devices.get_mut(target);
        let is_known = device.is_some();
        if let Some(device) = device {
            device.failures = None;
        }
        is_known
    }

    /// Forgets a registration that was removed.
    pub(super) fn forget(&self, target: &Target) {
        self.devices.lock().remove(target);
    }

    pub(super) fn succeeded(&self, target: &Target) {
        if let Some(device) = self.devices.lock().get_mut(target) {
            device.failures = None;
        }
    }

    /// Counts a failure. Returns how many there were in a row, and since when.
    pub(super) fn failed(&self, target: &Target) -> (u32, Instant) {
        let mut devices = self.devices.lock();
        let device = devices.entry(target.clone()).or_default();
        let (count, since) = device.failures.unwrap_or((0, Instant::now()));
        *device.failures.insert((count.saturating_add(1), since))
    }
}

/// The time between two notifications to a device, and between two calls that do not wait.
pub(super) const PAUSE: Duration = Duration::from_secs(1);
/// Devices of which failures are remembered.
const MAX_REMEMBERED: usize = 10_000;
