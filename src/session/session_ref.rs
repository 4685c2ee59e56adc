//! A reference to a session: what every task may know of it and do to it.
//!
//! It is cheap to clone, and safe to keep after the session has ended. It gives no access to what is in
//! the mailbox, and nothing in it waits.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use super::client_flags::ClientFlags;
use super::mailbox_state::{MailboxLimits, SharedMailbox};
use super::memory::Memory;
use super::order::{CloseReason, Order};
use super::owner_state::OwnerState;
use super::presence_state::PresenceState;
use super::restored::Restored;
use super::session_facts::{Hibernation, SessionFacts};
use crate::jid::FullJid;

/// A reference to a session. Two are equal if they refer to the same session; the same address is not
/// enough.
#[derive(Clone, Debug)]
pub struct SessionRef(Arc<Shared>);

/// What the owner of a session and all others share.
#[derive(Debug)]
pub(super) struct Shared {
    jid: FullJid,
    facts: Mutex<SessionFacts>,
    flags: Mutex<ClientFlags>,
    hibernation: Mutex<Option<Box<Hibernation>>>,
    presence: Mutex<PresenceState>,
    mailbox: SharedMailbox,
}

impl SessionRef {
    pub(super) fn new(
        jid: FullJid,
        facts: SessionFacts,
        limits: MailboxLimits,
        memory: Memory,
    ) -> Self {
        Self(Arc::new(Shared {
            jid,
            facts: Mutex::new(facts),
            flags: Mutex::default(),
            hibernation: Mutex::default(),
            presence: Mutex::default(),
            mailbox: SharedMailbox::new(limits, memory),
        }))
    }

    /// The full JID.
    #[must_use]
    pub fn jid(&self) -> &FullJid {
        &self.0.jid
    }

    /// What is known of it since its login, or since its last resumption.
    #[must_use]
    pub fn facts(&self) -> SessionFacts {
        self.0.facts.lock().clone()
    }

    /// What it may have missed in rooms, if it was saved by the server before this one.
    #[must_use]
    pub fn restored(&self) -> Option<Arc<Restored>> {
        self.0.facts.lock().restored.clone()
    }

    /// Its user has no account: nothing is stored for the user.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.0.facts.lock().anonymous
    }

    /// It outlives its connection (XEP-0198 §5).
    #[must_use]
    pub fn is_resumable(&self) -> bool {
        self.0.facts.lock().resumable
    }

    /// What its client has asked for.
    #[must_use]
    pub fn flags(&self) -> ClientFlags {
        *self.0.flags.lock()
    }

    /// Since when it waits for its client, and until when; `None` if it has a connection.
    #[must_use]
    pub fn hibernation(&self) -> Option<Hibernation> {
        self.0.hibernation.lock().as_deref().copied()
    }

    /// About how many bytes are held for its client.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.0.mailbox.memory.own()
    }

    /// Tells the session to close. The first reason counts.
    pub fn close(&self, reason: CloseReason) {
        self.0.mailbox.order(Order::Close(reason));
    }

    /// Tells the session that the server ends: see [`Order::Detach`].
    pub fn detach(&self, saving: mpsc::Sender<()>) {
        self.0.mailbox.order(Order::Detach(saving));
    }

    /// Tells the session to move to the task of the receiver: see [`Order::HandOver`].
    pub(super) fn order_hand_over(&self) -> oneshot::Receiver<OwnerState> {
        let (reply, answer) = oneshot::channel();
        self.0.mailbox.order(Order::HandOver(reply));
        answer
    }

    /// The session has ended, or was told to close.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        let state = self.0.mailbox.state.lock();
        state.is_closed || state.is_ending
    }

    /// The session ends, or has ended, because its client does not read or does not acknowledge.
    #[must_use]
    pub fn has_overrun(&self) -> bool {
        self.0.mailbox.state.lock().has_overrun
    }

    pub(super) fn change_facts(&self, change: impl FnOnce(&mut SessionFacts)) {
        change(&mut self.0.facts.lock());
    }

    pub(super) fn change_flags(&self, change: impl FnOnce(&mut ClientFlags)) {
        change(&mut self.0.flags.lock());
    }

    pub(super) fn set_hibernation(&self, hibernation: Option<Hibernation>) {
        *self.0.hibernation.lock() = hibernation.map(Box::new);
    }

    pub(super) fn presence(&self) -> &Mutex<PresenceState> {
        &self.0.presence
    }

    pub(super) fn mailbox(&self) -> &SharedMailbox {
        &self.0.mailbox
    }
}

impl PartialEq for SessionRef {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
