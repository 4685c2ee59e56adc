//! Where a session can be reached: cheap to clone, safe to keep after its end.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashSet;
use smol_str::SmolStr;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::Session;
use super::inbox::{Delivery, Inbox, InboxLimits};
use super::memory::Memory;
use crate::jid::{BareJid, FullJid, Jid};
use crate::payload::datetime::Timestamp;
use crate::stanza::{Presence, PresenceKind, Stanza};
use crate::storage::MessageId;

/// Why a session is told to close.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CloseReason {
    /// The same resource was bound again, or the account has too many sessions.
    Conflict,
    /// By the administrator, with a sentence for the client.
    Kicked(Option<SmolStr>),
    /// It does not read what it is sent.
    Overrun,
    /// The account was removed or its password changed.
    Revoked,
    /// The server ends.
    Shutdown,
}

/// An order to the owner of a session. It overtakes all stanzas.
#[derive(Debug)]
pub enum Order {
    /// End the session.
    Close(CloseReason),
    /// The server ends: a session that the next server can go on with leaves its connection and is
    /// saved. It waits until the order to close comes, and takes what the others still send. The sender
    /// is dropped when the session is saved, or has ended.
    Detach(mpsc::Sender<()>),
    /// Finish the stanza in hand and send the session here: it goes on on another connection
    /// (XEP-0198 §5).
    HandOver(oneshot::Sender<Session>),
}

/// Why a stanza was not taken. It goes the way of the absent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Undelivered {
    /// The session has ended.
    Closed,
    /// It does not keep up, and is being closed.
    Overrun,
}

/// What is known of a session from its login on.
#[derive(Clone, Debug)]
pub struct SessionFacts {
    /// Where the client is.
    pub peer: SocketAddr,
    /// How the connection is protected, for example `TLSv1.3`.
    pub tls: &'static str,
    /// When it was bound.
    pub since: Instant,
    /// Its user has no account (XEP-0175): nothing is kept for her.
    pub anonymous: bool,
    /// It outlives its connection (XEP-0198 §5).
    pub resumable: bool,
    /// The newest message of the server before it was bound.
    pub newest: Option<MessageId>,
    /// The newest one when others had seen that it is there.
    pub newest_seen: Option<MessageId>,
}

/// What a session has told about itself.
#[derive(Clone, Debug, Default)]
pub struct PresenceState {
    /// The last available presence; `None` before the first and after unavailable.
    pub available: Option<Arc<Presence>>,
    /// Its priority.
    pub priority: i8,
    /// It has asked for the block list, so it gets its changes (XEP-0191 §3.3).
    pub wants_blocklist: bool,
    /// Those who have its directed presence (RFC 6121 §4.6).
    pub directed: FxHashSet<Jid>,
    /// The bare addresses of those whose clients it has sent requests to, 100 at most: they know that
    /// it is there.
    pub asked: FxHashSet<BareJid>,
    /// It has asked for the roster, so it gets roster pushes (RFC 6121 §2.1.6).
    pub interested: bool,
    /// Ad-hoc commands that it has begun and not ended, oldest first.
    pub executions: Vec<Execution>,
}

/// An ad-hoc command whose form the client was sent (XEP-0050 §3).
#[derive(Clone, Debug)]
pub struct Execution {
    /// The `sessionid`.
    pub id: SmolStr,
    /// Which command.
    pub node: SmolStr,
    /// When the form was sent.
    pub since: Instant,
}

impl PresenceState {
    /// Notes that it has sent a request to `other`.
    pub fn ask(&mut self, other: BareJid) {
        if self.asked.len() < MAX_ASKED {
            self.asked.insert(other);
        }
    }

    /// Whether it has told anybody at this bare address that it is there: by directed presence, be it
    /// to a resource (a room is entered by the address of an occupant, XEP-0045 §7.2), or by a request.
    #[must_use]
    pub fn is_known_at(&self, other: &Jid) -> bool {
        let bare = other.bare_str();
        self.directed.contains(other)
            || self.directed.iter().any(|known| known.bare_str() == bare)
            || self.asked.contains(bare)
    }

    /// Notes that directed presence goes to `to`, which is to be told the end, unless this is it
    /// (RFC 6121 §4.6.3). `false` if there are a thousand already.
    pub fn direct(&mut self, kind: PresenceKind, to: &Jid) -> bool {
        if kind == PresenceKind::Unavailable {
            self.directed.remove(to);
            self.asked.remove(to.bare_str());
            return true;
        }
        let is_known = self.directed.contains(to);
        is_known || self.directed.len() < MAX_DIRECTED && self.directed.insert(to.clone())
    }
}

/// Where a session can be reached. Equal if it is the same session, not only the same address.
#[derive(Clone, Debug)]
pub struct SessionRef(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    jid: FullJid,
    facts: Mutex<SessionFacts>,
    presence: Mutex<PresenceState>,
    /// Since when, and until when, it waits for its client.
    waits: Mutex<Option<(Timestamp, Timestamp)>>,
    inbox: Inbox,
}

impl SessionRef {
    pub(super) fn new(
        jid: FullJid,
        facts: SessionFacts,
        bounds: InboxLimits,
        memory: Memory,
    ) -> Self {
        Self(Arc::new(Shared {
            jid,
            facts: Mutex::new(facts),
            presence: Mutex::default(),
            waits: Mutex::default(),
            inbox: Inbox::new(bounds, memory),
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

    /// Its user has no account: nothing is kept for her.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.0.facts.lock().anonymous
    }

    /// It outlives its connection.
    #[must_use]
    pub fn is_resumable(&self) -> bool {
        self.0.facts.lock().resumable
    }

    /// Others see that it is there, as of this message.
    pub fn seen(&self, newest: Option<MessageId>) {
        self.0.facts.lock().newest_seen = newest;
    }

    pub(super) fn now_resumable(&self) {
        self.0.facts.lock().resumable = true;
    }

    /// It has no connection since then, and ends if its client has not come back until then.
    pub fn waits_for_client(&self, since: Timestamp, until: Timestamp) {
        *self.0.waits.lock() = Some((since, until));
    }

    /// Since when, and until when, it waits for its client; `None` if it has a connection.
    #[must_use]
    pub fn waits(&self) -> Option<(Timestamp, Timestamp)> {
        *self.0.waits.lock()
    }

    /// It goes on on another connection.
    pub fn moved(&self, peer: SocketAddr, tls: &'static str) {
        *self.0.waits.lock() = None;
        let mut facts = self.0.facts.lock();
        (facts.peer, facts.tls) = (peer, tls);
    }

    /// Queues a stanza. Never waits.
    ///
    /// # Errors
    /// If it has ended, or does not keep up; in that case it is told to close.
    pub fn deliver(&self, stanza: Arc<Stanza>) -> Result<(), Undelivered> {
        self.0.inbox.offer(Delivery { stanza, to: None, marker: None, read: None })
    }

    /// Queues a shared stanza, to be written with this session's address as `to`.
    ///
    /// # Errors
    /// As [`SessionRef::deliver`].
    pub fn deliver_addressed(&self, stanza: Arc<Stanza>) -> Result<(), Undelivered> {
        let to = Some(self.0.jid.clone().into_jid());
        self.0.inbox.offer(Delivery { stanza, to, marker: None, read: None })
    }

    /// Queues a message whose marker falls when the client has it, once: not if the session has it
    /// already. While the session reads what waits, or if the mailbox is full, it is deferred, and
    /// comes in its turn.
    ///
    /// # Errors
    /// If the session has ended: the marker stands.
    pub fn deliver_with_marker(
        &self,
        stanza: Arc<Stanza>,
        marker: MessageId,
    ) -> Result<(), Undelivered> {
        self.0.inbox.offer(Delivery { stanza, to: None, marker: Some(marker), read: None })
    }

    /// Queues a message that has waited, in its turn.
    ///
    /// # Errors
    /// As [`SessionRef::deliver_with_marker`].
    pub fn deliver_waiting(
        &self,
        stanza: Arc<Stanza>,
        marker: MessageId,
    ) -> Result<(), Undelivered> {
        self.0.inbox.offer_backlog(Delivery { stanza, to: None, marker: Some(marker), read: None })
    }

    /// Queues a message of the archive with which its client has read all that waits under these markers:
    /// they fall when it has this one, and what they stand for is not delivered to it again.
    ///
    /// # Errors
    /// As [`SessionRef::deliver`]: the markers stand.
    pub fn deliver_read(
        &self,
        stanza: Arc<Stanza>,
        markers: Arc<[MessageId]>,
    ) -> Result<(), Undelivered> {
        self.0.inbox.offer(Delivery { stanza, to: None, marker: None, read: Some(markers) })
    }

    /// Tells it to close. Overtakes all stanzas; the first order counts.
    pub fn close(&self, reason: CloseReason) {
        self.0.inbox.order(Order::Close(reason));
    }

    /// Tells it that the server ends, if the next one can go on with it. It takes stanzas until it is
    /// told to close. `saving` is dropped when the session is saved, or has ended.
    pub fn detach(&self, saving: mpsc::Sender<()>) {
        self.0.inbox.order(Order::Detach(saving));
    }

    /// Takes the session out of the task that owns it (XEP-0198 §5). That one finishes the stanza
    /// in hand first. `None` if it is ending.
    /// Who drops the receiver must look whether the session is in it.
    #[must_use]
    pub fn take_over(&self) -> oneshot::Receiver<Session> {
        let (reply, answer) = oneshot::channel();
        self.0.inbox.order(Order::HandOver(reply));
        answer
    }

    /// The owner has something to write which is no stanza.
    pub fn wake_writer(&self) {
        self.0.inbox.wake_writer();
    }

    /// Reads what it has told about itself. The closure must be short and must not call others.
    pub fn presence<T>(&self, read: impl FnOnce(&PresenceState) -> T) -> T {
        read(&self.0.presence.lock())
    }

    /// Changes what it has told about itself. The closure must be short and must not call others.
    pub fn update_presence<T>(&self, change: impl FnOnce(&mut PresenceState) -> T) -> T {
        change(&mut self.0.presence.lock())
    }

    /// Its last available presence, if it is available.
    #[must_use]
    pub fn available(&self) -> Option<Arc<Presence>> {
        self.presence(|p| p.available.clone())
    }

    /// It has sent its presence to `other`, or to the account of `other`, and has not taken it back
    /// (RFC 6121 §4.6.6).
    #[must_use]
    pub fn is_shown_to(&self, other: &Jid) -> bool {
        self.presence(|p| p.directed.contains(other) || p.directed.contains(other.bare_str()))
    }

    /// The priority; `None` if it is not available.
    #[must_use]
    pub fn priority(&self) -> Option<i8> {
        self.presence(|p| p.available.as_ref().map(|_| p.priority))
    }

    /// How many stanzas wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.inbox.len()
    }

    /// Waits for an order that cannot wait for a write which hangs. For the owner, while it
    /// writes; may be dropped.
    pub async fn interrupted(&self) {
        self.0.inbox.interrupted().await;
    }

    /// Waits until there is something to write, or an order. For the owner; may be dropped.
    pub async fn filled(&self) {
        self.0.inbox.filled().await;
    }

    /// Waits until no more than `stanzas` wait. For the owner's reading loop; may be dropped.
    pub async fn wait_for_capacity(&self, stanzas: usize) {
        self.0.inbox.wait_for_capacity(stanzas).await;
    }

    /// An order waits for the owner.
    #[must_use]
    pub fn has_order(&self) -> bool {
        self.0.inbox.has_order()
    }

    /// Takes all that waits. For the owner.
    #[must_use]
    pub fn take(&self) -> (VecDeque<Delivery>, Option<Order>) {
        self.0.inbox.take()
    }

    /// Puts back what was taken and not written. For the owner.
    pub fn put_back(&self, deliveries: VecDeque<Delivery>) {
        self.0.inbox.put_back(deliveries);
    }

    /// Whether somebody writes what waits. If nobody does, [`SessionRef::below`] does not
    /// wait. For the owner.
    pub fn set_writer(&self, there: bool) {
        self.0.inbox.set_writer(there);
    }

    /// Somebody writes what waits: there is a connection.
    #[must_use]
    pub fn has_writer(&self) -> bool {
        self.0.inbox.has_writer()
    }

    pub(super) fn inbox(&self) -> &Inbox {
        &self.0.inbox
    }
}

impl PartialEq for SessionRef {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Addresses remembered by a session for its requests.
const MAX_ASKED: usize = 100;
/// Addresses remembered by a session for its directed presence.
const MAX_DIRECTED: usize = 1000;
