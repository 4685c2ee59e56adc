//! XEP-0198 §5: sessions that can be resumed, over a restart of the server, too.
//!
//! How many stanzas of its client a session has handled is remembered with the messages among them
//! ([`super::NewMessage::handled`]), so that after a crash `<failed h='…'/>` says what is kept.

use async_trait::async_trait;
use bytes::Bytes;

use super::{Handled, NodeNumber, Receipt, Result};
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;

/// The number of a session within the store. It means nothing to a client. Its lowest bits are the node
/// on which the session began, as in a [`super::MessageId`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SessionNumber(pub(super) i64);

impl SessionNumber {
    /// The session with this counter on a node.
    pub(super) fn new(node: NodeNumber, counter: i64) -> Self {
        Self(node.number(counter))
    }

    /// It began on this node.
    pub(super) fn is_of(self, node: NodeNumber) -> bool {
        node.has_made(self.0)
    }

    #[cfg(test)]
    pub(crate) fn for_tests(number: i64) -> Self {
        Self(number)
    }
}

/// A session that can be resumed, or that could and has ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resumable {
    /// Its number.
    pub number: SessionNumber,
    /// Whose.
    pub owner: BareJid,
    /// The resource of its full address.
    pub resource: String,
    /// What the client calls it: unguessable (XEP-0198 §5).
    pub key: String,
    /// How many stanzas of the client were handled.
    pub handled: u32,
    /// It ended then.
    pub ended: Option<Timestamp>,
    /// What [`ResumptionStore::save`] was given.
    pub state: Option<Bytes>,
}

/// A session as it is when the server ends in good order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SavedSession {
    /// Its number.
    pub number: SessionNumber,
    /// How many stanzas of the client were handled.
    pub handled: u32,
    /// All that the session wants to remember.
    pub state: Bytes,
}

/// Sessions that can be resumed.
#[async_trait]
pub trait ResumptionStore: Send + Sync {
    /// A session becomes resumable. No need to wait for the receipt: what is kept later is durable
    /// later.
    async fn begin(
        &self,
        owner: &BareJid,
        resource: &str,
        key: &str,
    ) -> Result<(SessionNumber, Receipt)>;
    /// Notes how many stanzas were handled, the last of which was kept nowhere. The client may be
    /// told when the receipt resolves: it must not hear less after a crash than it heard before. A
    /// count that comes behind a higher one, as of a message that was handed over later, changes
    /// nothing.
    async fn handled(&self, handled: Handled) -> Result<Receipt>;
    /// Saves sessions, all in one transaction; durable when this returns.
    async fn save(&self, sessions: Vec<SavedSession>) -> Result<()>;
    /// The session with this key.
    async fn find(&self, key: &str) -> Result<Option<Resumable>>;
    /// The sessions of this node that have not ended, by number. When a server begins, these are the
    /// sessions of the server before it. Sessions of other nodes are not among them.
    async fn all(&self) -> Result<Vec<Resumable>>;
    /// A server begins, and has read [`ResumptionStore::all`]. Of the sessions of this node, those that
    /// were saved lose what was saved, so that a crash does not bring it back a second time; all others
    /// have ended. Sessions of other nodes stay as they are.
    async fn begin_anew(&self, at: Timestamp) -> Result<()>;
    /// A session has ended. What was saved of it is gone, its count stays until it expires. Written
    /// with the next change.
    async fn end(&self, session: SessionNumber, at: Timestamp) -> Result<()>;
    /// All sessions of an account that wait for the next server have ended, as with
    /// [`ResumptionStore::end`]. Answers how many; durable when this returns.
    async fn end_all(&self, owner: &BareJid, at: Timestamp) -> Result<u64>;
    /// Forgets sessions which ended before `before`, some hundred at once; answers how many. Asked
    /// again until it answers 0, it has forgotten all of them.
    async fn expire(&self, before: Timestamp) -> Result<u64>;
}
