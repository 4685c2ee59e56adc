//! How the life of a session on a connection ends.

use tokio::sync::{mpsc, oneshot};

use crate::session::{CloseReason, Order, OwnerState, Session};
use crate::stanza::{StreamCondition, StreamError};

/// How the life of a session on a connection has ended.
#[derive(Debug)]
pub(super) enum ConnectionEnd {
    /// The client has closed its stream: a logout.
    Closed,
    /// With a stream error.
    Failed(StreamError),
    /// The network, or the client, is gone.
    Lost(&'static str),
    /// The session continues on another connection.
    HandedOver(oneshot::Sender<OwnerState>),
    /// The server ends: the session is saved, and waits for the end without a connection.
    Detached(mpsc::Sender<()>),
    /// The server ends; the next server continues this session.
    Stopped,
}

impl ConnectionEnd {
    /// What becomes of a connection by this order. A session that the next server can continue outlives
    /// this one.
    pub(super) fn ordered(session: &Session, order: Order) -> Self {
        let outlives = || {
            let resumption = session.sm(|sm| sm.resumption());
            resumption.is_some_and(|resumption| resumption.number.is_some())
        };
        match order {
            Order::Close(CloseReason::Shutdown) if outlives() => Self::Stopped,
            Order::Detach(saving) if outlives() => Self::Detached(saving),
            Order::Detach(_) => Self::Failed(error_for(&CloseReason::Shutdown)),
            Order::Close(reason) => Self::Failed(error_for(&reason)),
            Order::HandOver(to) => Self::HandedOver(to),
        }
    }
}

/// What a client is told that is closed for this reason.
fn error_for(reason: &CloseReason) -> StreamError {
    match reason {
        CloseReason::AccountRemoved => {
            StreamCondition::NotAuthorized.text("the account was removed")
        }
        CloseReason::Conflict => StreamCondition::Conflict.text("replaced by a newer session"),
        CloseReason::Kicked(None) => {
            StreamCondition::PolicyViolation.text("closed by the operator")
        }
        CloseReason::Kicked(Some(text)) => {
            StreamError { text: Some(text.clone()), ..StreamCondition::PolicyViolation.into() }
        }
        CloseReason::Overrun => {
            StreamCondition::PolicyViolation.text("the client does not read what it is sent")
        }
        CloseReason::Revoked => StreamCondition::NotAuthorized.text("the login is no longer valid"),
        CloseReason::Shutdown => StreamCondition::SystemShutdown.into(),
    }
}
