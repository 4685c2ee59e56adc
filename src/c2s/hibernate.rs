//! A session without a connection: it waits for its client to come back (XEP-0198 §5).
//!
//! Its mailbox stays open throughout: nothing that is sent to it in between is lost.

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::config::LimitsConfig;
use crate::session::{CloseReason, Order, Session};

/// How the waiting of a session has ended.
#[derive(Debug)]
pub(super) enum HibernationEnd {
    /// The server ends: it is to be saved, and to wait on.
    Detached(Session, mpsc::Sender<()>),
    /// Its time is over, or it was told to close: it is to end.
    Over(Session),
    /// Another connection has it now.
    Resumed,
    /// The server ends: the next one goes on with it.
    Stopped(Session),
}

/// Keeps a session until it is resumed, or its time is over.
pub(super) async fn hibernate(
    mut session: Session,
    until: Instant,
    limits: &LimitsConfig,
) -> HibernationEnd {
    let deadline = tokio::time::sleep_until(until);
    tokio::pin!(deadline);
    loop {
        tokio::select! {
            biased;
            () = session.mailbox().filled() => {}
            () = &mut deadline => return HibernationEnd::Over(session),
        }
        let (stanzas, order) = session.mailbox().take();
        session.sm(|sm| sm.keep(stanzas));
        match order {
            Some(Order::Close(CloseReason::Shutdown)) => return HibernationEnd::Stopped(session),
            Some(Order::Close(_)) => return HibernationEnd::Over(session),
            Some(Order::Detach(saving)) => return HibernationEnd::Detached(session, saving),
            Some(Order::HandOver(to)) => match to.send(session) {
                Ok(()) => return HibernationEnd::Resumed,
                // The new connection died meanwhile; perhaps there will be another one.
                Err(back) => session = back,
            },
            None => {}
        }
        let (stanzas, bytes) = session.sm(|sm| sm.unacknowledged());
        if stanzas > limits.unacknowledged / 2 || bytes > limits.unacknowledged_bytes / 2 {
            // Messages wait in the store from now on, and not here; and nobody can end the session of
            // somebody who is in a tunnel by writing "is typing" to her.
            session.handle().request_catch_up();
            session.mailbox().shed_transient();
        }
        if stanzas > limits.unacknowledged || bytes > limits.unacknowledged_bytes {
            session.mailbox().note_overrun();
            return HibernationEnd::Over(session);
        }
    }
}
