//! XEP-0160: messages which wait until their reader comes online.

use async_trait::async_trait;
use bytes::Bytes;
use smallvec::smallvec;

use super::{Holder, NewMessage, Result, Way};
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;

/// A message that waits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OfflineMessage {
    /// Grows with each message of an owner.
    pub id: i64,
    /// When the server took it.
    pub at: Timestamp,
    /// The whole `<message/>`, with `from` and `to`, in the namespace `jabber:client`.
    pub xml: Bytes,
}

/// Messages which wait for their reader.
#[async_trait]
pub trait OfflineStore: Send + Sync {
    /// Keeps a message; it is durable when this returns.
    ///
    /// # Errors
    /// `StorageError::Limit` if `limit` messages wait for this owner already.
    async fn keep(&self, owner: &BareJid, at: Timestamp, xml: Bytes, limit: u32) -> Result<i64>;
    /// The oldest ones after `after` (0: from the beginning), `limit` at most, in order.
    async fn page(&self, owner: &BareJid, after: i64, limit: usize) -> Result<Vec<OfflineMessage>>;
    /// Forgets all up to and with `id`; answers how many.
    async fn forget(&self, owner: &BareJid, up_to: i64) -> Result<u64>;
    /// How many wait.
    async fn count(&self, owner: &BareJid) -> Result<u64>;
}

/// A message that is nowhere but with the one who waits for it.
pub(super) fn waiting_only(owner: &BareJid, at: Timestamp, xml: Bytes, limit: u32) -> NewMessage {
    let holder = Holder {
        owner: owner.clone(),
        with: owner.clone().into_jid(),
        way: Way::Received,
        archive: false,
        waiting: true,
        limit: Some(limit),
    };
    NewMessage { at, xml, holders: smallvec![holder], search: None, handled: None }
}
