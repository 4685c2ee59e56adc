//! A session: a bound resource (RFC 6120 §7), a value that exactly one task owns.
//!
//! The types say who may do what with it. The task that owns the [`Session`] takes stanzas out of its
//! [`Mailbox`] and keeps its stream management ([`SmState`]). All others have a [`SessionRef`], which they
//! find in the [`SessionTable`]: they read facts, flags and presence, and give the session stanzas and
//! orders. They never wait for it: a session that does not keep up is closed.
//!
//! The files depend on each other in one direction. At the bottom is state (`*_state.rs`, `delivery.rs`,
//! `order.rs`), above it [`SessionRef`] and [`SessionTable`], above these what is done with the state
//! (`mailbox.rs`, `catch_up.rs`, `presence.rs`, `writer.rs`), and on top [`Session`]. What a message passes
//! on its way is in `table.rs` and `mailbox.rs`.
//!
//! A session that can be resumed outlives its connection (XEP-0198 §5): it moves, by value, to the new
//! one.

mod archive_page;
mod catch_up;
mod catch_up_state;
mod client_flags;
mod client_state;
mod delivery;
mod ended;
mod feature_state;
mod in_flight;
mod inactivity;
mod interests;
mod mailbox;
mod mailbox_state;
mod memory;
mod order;
mod own_presence;
mod owner_state;
mod presence;
mod presence_state;
mod restored;
mod session_facts;
mod session_ref;
mod sm_inbound;
mod sm_outbound;
mod sm_state;
mod snapshot;
mod spared;
mod table;
mod take_over;
mod unacknowledged;
mod writer;

pub use archive_page::ArchivePage;
pub use client_flags::ClientFlags;
pub use delivery::{Accepted, Delivery, Undelivered};
pub use ended::{DroppedSession, Unread};
pub use interests::Interests;
pub use mailbox::{Mailbox, Taken};
pub use mailbox_state::MailboxLimits;
pub use order::{CloseReason, Order};
pub use owner_state::OwnerState;
pub use restored::Restored;
pub use session_facts::{Hibernation, SessionFacts};
pub use session_ref::SessionRef;
pub use sm_state::{Batch, Resumption, SmState};
pub use spared::Spared;
pub use table::SessionTable;
pub use take_over::TakeOver;
pub use unacknowledged::TooHigh;

use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::jid::FullJid;
use crate::stanza::Stanza;
use crate::storage::MessageId;

/// A bound resource. Exactly one task owns it; it can move from one to another by value. Only the loops of
/// the owner's task have a `&Session`.
///
/// It ends by [`Session::close`] or [`Session::save`]. If it is dropped instead, its task has panicked: it is
/// removed from the table and its mailbox is closed, and [`SessionTable::dropped`] answers it, so that its
/// contacts can be told.
#[derive(Debug)]
pub struct Session {
    mailbox: Mailbox,
    /// `None` once the session has left the table, or is another task's.
    table: Option<Arc<SessionTable>>,
    own: OwnerState,
}

impl Session {
    /// Enters a new session into the table. The newer one wins: an older one of the same full JID, and
    /// the oldest ones above `limit` of the account, are told to close (RFC 6120 §7.7.2.2).
    #[must_use]
    pub fn open(
        table: Arc<SessionTable>,
        jid: FullJid,
        facts: SessionFacts,
        limits: MailboxLimits,
        limit: usize,
    ) -> Self {
        let memory = table.memory(&jid);
        let mailbox = Mailbox(SessionRef::new(jid, facts, limits, memory));
        if !mailbox.0.is_anonymous() {
            // What others send to this full JID must not overtake what is in the store.
            mailbox.expect_decision();
        }
        table.enter(&mailbox.0, limit);
        Self { mailbox, table: Some(table), own: OwnerState::default() }
    }

    /// A session that is in no table, for a message that comes over HTTP: nobody finds it, and what it is sent is only
    /// what answers its own stanzas. It can be dropped.
    #[must_use]
    pub fn unlisted(jid: FullJid, facts: SessionFacts, limits: MailboxLimits) -> Self {
        let mailbox = Mailbox(SessionRef::new(jid, facts, limits, memory::Memory::default()));
        Self { mailbox, table: None, own: OwnerState::default() }
    }

    /// Whether it is a session of [`Session::unlisted`].
    #[must_use]
    pub fn is_unlisted(&self) -> bool {
        self.table.is_none()
    }

    /// The reference that others have.
    #[must_use]
    pub fn handle(&self) -> &SessionRef {
        &self.mailbox.0
    }

    /// The owner's side of the mailbox.
    #[must_use]
    pub fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// Looks at stream management, or changes it. The closure must be short and must not call others.
    pub fn sm<T>(&self, act: impl FnOnce(&mut SmState) -> T) -> T {
        let mut sm = self.own.sm.lock();
        let answer = act(&mut sm);
        let (_, bytes) = sm.unacknowledged();
        let mailbox = self.mailbox.shared();
        mailbox.memory.unacknowledged(bytes);
        mailbox.note_asked(sm.asked_since());
        answer
    }

    /// Stream management begins (XEP-0198 §3). `resumption`: how the session can be resumed, if the
    /// client wants that. `false` if stream management has begun already.
    pub fn manage(&self, resumption: Option<Resumption>) -> bool {
        let id = resumption.as_ref().map(|resumption| resumption.id.clone());
        let has_begun = self.sm(|sm| sm.enable(resumption));
        if let Some(id) = id.filter(|_| has_begun)
            && let Some(table) = &self.table
        {
            table.resumable(id, self.handle());
        }
        has_begun
    }

    /// The `T` of this session; its default at first. The closure must be short, and must not ask for
    /// the state of another feature.
    pub fn feature<T: Any + Default + Send, R>(&self, act: impl FnOnce(&mut T) -> R) -> R {
        act(self.own.features.lock().get_or_default())
    }

    /// The same, if there is a `T` already: else no memory is used.
    pub fn feature_if_any<T: Any, R>(&self, act: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.own.features.lock().get().map(act)
    }

    /// Changes what the client has asked for.
    pub fn change_flags(&self, change: impl FnOnce(&mut ClientFlags)) {
        self.handle().change_flags(change);
    }

    /// Others can find the session in the table. `newest` is the newest message at that time.
    pub fn note_seen(&self, newest: Option<MessageId>) {
        self.handle().change_facts(|facts| facts.newest_seen = newest);
    }

    /// The client has told the id of its installation.
    pub fn note_installation(&self, id: Arc<str>) {
        self.handle().change_facts(|facts| facts.installation = Some(id));
    }

    /// The session has no connection, and waits for its client.
    pub fn note_hibernation(&self, hibernation: Hibernation) {
        self.handle().set_hibernation(Some(hibernation));
    }

    /// The session continues on another connection.
    pub fn note_moved(&self, peer: SocketAddr, tls: &'static str) {
        self.handle().set_hibernation(None);
        self.mailbox.set_active();
        self.handle().change_facts(|facts| (facts.peer, facts.tls) = (peer, tls));
    }

    /// Gives the session to the task that has given the order ([`Order::HandOver`]). It stays in the table.
    ///
    /// # Errors
    /// The session itself, if the task that has asked for it has ended.
    pub fn hand_over(mut self, to: oneshot::Sender<OwnerState>) -> Result<(), Self> {
        let table = self.table.take();
        to.send(std::mem::take(&mut self.own)).map_err(|own| {
            (self.table, self.own) = (table, own);
            self
        })
    }

    /// Removes it from the table and closes its mailbox. Answers what the client has not acknowledged,
    /// and what was not written: the caller treats it as for an offline user.
    #[must_use]
    pub fn close(mut self) -> Unread {
        self.leave();
        self.take_unread()
    }

    /// Leaves the table, and answers it. `None` if the session has left it, or is another task's.
    fn leave(&mut self) -> Option<Arc<SessionTable>> {
        let table = self.table.take()?;
        table.leave(self.handle());
        if let Some(resumption) = self.sm(|sm| sm.resumption()) {
            table.not_resumable(&resumption.id);
        }
        Some(table)
    }

    /// What the client does not have: what it has not acknowledged, and what is queued, oldest first.
    #[must_use]
    pub fn undelivered(&self) -> Vec<Arc<Stanza>> {
        let (sent, ..) = self.sm(|sm| sm.saved());
        let sent = sent.into_iter().filter(|(_, answered)| !answered);
        let all = sent.map(|(delivery, _)| delivery).chain(self.mailbox.queue());
        all.map(|delivery| delivery.stanza).collect()
    }

    fn take_unread(&self) -> Unread {
        let mut deliveries: Vec<_> = self.sm(SmState::end).into();
        let closed = self.mailbox.shared().close();
        deliveries.extend(closed.queue);
        Unread { deliveries, was_catching_up: closed.is_catching_up }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(table) = self.leave() {
            let (handle, resumption) = (self.handle().clone(), self.sm(|sm| sm.resumption()));
            let unread = self.take_unread();
            table.note_dropped(DroppedSession { handle, resumption, unread });
        }
    }
}

#[cfg(test)]
mod tests;
