//! A session without a connection: it waits for its client to come back (XEP-0198 §5).
//!
//! Its mailbox stays open throughout: nothing that is sent to it in between is lost.

use std::time::Duration;

use crate::config::LimitsConfig;
use crate::session::{Order, Session};

/// Keeps a session until it is resumed, or its time is over. `None`: another connection has it
/// now. Else it is to end.
pub(super) async fn hibernate(
    mut session: Session,
    limit: Duration,
    limits: &LimitsConfig,
) -> Option<Session> {
    let deadline = tokio::time::sleep(limit);
    tokio::pin!(deadline);
    loop {
        tokio::select! {
            biased;
            () = session.handle().filled() => {}
            () = &mut deadline => return Some(session),
        }
        let (stanzas, order) = session.handle().take();
        session.link(|link| link.keep(stanzas));
        match order {
            Some(Order::Close(_)) => return Some(session),
            Some(Order::HandOver(to)) => match to.send(session) {
                Ok(()) => return None,
                // The new connection died meanwhile; perhaps there will be another one.
                Err(back) => session = back,
            },
            None => {}
        }
        let (stanzas, bytes) = session.link(|link| link.unacknowledged());
        if stanzas > limits.unacknowledged || bytes > limits.unacknowledged_bytes {
            return Some(session);
        }
    }
}
