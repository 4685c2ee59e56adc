//! What happens to accounts and sessions, for the features that must know of it.
//!
//! A feature enters the kinds of events that it wants to be told of, once, when it registers:
//! `on.listener(EventKind::SessionAvailable, &Self)`. So no feature knows another, and the code that
//! causes an event knows no feature. Each kind of event is told at one place: [`Event`] says which.
//!
//! Listeners are told one after another, in the order of `modules::ALL`, by the task in which the event
//! happened. What they put into the outbox is routed in this order.
//!
//! - A listener that fails is logged. The others are told all the same, and what has happened stands.
//! - A listener that is slow delays only the client, or the command, that caused the event. It is never
//!   dropped half-way; after ten seconds the log names it.
//! - A listener must not lock a roster, and must not wait for a client: the task in which it runs may be
//!   the one that reads that client. It starts a task for that.

use std::time::Duration;

use tokio::time::timeout;

use super::Cx;

pub use super::context::Listener;
pub use super::event::{Event, EventKind, RoomListener};

/// Tells all listeners of an event. See the module for their order, and for those that fail or are slow.
pub async fn tell(cx: &mut Cx<'_>, event: Event<'_>) {
    let registry = cx.registry;
    for (feature, listener) in registry.listeners(event.kind()) {
        let mut acting = listener.on_event(cx, &event);
        let done = match timeout(SLOW, &mut acting).await {
            Ok(done) => done,
            Err(_) => {
                tracing::warn!(feature, event = ?event.kind(), "a listener of an event is slow");
                acting.await
            }
        };
        if let Err(error) = done {
            let condition = error.condition.as_str();
            tracing::warn!(feature, event = ?event.kind(), condition, "a listener of an event failed");
        }
    }
}

/// A listener that takes longer is named in the log.
const SLOW: Duration = Duration::from_secs(10);
