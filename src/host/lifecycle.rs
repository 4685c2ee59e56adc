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

use async_trait::async_trait;
use tokio::time::timeout;

use super::Cx;
use crate::jid::BareJid;
use crate::session::SessionRef;
use crate::stanza::{Presence, StanzaError};
use crate::storage::RosterItem;

/// Something that has happened.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// An account and all its data have been removed from the store. Its sessions are still there, and
    /// are closed next. Told by [`remove_account`](super::remove_account).
    AccountRemoved {
        /// The account.
        user: &'a BareJid,
        /// The roster as it was.
        contacts: &'a [RosterItem],
    },
    /// A session has become available (RFC 6121 §4.2): it has sent its first available presence, or the
    /// first after unavailable presence. Told by `router/presence.rs`, after the contacts.
    SessionAvailable {
        /// The session.
        session: &'a SessionRef,
        /// What it has sent.
        presence: &'a Presence,
    },
    /// A session has ended, and can be found in the table of sessions no more. If it was available, it
    /// has become unavailable before. A session that waits for its client to resume (XEP-0198 §5), or
    /// for the next start of the server, has not ended. Told by `router/session_end.rs`.
    SessionEnded {
        /// The session.
        session: &'a SessionRef,
    },
    /// A session that was available is so no more: by unavailable presence (RFC 6121 §4.5), by its end,
    /// or because another one has its address. Told by `router/presence.rs`, after the contacts.
    SessionUnavailable {
        /// The session.
        session: &'a SessionRef,
        /// The unavailable presence: the client's, or ours on its behalf.
        presence: &'a Presence,
    },
    /// A contact may see the presence of the user from now on (RFC 6121 §3.1.5, §3.4.2), or has asked
    /// for the subscription that it already has and is shown all again. Told by
    /// `router/subscription.rs`, after the contact has been sent the presence of the user.
    SubscriptionOpened {
        /// One of our users.
        user: &'a BareJid,
        /// The contact, here or on another server.
        contact: &'a BareJid,
    },
}

/// The kinds of events. See [`Event`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum EventKind {
    /// [`Event::AccountRemoved`]
    AccountRemoved,
    /// [`Event::SessionAvailable`]
    SessionAvailable,
    /// [`Event::SessionEnded`]
    SessionEnded,
    /// [`Event::SessionUnavailable`]
    SessionUnavailable,
    /// [`Event::SubscriptionOpened`]
    SubscriptionOpened,
}

/// A feature that is told of events.
#[async_trait]
pub trait Listener: Send + Sync {
    /// Acts on an event of a kind for which the feature has registered.
    ///
    /// # Errors
    /// If it cannot. That is logged, and changes nothing for anybody else.
    async fn on_event(&self, cx: &mut Cx<'_>, event: &Event<'_>) -> Result<(), StanzaError>;
}

impl Event<'_> {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> EventKind {
        match self {
            Self::AccountRemoved { .. } => EventKind::AccountRemoved,
            Self::SessionAvailable { .. } => EventKind::SessionAvailable,
            Self::SessionEnded { .. } => EventKind::SessionEnded,
            Self::SessionUnavailable { .. } => EventKind::SessionUnavailable,
            Self::SubscriptionOpened { .. } => EventKind::SubscriptionOpened,
        }
    }
}

/// Tells all listeners of an event. See the module for their order, and for those that fail or are slow.
pub async fn tell(cx: &mut Cx<'_>, event: Event<'_>) {
    let server = cx.server;
    for (feature, listener) in server.registry.listeners(event.kind()) {
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
