//! Orders to the owner of a session. An order overtakes all stanzas.

use std::time::Duration;

use smol_str::SmolStr;
use tokio::sync::{mpsc, oneshot};

use super::mailbox::{Mailbox, Shared};
use super::{Session, SessionRef};

/// Why a session is told to close.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CloseReason {
    /// The account was removed.
    AccountRemoved,
    /// The same resource was bound again, or the account has too many sessions.
    Conflict,
    /// By the administrator, with a sentence for the client.
    Kicked(Option<SmolStr>),
    /// The client does not read.
    Overrun,
    /// The password was changed.
    Revoked,
    /// The server ends.
    Shutdown,
}

/// An order to the owner of a session.
#[derive(Debug)]
pub enum Order {
    /// End the session.
    Close(CloseReason),
    /// The server ends. A session that can be resumed after the next start leaves its connection and is
    /// saved. It accepts stanzas until the order to close comes. The sender is dropped when the session
    /// is saved, or has ended.
    Detach(mpsc::Sender<()>),
    /// Finish the stanza in hand and send the session here: it goes on on another connection
    /// (XEP-0198 §5).
    HandOver(oneshot::Sender<Session>),
}

impl Shared {
    /// An order that is not carried out is dropped, and with it the sender of its answer: that tells
    /// whoever gave it. The first order to close is carried out rather than any other one, and an order
    /// to detach rather than one to hand over. Of several orders to hand over the last is carried out: a
    /// client that tries again has given up its earlier try.
    fn order(&self, order: Order) {
        let mut state = self.state.lock();
        state.is_ending |= matches!(order, Order::Close(_));
        state.has_overrun |= matches!(order, Order::Close(CloseReason::Overrun));
        let stays = match state.order {
            Some(Order::Close(_)) => true,
            Some(Order::Detach(_)) => matches!(order, Order::HandOver(_)),
            Some(Order::HandOver(_)) | None => false,
        };
        if !state.is_closed && !stays {
            state.order = Some(order);
        }
        drop(state);
        self.filled.notify_one();
    }
}

impl SessionRef {
    /// Tells the session to close. The first reason counts.
    pub fn close(&self, reason: CloseReason) {
        self.mailbox().order(Order::Close(reason));
    }

    /// Tells the session that the server ends: see [`Order::Detach`].
    pub fn detach(&self, saving: mpsc::Sender<()>) {
        self.mailbox().order(Order::Detach(saving));
    }

    /// Takes the session out of the task that owns it (XEP-0198 §5). That task finishes the stanza in
    /// hand first. The receiver gets an error if the session is ending. Whoever drops the receiver must
    /// look whether the session is in it. Only for a session of this node.
    #[must_use]
    pub fn take_over(&self) -> oneshot::Receiver<Session> {
        let (reply, answer) = oneshot::channel();
        self.mailbox().order(Order::HandOver(reply));
        answer
    }

    /// The session has ended, or was told to close.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        let state = self.mailbox().state.lock();
        state.is_closed || state.is_ending
    }

    /// The session ends, or has ended, because its client does not read or does not acknowledge.
    #[must_use]
    pub fn has_overrun(&self) -> bool {
        self.mailbox().state.lock().has_overrun
    }
}

impl Mailbox {
    /// An order waits for the owner.
    #[must_use]
    pub fn has_order(&self) -> bool {
        self.shared().state.lock().order.is_some()
    }

    /// Waits for an order that must not wait until a write is done. An order to leave the connection
    /// interrupts at once, because a client that resumes treats half a stanza as none. An order to
    /// close waits two seconds, so that no stanza is cut in two. May be dropped at any time.
    pub async fn interrupted(&self) {
        let shared = self.shared();
        loop {
            let is_to_close = match shared.state.lock().order {
                Some(Order::HandOver(_) | Order::Detach(_)) => return,
                Some(Order::Close(_)) => true,
                None => false,
            };
            if is_to_close {
                return tokio::time::sleep(GRACE).await;
            }
            shared.filled.notified().await;
        }
    }
}

/// For a write that is under way when the session is told to close.
const GRACE: Duration = Duration::from_secs(2);
