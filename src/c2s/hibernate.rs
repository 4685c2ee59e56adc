//! A session without a connection: it waits for its client to come back (XEP-0198 §5).
//!
//! Its mailbox stays open throughout: nothing that is sent to it in between is lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::session_end::end;
use super::session_persistence::{save, save_ahead};
use crate::config::LimitsConfig;
use crate::host::ServerState;
use crate::modules::push;
use crate::payload::datetime::Timestamp;
use crate::router::Router;
use crate::session::{CloseReason, Hibernation, Order, Session};

/// The connection of a session is gone: the session waits for another one, or ends. In a task of its own.
pub(super) fn lost(router: &Arc<Router>, session: Session, why: &'static str) {
    let limits = router.server.config.load().limits.clone();
    let wait = session.sm(|sm| sm.resumption()).map(|resumption| resumption.max);
    tracing::debug!(jid = %session.handle().jid(), reason = why, "connection lost");
    let of = Arc::clone(router);
    let task = async move {
        let Some(wait) = wait else { return Box::pin(end(&of, session, why)).await };
        let wait = wake_device(&of, &session, wait, &limits).await;
        wait_for_client(&of, session, wait, &limits, why).await;
    };
    drop(router.server.tasks.spawn("hibernation", task));
}

/// Wakes the device of a session that has just lost its connection, if something important waits. Answers how
/// long the session waits: longer, if its device can be woken.
async fn wake_device(
    router: &Router,
    session: &Session,
    wait: Duration,
    limits: &LimitsConfig,
) -> Duration {
    note_waiting(&router.server, session, wait);
    // Only after the session is marked as hibernating: each stanza that comes later wakes the device anyway.
    let waiting = session.undelivered();
    let wakes = push::session_waits(&router.server, session.handle(), &waiting);
    if Box::pin(wakes).await { wait.max(limits.resume_with_push) } else { wait }
}

/// Keeps a session without a connection until it is resumed, its time is over, or the server ends.
pub(super) async fn wait_for_client(
    router: &Router,
    session: Session,
    wait: Duration,
    limits: &LimitsConfig,
    why: &'static str,
) {
    let until = Instant::now() + wait;
    note_waiting(&router.server, &session, wait);
    let (mut session, mut saved) = (session, None);
    loop {
        match hibernate(session, until, limits).await {
            HibernationEnd::Detached(back, saving) => {
                saved = Box::pin(save_ahead(&router.server, &back)).await;
                drop(saving);
                session = back;
            }
            HibernationEnd::Over(session) => return Box::pin(end(router, session, why)).await,
            HibernationEnd::Resumed => return,
            HibernationEnd::Stopped(session) => {
                return Box::pin(save(router, session, saved)).await;
            }
        }
    }
}

/// Notes since when and until when a session waits for its client, for the administrator.
fn note_waiting(server: &ServerState, session: &Session, wait: Duration) {
    let max = session.sm(|sm| sm.resumption()).map_or(wait, |resumption| resumption.max);
    let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    let until = server.clock.now().as_micros().saturating_add(micros(wait));
    let since = Timestamp::from_micros(until.saturating_sub(micros(max)));
    session.note_hibernation(Hibernation { since, until: Timestamp::from_micros(until) });
}

/// How the hibernation of a session has ended.
#[derive(Debug)]
enum HibernationEnd {
    /// The server ends: the session is to be saved, and to wait on.
    Detached(Session, mpsc::Sender<()>),
    /// The time is over, or the session was told to close: it is to end.
    Over(Session),
    /// Another connection has it now.
    Resumed,
    /// The server ends: the next server continues the session.
    Stopped(Session),
}

/// Waits until the session is resumed, its time is over, or an order comes.
async fn hibernate(mut session: Session, until: Instant, limits: &LimitsConfig) -> HibernationEnd {
    let deadline = tokio::time::sleep_until(until);
    tokio::pin!(deadline);
    loop {
        tokio::select! {
            biased;
            () = session.mailbox().filled() => {}
            () = &mut deadline => return HibernationEnd::Over(session),
        }
        let (stanzas, order) = session.mailbox().take();
        session.sm(|sm| sm.push(stanzas));
        match order {
            Some(Order::Close(CloseReason::Shutdown)) => return HibernationEnd::Stopped(session),
            Some(Order::Close(_)) => return HibernationEnd::Over(session),
            Some(Order::Detach(saving)) => return HibernationEnd::Detached(session, saving),
            Some(Order::HandOver(to)) => match session.hand_over(to) {
                Ok(()) => return HibernationEnd::Resumed,
                // The new connection was lost meanwhile. The client may come once more.
                Err(back) => session = back,
            },
            None => {}
        }
        let (stanzas, bytes) = session.sm(|sm| sm.unacknowledged());
        if stanzas > limits.unacknowledged / 2 || bytes > limits.unacknowledged_bytes / 2 {
            // From now on messages wait in the store, not here, and what is not stored is dropped. So
            // nobody can end the session of an unreachable client by sending it chat states.
            session.handle().request_catch_up();
            session.mailbox().shed_transient();
        }
        if stanzas > limits.unacknowledged || bytes > limits.unacknowledged_bytes {
            session.mailbox().note_overrun();
            return HibernationEnd::Over(session);
        }
    }
}
