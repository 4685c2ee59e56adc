//! XEP-0160: messages for offline users. They are stored with an undelivered marker (docs/delivery.md). This
//! file delivers them: a session catches up.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustc_hash::FxHashSet;
use tokio::time::timeout;

use crate::config::LimitsConfig;
use crate::host::{Manifest, Module, Registry, Scope, ServerState, Status, Xep, block_list};
use crate::jid::{BareJid, Jid};
use crate::log::STANZA;
use crate::payload::{delay, stanza_id};
use crate::session::{Session, SessionRef};
use crate::stanza::{Head, Stanza};
use crate::storage::{self, MessageId, Page, Query, Stored, Waiting, Way};
use crate::xml::Frame;

const NS: &str = "msgoffline";

/// Delivers stored messages.
pub struct Offline;

impl Module for Offline {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "offline",
            summary: "Keeps messages for those who are away",
            xeps: &[
                Xep { number: 160, version: "1.0.1", status: Status::Complete },
                Xep { number: 203, version: "2.0", status: Status::Complete },
            ],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.feature(Scope::Host, NS);
    }
}

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

/// Delivers the undelivered messages of a session's account, oldest first, as fast as the client reads. New
/// messages are deferred and come in their turn, so that none overtakes another. When nothing is left, the
/// session is live. A session with a negative priority gets only messages to its own full address, and none
/// from before it was bound (XEP-0160 §2).
///
/// Another session of the account may have removed the marker of a deferred message. Then this session finds
/// the message in the archive.
///
/// It may be dropped at any time. If the connection is lost, the session continues when it is resumed.
///
/// # Errors
/// If the store fails. Nothing is lost: the messages stay in the store.
pub async fn catch_up(
    server: &ServerState,
    session: &Session,
    ahead: ReadAhead,
) -> storage::Result<()> {
    if session.handle().available().is_none() && is_behind(server, session).await? {
        // A client that was just bound will soon send its first presence, or not.
        drop(timeout(APPEARING, session.mailbox().wait_until_available()).await);
    }
    // Mostly there is nothing, so look once. New messages are buffered in the meantime.
    let mut reading = Reading::begin(server, session, ahead);
    session.mailbox().buffer_new();
    server.storage.archive().advance_horizon().await?;
    if reading.page().await?.is_empty() && session.mailbox().end_catch_up() {
        return Ok(());
    }
    loop {
        reading = Reading::begin(server, session, ahead);
        if !reading.read(None).await? {
            return Ok(());
        }
        // The rest are messages that were deferred until now. Their ids are not newer than this.
        session.mailbox().buffer_new();
        if !reading.read(server.storage.archive().advance_horizon().await?).await?
            || session.mailbox().end_catch_up()
        {
            return Ok(());
        }
    }
}

/// Checks whether there are undelivered messages for a session that was just bound. If there are none,
/// messages to its full address can go to it at once.
pub async fn look(server: &ServerState, session: &Session) {
    match is_behind(server, session).await {
        Ok(false) => session.mailbox().go_live_if_undecided(),
        Ok(true) => {}
        Err(error) => {
            tracing::error!(jid = %session.handle().jid(), %error, "cannot look up undelivered messages")
        }
    }
}

/// Whether there is an undelivered message from before others saw the session, or one that was skipped since.
async fn is_behind(server: &ServerState, session: &Session) -> storage::Result<bool> {
    let user = session.handle().jid().to_bare();
    let oldest = server.storage.archive().waiting(&user, None, 1).await?;
    let newest = session.handle().facts().newest_seen.max(session.mailbox().newest_skipped());
    Ok(oldest.first().is_some_and(|waiting| Some(waiting.id) <= newest))
}

struct Reading<'a> {
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
    fn begin(server: &'a ServerState, session: &'a Session, ahead: ReadAhead) -> Self {
        let in_flight = session.mailbox().begin_catch_up();
        let all = session.handle().priority() >= Some(0);
        let after = if all { None } else { session.handle().facts().newest };
        let user = session.handle().jid().to_bare();
        Self { server, session, user, ahead, in_flight, all, after }
    }

    /// The next messages, oldest first: those with a marker, and deferred ones from the archive.
    async fn page(&mut self) -> storage::Result<Vec<Waiting>> {
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
    async fn read(&mut self, last: Option<MessageId>) -> storage::Result<bool> {
        let Self { server, session, ahead, .. } = *self;
        loop {
            let page = self.page().await?;
            let Some(newest) = page.last() else { return Ok(true) };
            let blocked = server.block_list(&self.user).await?;
            for waiting in &page {
                self.after = Some(waiting.id);
                if self.in_flight.contains(&waiting.id)
                    || session.mailbox().is_in_flight(waiting.id)
                {
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
                    note(session.handle(), &stanza, "dropped: the recipient blocks the sender");
                    server.storage.archive().delivered(&self.user, &[waiting.id]).await?;
                    continue;
                }
                session.mailbox().wait_for_in_flight(ahead.messages, ahead.bytes).await;
                note(session.handle(), &stanza, "delivered from the store");
                if session.mailbox().deliver_stored(stanza, waiting.id).is_err() {
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

/// A session has ended before its client received all messages. The user's other sessions catch up, if they
/// have not received them, either (RFC 6121 §8.5.2). If there is no other session, the messages stay stored.
pub fn pass_on(server: &ServerState, user: &BareJid) {
    for other in server.sessions.of(user).iter().filter(|other| other.priority() >= Some(0)) {
        other.request_catch_up();
    }
}

/// A stored message as it is delivered: with the time at which the server received it, if it is late
/// (XEP-0203), and with its id in the archive, which is always the same (XEP-0359).
///
/// DEPARTS: XEP-0203 §2 – the message may also have a `<delay/>` of its sender, whose network was bad
/// (XEP-0198 §4) and who knows when it was written. `from` distinguishes the two.
fn as_redelivery(
    server: &ServerState,
    user: &BareJid,
    waiting: &Waiting,
    is_late: bool,
) -> Option<Arc<Stanza>> {
    let frame = Frame::from_bytes(waiting.xml.clone()).ok();
    let Some(Ok(Stanza::Message(mut message))) = frame.map(Stanza::read) else {
        tracing::error!(jid = %user, id = waiting.id.get(), "a stored message is damaged");
        return None;
    };
    if is_late {
        message.content.add(&delay::delay(&server.host(user.domain())?.jid, waiting.at));
    }
    if waiting.archived {
        let id = server.message_ids.write(waiting.id);
        message.content.add(&stanza_id::stanza_id(user, &id));
    }
    Some(Arc::new(Stanza::Message(message)))
}

/// Logs what happens to a stored message.
fn note(session: &SessionRef, stanza: &Stanza, what: &'static str) {
    let Head { from, to, id, .. } = stanza.head();
    let (from, to) = (from.as_ref().map(Jid::as_str), to.as_ref().map(Jid::as_str));
    tracing::debug!(target: STANZA, from, to, id = id.as_deref(), session = %session.jid(), "{what}");
}

/// The largest number of messages in flight while a session catches up.
const AHEAD: usize = 128;
/// The largest number of their bytes.
const AHEAD_BYTES: usize = 256 * 1024;
/// Messages that are read from the store at once.
const PAGE: usize = 32;
/// A message that is delivered within this time is new for the reader.
const PROMPT: Duration = Duration::from_secs(5);
/// The usual time from the binding of a session to its first presence.
const APPEARING: Duration = Duration::from_secs(1);
