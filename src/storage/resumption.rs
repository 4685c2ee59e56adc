//! XEP-0198 §5: sessions that can be resumed, even after a restart of the server.
//!
//! The number of stanzas that a session has handled is stored in the transaction of the messages among
//! them ([`super::NewMessage::handled`]). So after a crash `<failed h='…'/>` is what was stored.

use async_trait::async_trait;
use bytes::Bytes;

use super::{NodeNumber, Receipt, Result};
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

/// How many stanzas of its client a session has handled (XEP-0198 §4, `h`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Handled {
    /// Which session.
    pub session: SessionNumber,
    /// How many; wraps around.
    pub count: u32,
}

impl Handled {
    /// Whether it is ahead of another count of the same session. Counts wrap around at 2^32.
    pub(super) fn is_ahead(self, of: u32) -> bool {
        self.count.wrapping_sub(of) < 1 << 31
    }
}

/// A session that can be resumed, or one that could be and has ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resumable {
    /// Its number.
    pub number: SessionNumber,
    /// The account.
    pub owner: BareJid,
    /// The resource of its full address.
    pub resource: String,
    /// The id that the client uses, which nobody can guess (XEP-0198 §5).
    pub key: String,
    /// How many stanzas of the client were handled (`h`).
    pub handled: u32,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// What [`ResumptionStore::save`] was given.
    pub state: Option<Bytes>,
}

/// A session as it is when the server shuts down.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SavedSession {
    /// Its number.
    pub number: SessionNumber,
    /// How many stanzas of the client were handled (`h`).
    pub handled: u32,
    /// All that the session needs to go on.
    pub state: Bytes,
}

/// Sessions that can be resumed.
#[async_trait]
pub trait ResumptionStore: Send + Sync {
    /// A session becomes resumable. The caller need not wait for the receipt: messages that are stored
    /// after this call become durable after it.
    async fn begin(
        &self,
        owner: &BareJid,
        resource: &str,
        key: &str,
    ) -> Result<(SessionNumber, Receipt)>;
    /// Stores how many stanzas were handled, if the last of them was not a stored message. The count may
    /// be acknowledged when the receipt resolves: after a crash, a client must not get a lower count than
    /// before. A count that is lower than the stored one changes nothing.
    async fn handled(&self, handled: Handled) -> Result<Receipt>;
    /// Saves sessions, all in one transaction. It is durable when this returns.
    async fn save(&self, sessions: Vec<SavedSession>) -> Result<()>;
    /// The session with this key, on whichever node it began.
    async fn find(&self, key: &str) -> Result<Option<Resumable>>;
    /// The sessions of this node that have not ended, by number. When a server begins, these are the
    /// sessions of the server before it. Sessions of other nodes are not among them.
    async fn all(&self) -> Result<Vec<Resumable>>;
    /// Called when a server starts, after it has read [`ResumptionStore::all`]. Deletes what was saved of the sessions of
    /// this node, so that a crash does not bring it back a second time, and ends all sessions that were not saved. Sessions
    /// of other nodes stay as they are.
    async fn begin_anew(&self, at: Timestamp) -> Result<()>;
    /// Ends a session. What was saved of it is deleted; its count stays until the session expires. This is written with
    /// the next change, within 100 ms.
    async fn end(&self, session: SessionNumber, at: Timestamp) -> Result<()>;
    /// Ends all saved sessions of an account, on all nodes. Returns how many. It is durable when this
    /// returns.
    async fn end_all(&self, owner: &BareJid, at: Timestamp) -> Result<u64>;
    /// Forgets sessions that ended before `before`, some hundred at once. Returns how many. The caller
    /// repeats it until it returns 0.
    async fn expire(&self, before: Timestamp) -> Result<u64>;
}
