//! A reference to a session: what every task may know of it and do to it.
//!
//! It is cheap to clone, and safe to keep after the session has ended. It gives no access to what is in
//! the mailbox, and nothing in it waits.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::client_flags::ClientFlags;
use super::mailbox::{self, MailboxLimits};
use super::memory::Memory;
use super::presence_state::PresenceState;
use crate::jid::FullJid;
use crate::payload::datetime::Timestamp;
use crate::storage::MessageId;

/// What is known of a session from its login on.
#[derive(Clone, Debug)]
pub struct SessionFacts {
    /// Where the client is.
    pub peer: SocketAddr,
    /// How the connection is protected, for example `TLSv1.3`.
    pub tls: &'static str,
    /// When it was bound.
    pub since: Instant,
    /// Its user has no account (XEP-0175): nothing is stored for the user.
    pub anonymous: bool,
    /// It outlives its connection (XEP-0198 §5).
    pub resumable: bool,
    /// The id of the client's installation, if the client told it (XEP-0388 §2.3). Others must not see it.
    pub installation: Option<Arc<str>>,
    /// The newest message of the server before it was bound.
    pub newest: Option<MessageId>,
    /// The newest message of the server when others could find it in the table.
    pub newest_seen: Option<MessageId>,
}

/// A session without a connection, which waits for its client (XEP-0198 §5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Hibernation {
    /// Since when it has no connection.
    pub since: Timestamp,
    /// It ends then, if its client has not come back.
    pub until: Timestamp,
}

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
    mailbox: mailbox::Shared,
}

#[cfg(test)]
impl SessionFacts {
    /// Those of a session that was just bound.
    pub(crate) fn for_tests() -> Self {
        Self {
            peer: SocketAddr::from(([192, 0, 2, 1], 5222)),
            tls: "TLSv1.3",
            since: Instant::now(),
            anonymous: false,
            resumable: false,
            installation: None,
            newest: None,
            newest_seen: None,
        }
    }
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
            mailbox: mailbox::Shared::new(limits, memory),
        }))
    }

    /// The full JID.
    #[must_use]
    pub fn jid(&self) -> &FullJid {
        &self.0.jid
    }

    /// What is known from its login, or its last resumption, on.
    #[must_use]
    pub fn facts(&self) -> SessionFacts {
        self.0.facts.lock().clone()
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

    /// How it waits for its client; `None` if it has a connection.
    #[must_use]
    pub fn hibernation(&self) -> Option<Hibernation> {
        self.0.hibernation.lock().as_deref().copied()
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

    pub(super) fn mailbox(&self) -> &mailbox::Shared {
        &self.0.mailbox
    }
}

impl PartialEq for SessionRef {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
