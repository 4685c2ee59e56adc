//! Sends notifications to push services, one after another for each device (`publisher.rs`).
//!
//! A notification that fails is tried again a few times, with longer pauses. A call does not wait for these pauses,
//! nor for an answer. A registration is removed if its service refuses it for good, or if too many notifications in a
//! row have failed, for too long.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::notification::Summary;
use super::outcome::Outcome;
use super::publisher::{PAUSE, Publisher, Target};
use super::{device, registrations};
use crate::host::{CountsFor, Invalidation, ServerState};
use crate::limit::Held;
use crate::stanza::IqKind;
use crate::storage::PushRegistration;

/// Sends a notification for the device as soon as possible. The caller does not wait.
pub(super) fn notify(on: &ServerState, target: Target, what: Summary) {
    let publisher = on.shared::<Publisher>();
    let Some(server) = publisher.server() else { return };
    let Some(held) = publisher.add(&server, &target, what) else { return };
    let (of, stopping) = (Arc::clone(&server), server.tasks.stopping());
    let task = async move {
        stopping.run_until_cancelled(publish_all(&of, &target, held)).await;
    };
    drop(server.tasks.spawn("push", task));
}

/// Publishes for a device until no notification waits for it.
async fn publish_all(server: &ServerState, target: &Target, held: Held) {
    let publisher = server.shared::<Publisher>();
    while let Some(summary) = publisher.next(target) {
        if !publish_with_patience(server, target, summary).await {
            publisher.forget(target);
            break;
        }
        // What comes at the same time is one notification; but a call does not wait.
        pause(publisher, target, PAUSE).await;
    }
    drop(held);
}

/// Publishes, several times if it fails. `false` if the device is not registered any more.
async fn publish_with_patience(
    server: &ServerState,
    target: &Target,
    mut summary: Summary,
) -> bool {
    let publisher = server.shared::<Publisher>();
    let mut failures = 0;
    loop {
        let registration = match registration(server, target).await {
            Some(Some(registration)) => registration,
            Some(None) => return false,
            None => return true,
        };
        if failures > 0 && device::is_awake(server, &target.user, &registration) {
            return true;
        }
        let publishing = publish(server, target, &registration, &summary, failures == 0);
        let Some(outcome) = publishing.await else {
            // Without an answer it is unknown whether the service has it.
            let Some(call) = publisher.more(target) else { return true };
            summary = call.after(summary);
            failures = 0;
            continue;
        };
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
            match remove(server, target, &registration, outcome).await {
                Some(true) => return false,
                // It was renewed meanwhile: the service is asked again.
                Some(false) => continue,
                None => return true,
            }
        }
        let Some(time) = RETRIES.get(failures) else { return true };
        failures += 1;
        if pause(publisher, target, *time).await
            && let Some(call) = publisher.more(target)
        {
            summary = call.after(summary);
            failures = 0;
        }
    }
}

/// Waits for this time. Returns early with `true` if a call has come, which does not wait.
async fn pause(publisher: &Publisher, target: &Target, time: Duration) -> bool {
    timeout(time, publisher.call(target)).await.is_ok()
}

/// Publishes once. `is_first`: it was not tried before. `None` if a call has come since: then the answer is not awaited.
async fn publish(
    server: &ServerState,
    target: &Target,
    registration: &PushRegistration,
    summary: &Summary,
    is_first: bool,
) -> Option<Outcome> {
    let (Some(host), Some(route)) = (server.host(target.user.domain()), server.route()) else {
        return Some(Outcome::Failed);
    };
    let payload = summary.publish(registration);
    let (from, to) = (host.jid.clone(), registration.service.clone());
    // A device that is woken is in `budgets.pushes`. One service wakes the phones of many users, and may be slow.
    let answer = match server.request_for(CountsFor::Nobody, from, to, IqKind::Set, payload) {
        Err(error) => Err(error),
        Ok((request, answer)) => {
            // A service of ours reads its payload.
            route.route(request.reread()).await;
            if is_first {
                server.metrics.pushed(summary.since.elapsed());
            }
            let call = server.shared::<Publisher>().call(target);
            answer.within_unless(PATIENCE, call).await?
        }
    };
    tracing::debug!(jid = %target.user, service = %target.service, ?answer, "push");
    Some(Outcome::of(&answer))
}

/// The registration as it is now: `None` if the store fails, `Some(None)` if it was removed.
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

/// Removes a registration whose service does not take notifications. `false` if the device has renewed it since; `None`
/// if the store fails.
async fn remove(
    server: &ServerState,
    target: &Target,
    registration: &PushRegistration,
    outcome: Outcome,
) -> Option<bool> {
    let Target { user, service, .. } = target;
    match server.storage.push().remove_unless_renewed(user, registration).await {
        Ok(false) => {
            // What is held in memory is older than that.
            server.invalidate(&Invalidation::Push(user.clone()));
            Some(false)
        }
        Ok(true) => {
            let why = outcome.word();
            tracing::info!(jid = %user, %service, why, "a push registration was removed");
            server.invalidate(&Invalidation::Push(user.clone()));
            Some(true)
        }
        Err(error) => {
            tracing::warn!(jid = %user, %service, %error, "cannot remove a push registration");
            None
        }
    }
}

/// How long a service may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pauses before the next attempts.
const RETRIES: [Duration; 3] =
    [Duration::from_secs(10), Duration::from_secs(60), Duration::from_secs(300)];
/// A registration ends after so many failures in a row, if they have lasted at least `MAX_FAILING`.
const MAX_FAILURES: u32 = 16;
const MAX_FAILING: Duration = Duration::from_secs(60 * 60);
