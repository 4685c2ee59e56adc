//! Reads the undelivered messages of an account from the store, and delivers them to a session.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustc_hash::FxHashSet;

use super::redelivery::as_redelivery;
use crate::config::LimitsConfig;
use crate::host::{ServerState, block_list, stanza_log};
use crate::jid::{BareJid, Jid};
use crate::session::Session;
use crate::storage::{self, MessageId, Page, Query, Stored, Waiting, Way};
use crate::xml::Frame;

/// How much may be in flight to a client that catches up.
#[derive(Clone, Copy, Debug)]
pub struct ReadAhead {
    /// Messages.
    pub messages: usize,
    /// Bytes. One message is always allowed.
    pub bytes: usize,
}

impl ReadAhead {
    /// Amounts well within the limits of a session.
    #[must_use]
    pub fn within(limits: &LimitsConfig) -> Self {
        Self {
            messages: AHEAD.min(limits.unacknowledged / 2).min(limits.inbox_stanzas / 4),
            bytes: AHEAD_BYTES.min(limits.unacknowledged_bytes / 2).min(limits.inbox_bytes / 4),
        }
    }
}

/// The messages that a session reads from the store, page by page.
pub(super) struct Reading<'a> {
    server: &'a ServerState,
    session: &'a Session,
    user: BareJid,
    ahead: ReadAhead,
    in_flight: FxHashSet<MessageId>,
    /// All messages, not only those to the session's full address from the time after its binding.
    all: bool,
    after: Option<MessageId>,
}

impl<'a> Reading<'a> {
    /// Begins at the oldest message that the session may get.
    pub(super) fn begin(server: &'a ServerState, session: &'a Session, ahead: ReadAhead) -> Self {
        let in_flight = session.mailbox().begin_catch_up();
        let all = session.handle().priority() >= Some(0);
        let after = if all { None } else { session.handle().facts().newest };
        let user = session.handle().jid().to_bare();
        Self { server, session, user, ahead, in_flight, all, after }
    }

    /// The next messages, oldest first: those with a marker, and deferred ones from the archive.
    pub(super) async fn page(&mut self) -> storage::Result<Vec<Waiting>> {
        loop {
            let (page, end) = self.next().await?;
            match end {
                Some(end) if page.is_empty() && Some(end) > self.after => self.after = Some(end),
                _ => return Ok(page),
            }
        }
    }

    /// A page, which may be empty, and its end if there is more after it.
    ///
    /// It reads twice, first one list and then the other. A message that is stored between the two reads is
    /// seen by the second one only, if at all. A message to oneself, or one that is not archived, would be
    /// skipped when a newer one is found. So a page ends where both lists end; newer messages come with the
    /// next page.
    async fn next(&self) -> storage::Result<(Vec<Waiting>, Option<MessageId>)> {
        let archive = self.server.storage.archive();
        // In this order: a message that is deferred from here on is newer.
        let horizon = archive.horizon();
        let since = self.session.mailbox().first_unread();
        let mut page = archive.waiting(&self.user, self.after, PAGE).await?;
        let found = match since {
            None => Page { complete: true, ..Page::default() },
            Some(since) => {
                let before = MessageId::new(since.get() - 1);
                let query = Query { after: self.after.max(before), max: PAGE, ..Query::default() };
                archive.page(&self.user, &query).await?.unwrap_or_default()
            }
        };
        // Up to the end of both lists.
        let ends = [
            page.last().filter(|_| page.len() == PAGE).map(|last| last.id),
            found.rows.last().filter(|_| !found.complete).map(|last| last.id),
        ];
        let end = ends.into_iter().flatten().min();
        // A message to oneself has one row, which says that it was sent.
        let is_to_user = |row: &Stored| row.way == Way::Received || row.with.to_bare() == self.user;
        let own = |row: &Stored| is_to_user(row) && self.is_meant(&row.xml);
        let passed = found.rows.into_iter().filter(own).map(|row| Waiting {
            id: row.id,
            at: row.at,
            archived: true,
            xml: row.xml,
        });
        page.extend(passed);
        let known = end.map_or(horizon, |end| horizon.min(Some(end)));
        page.retain(|waiting| Some(waiting.id) <= known);
        page.sort_by_key(|waiting| waiting.id);
        page.dedup_by_key(|waiting| waiting.id);
        Ok((page, end.and(known)))
    }

    /// Whether a message of the archive was for all sessions, or for this one.
    fn is_meant(&self, xml: &Bytes) -> bool {
        let frame = Frame::from_bytes(xml.clone()).ok();
        let to =
            frame.and_then(|frame| frame.root().attr("to").and_then(|to| Jid::parse(&to).ok()));
        to.is_none_or(|to| to == **self.session.handle().jid() || to == *self.user)
    }

    /// Whether the message is late: the user was offline, or it has waited for long. A message that was only
    /// deferred while the session catches up is not late (XEP-0203 §2).
    fn is_late(&self, waiting: &Waiting) -> bool {
        let waited = self.server.clock.now().as_micros() - waiting.at.as_micros();
        let is_prompt = waited < PROMPT.as_micros() as i64;
        self.all && !(is_prompt && self.session.mailbox().was_deferred(waiting.id))
    }

    /// Delivers until there is nothing more, or nothing up to `last`. `false` if the session has ended.
    pub(super) async fn read(&mut self, last: Option<MessageId>) -> storage::Result<bool> {
        let Self { server, session, ahead, .. } = *self;
        loop {
            let page = self.page().await?;
            let Some(newest) = page.last() else { return Ok(true) };
            let blocked = block_list::of(server, &self.user).await?;
            for waiting in &page {
                self.after = Some(waiting.id);
                if self.in_flight.contains(&waiting.id) || session.mailbox().has(waiting.id) {
                    continue;
                }
                let is_late = self.is_late(waiting);
                let Some(stanza) = as_redelivery(server, &self.user, waiting, is_late) else {
                    continue;
                };
                if !self.all && stanza.head().to.as_ref() != Some(&**session.handle().jid()) {
                    continue;
                }
                let from = stanza.head().from.as_ref();
                if from.is_some_and(|from| block_list::keeps_out(&blocked, &self.user, from)) {
                    // The sender was blocked after the message was stored (XEP-0191 §3.3).
                    stanza_log::note_lost(&stanza, "the recipient blocks the sender");
                    server.storage.archive().delivered(&self.user, &[waiting.id]).await?;
                    continue;
                }
                session.mailbox().wait_for_in_flight(ahead.messages, ahead.bytes).await;
                let given = session.mailbox().deliver_stored(Arc::clone(&stanza), waiting.id);
                stanza_log::note_stored(&stanza, session.handle(), given);
                if given.is_err() {
                    return Ok(false);
                }
                server.metrics.offline_delivered.inc();
            }
            if last.is_some_and(|last| newest.id >= last) {
                return Ok(true);
            }
        }
    }
}

/// The largest number of messages in flight while a session catches up.
const AHEAD: usize = 128;
/// The largest number of their bytes.
const AHEAD_BYTES: usize = 256 * 1024;
/// Messages that are read from the store at once.
const PAGE: usize = 32;
/// A message that is delivered within this time is new for the reader.
const PROMPT: Duration = Duration::from_secs(5);
