//! Messages: stored once, held by owners, with a marker until they are delivered.
//!
//! A message has one id for all who hold it. An owner holds it in the archive (XEP-0313), by an
//! undelivered marker (XEP-0160), or both. Message, archive rows and markers are one transaction.

use async_trait::async_trait;
use bytes::Bytes;
use smallvec::SmallVec;

use super::{Handled, MessageId, Receipt, Result};
use crate::jid::{BareJid, Jid};
use crate::payload::datetime::Timestamp;

/// Which way a message went, as its owner sees it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Way {
    /// To the owner.
    Received,
    /// From the owner.
    Sent,
}

/// A message to be kept.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// When the server took it, by the clock of the node.
    pub at: Timestamp,
    /// The whole `<message/>`, with `from` and `to`, in the namespace `jabber:client`.
    pub xml: Bytes,
    /// Who holds it. Two entries of one owner become one. A message without a holder is not stored.
    pub holders: SmallVec<[Holder; 2]>,
    /// Stored in the same transaction, even if the message is refused.
    pub handled: Option<Handled>,
}

/// An account that holds a message.
#[derive(Clone, Debug)]
pub struct Holder {
    /// The account.
    pub owner: BareJid,
    /// The other side: the sender of what the owner received, the recipient of what it sent.
    pub with: Jid,
    /// Whether the owner received or sent it.
    pub way: Way,
    /// Whether it is in the owner's archive. `false`: the owner holds it until it is delivered.
    pub archive: bool,
    /// Whether it gets an undelivered marker.
    pub waiting: bool,
    /// How many messages may be undelivered for the owner. Each sender has a share of them, and contacts
    /// come before strangers. If there is no room for this message, it is in the archive only; if it may
    /// not be in the archive, the receipt says `StorageError::Limit`, and nobody holds the message. If
    /// its sender is within its share and there is no room, another message loses its marker: one that
    /// is in the archive, from a sender above its share. `None`: no limit.
    pub limit: Option<u32>,
}

/// What is known at once of a message that is being stored.
#[derive(Debug)]
pub struct Kept {
    /// Its id. Ids of one node grow in the order in which it takes messages.
    pub id: MessageId,
    /// Resolves when it is durable.
    pub receipt: Receipt,
}

/// A message of an archive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stored {
    /// Its id.
    pub id: MessageId,
    /// When the server took it.
    pub at: Timestamp,
    /// The other side.
    pub with: Jid,
    /// Whether the owner received or sent it.
    pub way: Way,
    /// The stanza, as it was stored.
    pub xml: Bytes,
}

/// A message that is not delivered yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Waiting {
    /// Its id.
    pub id: MessageId,
    /// When the server took it.
    pub at: Timestamp,
    /// Whether it is in the owner's archive, too.
    pub archived: bool,
    /// The stanza, as it was stored.
    pub xml: Bytes,
}

/// A question to an archive. The default finds everything, oldest first, but returns no row (`max` is 0).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Query {
    /// To or from this address; without a resource, with any (XEP-0313 §4.1.1).
    ///
    /// DEPARTS: XEP-0313 §4.1.1 – a full address of the owner finds what the owner sent to it, not all
    /// that it has sent or received, because a row has only the address of the other side.
    pub with: Option<Jid>,
    /// Taken then or later.
    pub start: Option<Timestamp>,
    /// Taken then or earlier.
    pub end: Option<Timestamp>,
    /// Newer than this message, which need not exist.
    pub above: Option<MessageId>,
    /// Older than this message, which need not exist.
    pub below: Option<MessageId>,
    /// The page begins after this message, which need not exist. Unlike all the others, `after` and
    /// `before` do not change how many messages are found.
    pub after: Option<MessageId>,
    /// The page ends before this message, which need not exist.
    pub before: Option<MessageId>,
    /// The page begins at this position among all that are found, counted from 0. Then `after`, `before`
    /// and `backwards` are not set.
    pub index: Option<u64>,
    /// Only these.
    pub ids: Option<Vec<MessageId>>,
    /// Ids that must be in the archive. If one is not, there is no page.
    pub named: SmallVec<[MessageId; 4]>,
    /// Only messages that can be read and have all of these words, in any order (XEP-0431). All messages that may be found
    /// otherwise are read for that, so that a message costs nothing more when it is stored.
    pub text: Option<String>,
    /// The last page that fits, not the first. Rows are in ascending order of ids in any case.
    pub backwards: bool,
    /// How many rows at most. A page may have fewer, so that it is not much larger than 1 MiB.
    pub max: usize,
    /// The number of all that are found is wanted, too.
    pub count: bool,
}

impl Query {
    /// Messages may be left out between the ends of a page, or after the last one.
    #[must_use]
    pub fn leaves_out(&self) -> bool {
        let is_chosen = self.with.is_some() || self.ids.is_some() || self.text.is_some();
        is_chosen || self.end.is_some() || self.below.is_some()
    }
}

/// Some messages of an archive.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Page {
    /// In the order of their ids.
    pub rows: Vec<Stored>,
    /// There is nothing more in the direction of the query.
    pub complete: bool,
    /// If it was asked for. `None` even then if very many rows would have to be read to count them, as
    /// for a word that is in each message (XEP-0059 §2.7 allows it).
    pub count: Option<Count>,
}

/// Bytes of messages after which a page takes no more rows.
pub(super) const PAGE_BYTES: usize = 1 << 20;

/// How many messages there are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Count {
    /// All that the query finds: on this page, before it and after it.
    pub total: u64,
    /// How many of them are before the page.
    pub before: u64,
}

/// One end of an archive: the message, and when the server took it.
pub type End = (MessageId, Timestamp);

/// What an archive forgets. An undelivered message is forgotten when it is delivered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Retention {
    /// Messages taken before this time.
    pub before: Option<Timestamp>,
    /// All but this number of the newest messages.
    pub keep: Option<u64>,
}

/// Messages: archives, and what is not delivered yet.
///
/// On the node that stored it, a message is seen by every question after [`ArchiveStore::keep`] has
/// returned, even before its receipt resolves.
#[async_trait]
pub trait ArchiveStore: Send + Sync {
    /// Hands a message to the writer and returns at once. It waits only while the queue of the writer is
    /// full. Messages of one node become durable in the order of their ids.
    ///
    /// The receipt says `StorageError::Limit` if a holder has too many undelivered messages, and
    /// `StorageError::Quota` if a holder has used up its quota and the message has a `limit` for it: see
    /// [`Usage`](super::Usage). A holder without a limit has received the message already: at the quota
    /// its archive leaves the message out.
    async fn keep(&self, message: NewMessage) -> Result<Kept>;
    /// How far an archive can be read without a gap: messages that become visible after this call have
    /// higher ids, whichever node takes them. `None` if there is no message yet.
    ///
    /// With one node this is the newest message that was handed over. With several nodes it may be
    /// older than messages that are visible already, because a node whose clock is behind may still
    /// add messages before them. It never goes back, and it may be an id which no message has.
    fn horizon(&self) -> Option<MessageId>;
    /// The same, and not below any message that any node has taken before this call. With several nodes
    /// it waits until all of them have agreed to give higher ids from now on, and until what they have
    /// given lower ones is visible.
    ///
    /// # Errors
    /// If a node does not answer.
    async fn advance_horizon(&self) -> Result<Option<MessageId>>;
    /// These messages are delivered: their markers are removed. This is written a little later (within
    /// 100 ms); a crash before that delivers them again.
    async fn delivered(&self, owner: &BareJid, ids: &[MessageId]) -> Result<()>;
    /// Undelivered messages, oldest first, newer than `after`, `limit` at most.
    async fn waiting(
        &self,
        owner: &BareJid,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<Waiting>>;
    /// How many messages are undelivered.
    async fn waiting_count(&self, owner: &BareJid) -> Result<u64>;
    /// A page of an archive. `None` if an id of [`Query::named`] is not in it.
    async fn page(&self, owner: &BareJid, query: &Query) -> Result<Option<Page>>;
    /// Replaces the stanza of a message that is in an archive of this owner: in all archives, and for all that wait
    /// for it, since it is stored once. Its id, its time and its place stay; it counts for quotas with its new
    /// size. Searching for words no longer finds it. `false` if it is not in the archive.
    async fn replace(&self, owner: &BareJid, id: MessageId, xml: Bytes) -> Result<bool>;
    /// The oldest and the newest message of an archive; `None` if it is empty.
    async fn ends(&self, owner: &BareJid) -> Result<Option<(End, End)>>;
    /// Owners of archives, in the order of their addresses, after `after`.
    async fn owners(&self, after: Option<&BareJid>, limit: usize) -> Result<Vec<BareJid>>;
    /// Forgets the oldest messages of an archive, some hundred at once. Returns how many. The caller
    /// repeats it until it returns 0.
    async fn expire(&self, owner: &BareJid, retention: Retention) -> Result<u64>;
}

impl NewMessage {
    /// Each owner once, without those that hold nothing.
    pub(super) fn merge_holders(&mut self) {
        self.holders.retain(|holder| holder.archive || holder.waiting);
        let mut next = 1;
        while next < self.holders.len() {
            let (before, rest) = self.holders.split_at_mut(next);
            match before.iter_mut().find(|h| h.owner == rest[0].owner) {
                None => next += 1,
                Some(same) => {
                    same.archive |= rest[0].archive;
                    same.waiting |= rest[0].waiting;
                    same.limit = same.limit.or(rest[0].limit);
                    self.holders.remove(next);
                }
            }
        }
    }
}
