//! Messages: kept once, held by owners, marked until they are delivered.
//!
//! A message is kept under one number for all who hold it. An owner holds it in the archive
//! (XEP-0313), by the mark "not yet delivered", or both. All of it is one transaction.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::{MessageId, Result, SessionNumber, StorageError};
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
    /// When the server took it; from the one clock of the server.
    pub at: Timestamp,
    /// The whole `<message/>`, with `from` and `to`, in the namespace `jabber:client`.
    pub xml: Bytes,
    /// Who holds it. Two entries of one owner become one. If nobody holds it, it is not kept.
    pub holders: SmallVec<[Holder; 2]>,
    /// Its text, to be found by its words; `None` if it is encrypted or nobody wants to search.
    pub search: Option<String>,
    /// Remembered in the same transaction, whatever becomes of the message.
    pub handled: Option<Handled>,
}

/// Somebody who holds a message.
#[derive(Clone, Debug)]
pub struct Holder {
    /// Who.
    pub owner: BareJid,
    /// The other side: whom it is from, or to.
    pub with: Jid,
    /// Which way it went.
    pub way: Way,
    /// In the archive. `false`: until it is delivered.
    pub archive: bool,
    /// It is not delivered yet.
    pub waiting: bool,
    /// So many may wait for the owner, in shares of its senders: contacts before strangers. If there is
    /// no room for this one, it is in the archive only; if it is not to be in the archive, the receipt
    /// says `StorageError::Limit`, and nobody holds the message. If it is within a share and there is no
    /// room, it takes the mark of a message that is in the archive and beyond a share. `None`: not
    /// counted.
    pub limit: Option<u32>,
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
    /// It is ahead of another count of the same session, which may have wrapped around.
    pub(super) fn is_ahead(self, of: u32) -> bool {
        self.count.wrapping_sub(of) < 1 << 31
    }
}

/// What one knows at once of a message that is being kept.
#[derive(Debug)]
pub struct Kept {
    /// Its number. Those of one store grow in the order in which messages were taken.
    pub id: MessageId,
    /// Resolves when it is durable.
    pub receipt: Receipt,
}

/// Resolves when something is durable, or will not be.
#[derive(Debug)]
#[must_use = "nothing is promised before it resolves"]
pub struct Receipt(State);

#[derive(Debug)]
enum State {
    Settled(Option<Result<()>>),
    Waiting(oneshot::Receiver<Result<()>>),
}

/// A message of an archive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stored {
    /// Its number.
    pub id: MessageId,
    /// When the server took it.
    pub at: Timestamp,
    /// The other side.
    pub with: Jid,
    /// Which way it went.
    pub way: Way,
    /// As it was kept.
    pub xml: Bytes,
}

/// A message that is not delivered yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Waiting {
    /// Its number.
    pub id: MessageId,
    /// When the server took it.
    pub at: Timestamp,
    /// It is in the owner's archive, too.
    pub archived: bool,
    /// As it was kept.
    pub xml: Bytes,
}

/// What is asked of an archive. The default is everything, oldest first, but no row of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Query {
    /// To or from this address; without a resource, with any (XEP-0313 §4.1.1).
    ///
    /// DEPARTS: XEP-0313 §4.1.1 – a full address of the owner's own finds what the owner sent to it, not
    /// all that it has sent or got: of the two addresses of a message a row has the other side's.
    pub with: Option<Jid>,
    /// Taken then or later.
    pub start: Option<Timestamp>,
    /// Taken then or earlier.
    pub end: Option<Timestamp>,
    /// Newer than this one, which need not be there.
    pub above: Option<MessageId>,
    /// Older than this one, which need not be there.
    pub below: Option<MessageId>,
    /// Where the page begins: behind this one, which need not be there. Unlike all of the others,
    /// this and `before` say nothing about how many there are.
    pub after: Option<MessageId>,
    /// Where the page ends: before this one, which need not be there.
    pub before: Option<MessageId>,
    /// The page begins at this position of all that are found, counted from 0; then neither `after`
    /// nor `before` nor `backwards` is set.
    pub index: Option<u64>,
    /// None but these.
    pub ids: Option<Vec<MessageId>>,
    /// Numbers which the asker says are there. If one is not, there is no answer.
    pub named: SmallVec<[MessageId; 4]>,
    /// With all of these words, in any order.
    pub text: Option<String>,
    /// The last page that fits, not the first. Rows are in the order of their numbers all the same.
    pub backwards: bool,
    /// How many rows at most. A page may have fewer, so that it does not get too large.
    pub max: usize,
    /// How many there are is wanted, too.
    pub count: bool,
}

impl Query {
    /// Messages may be left out between the ends of a page, or behind the last one.
    #[must_use]
    pub fn leaves_out(&self) -> bool {
        let is_chosen = self.with.is_some() || self.ids.is_some() || self.text.is_some();
        is_chosen || self.end.is_some() || self.below.is_some()
    }
}

/// Some messages of an archive.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Page {
    /// In the order of their numbers.
    pub rows: Vec<Stored>,
    /// There is nothing more in the direction of the query.
    pub complete: bool,
    /// If it was asked for. `None` all the same if to count would be a walk through very many rows,
    /// as of a word that stands in each message (XEP-0059 §2.7 allows it).
    pub count: Option<Count>,
}

/// A page that has grown larger takes no more rows, in bytes of messages.
pub(super) const PAGE_BYTES: usize = 1 << 20;

/// How many messages there are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Count {
    /// All that the query finds, on this page, before it and behind it.
    pub total: u64,
    /// How many of them are before the page.
    pub before: u64,
}

/// An end of an archive.
pub type End = (MessageId, Timestamp);

/// What an archive forgets. What still waits is forgotten when it is delivered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Retention {
    /// What was taken before.
    pub before: Option<Timestamp>,
    /// All but the newest so many.
    pub keep: Option<u64>,
}

/// Messages: kept once, held by owners, marked until they are delivered.
///
/// What was handed over is seen by every question afterwards, before its receipt resolves, too.
#[async_trait]
pub trait ArchiveStore: Send + Sync {
    /// Hands a message over to be written, and returns at once. Waits only while too many are on
    /// their way. Messages become durable in the order of their numbers.
    ///
    /// The receipt says `StorageError::Limit` if a holder has too many waiting already, and
    /// `StorageError::Quota` if a holder keeps as much as it may and the message has a `limit` for it:
    /// see [`Usage`](super::Usage). Who has no limit has got the message already: then the archive does
    /// not have it.
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
    /// The marks of these fall. Written a little later; nobody waits for it.
    async fn delivered(&self, owner: &BareJid, ids: &[MessageId]) -> Result<()>;
    /// What has its mark, oldest first, behind `after`, `limit` at most.
    async fn waiting(
        &self,
        owner: &BareJid,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<Waiting>>;
    /// How many have their mark.
    async fn waiting_count(&self, owner: &BareJid) -> Result<u64>;
    /// A page of an archive; `None` if a number that was named is not in it.
    async fn page(&self, owner: &BareJid, query: &Query) -> Result<Option<Page>>;
    /// The oldest and the newest message of an archive; `None` if it is empty.
    async fn ends(&self, owner: &BareJid) -> Result<Option<(End, End)>>;
    /// Owners of archives in the order of their addresses, from the one behind `after` on.
    async fn owners(&self, after: Option<&BareJid>, limit: usize) -> Result<Vec<BareJid>>;
    /// Forgets the oldest messages of an archive, some hundred at once; answers how many. Asked
    /// again until it answers 0, it has forgotten all that is to be forgotten.
    async fn expire(&self, owner: &BareJid, retention: Retention) -> Result<u64>;
}

impl Receipt {
    /// One that has resolved.
    pub fn settled(outcome: Result<()>) -> Self {
        Self(State::Settled(Some(outcome)))
    }

    /// One that resolves when it is told.
    pub fn waiting(on: oneshot::Receiver<Result<()>>) -> Self {
        Self(State::Waiting(on))
    }
}

impl Future for Receipt {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        match &mut self.0 {
            State::Settled(outcome) => Poll::Ready(outcome.take().unwrap_or_else(|| {
                Err(StorageError::Database("a receipt was asked twice".into()))
            })),
            State::Waiting(on) => Pin::new(on).poll(cx).map(|outcome| {
                outcome.unwrap_or_else(|_| Err(StorageError::Database("it is closed".into())))
            }),
        }
    }
}

impl NewMessage {
    /// Each owner once, without those who do not hold anything.
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
