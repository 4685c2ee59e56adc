//! Orders to the owner of a session.

use smol_str::SmolStr;
use tokio::sync::{mpsc, oneshot};

use super::owner_state::OwnerState;

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

/// An order to the owner of a session. It overtakes all stanzas.
///
/// An order that is not carried out is dropped, and with it the sender of its answer. That tells the task
/// that gave the order.
#[derive(Debug)]
pub enum Order {
    /// End the session.
    Close(CloseReason),
    /// The server ends. A session that can be resumed after the next start leaves its connection and is
    /// saved. It accepts stanzas until the order to close comes. The sender is dropped when the session
    /// is saved, or has ended.
    Detach(mpsc::Sender<()>),
    /// Finish the stanza in hand and give the session to another task
    /// ([`Session::hand_over`](super::Session::hand_over)): it continues on another connection
    /// (XEP-0198 §5).
    HandOver(oneshot::Sender<OwnerState>),
}

impl Order {
    /// Whether this order, which waits for the owner, is replaced by a new one. The first order to close
    /// goes before any other order, and an order to detach before one to hand over. Of several orders to
    /// hand over the last is carried out: a client that tries again has given up its earlier try.
    pub(super) fn is_replaced_by(&self, new: &Self) -> bool {
        match self {
            Self::Close(_) => false,
            Self::Detach(_) => !matches!(new, Self::HandOver(_)),
            Self::HandOver(_) => true,
        }
    }
}
