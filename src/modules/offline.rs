//! XEP-0160: messages for those who are away wait for them, by the marker "not yet delivered" that was
//! kept with them (docs/delivery.md). Here is how they come to a client after all.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustc_hash::FxHashSet;
use tokio::time::timeout;

use crate::config::LimitsConfig;
use crate::host::{Hosts, Manifest, Module, Registry, Scope, Status, Xep, block_list};
use crate::jid::{BareJid, Jid};
use crate::log::STANZA;
use crate::payload::{delay, stanza_id};
use crate::session::{Session, SessionRef};
use crate::stanza::{Head, Stanza};
use crate::storage::{self, MessageId, Page, Query, Stored, Waiting, Way};
use crate::xml::Frame;

const NS: &str = "msgoffline";

/// Delivers what has waited.
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

/// How much a client may have been given and not have got yet while it catches up.
#[derive(Clone, Copy, Debug)]
pub struct ReadAhead {
    /// Messages.
    pub messages: usize,
    /// Bytes; one message is always given.
    pub bytes: usize,
}

impl ReadAhead {
    /// As much as fits well within what a session may hold.
    #[must_use]
    pub fn within(limits: &LimitsConfig) -> Self {
        Self {
            messages: AHEAD.min(limits.unacknowledged / 2).min(limits.inbox_stanzas / 4),
            bytes: AHEAD_BYTES.min(limits.unacknowledged_bytes / 2).min(limits.inbox_bytes / 4),
        }
    }
}

/// Delivers what waits for the account of a session, oldest first, at the pace of the client. What
/// comes meanwhile is kept and comes in its turn, so that nothing overtakes; when nothing is left,
/// the session gets its messages directly. A session that wants no messages but those to its very
/// address gets those alone, and none that waited before it was bound (XEP-0160 §2).
///
/// A message that was deferred may have lost its marker to another session of the account: this one
/// finds it in the archive.
///
/// May be dropped at any time: if the connection is lost, the session reads on when it is resumed.
///
/// # Errors
/// If the store fails: nothing is lost, what waits goes on waiting.
pub async fn catch_up(hosts: &Hosts, session: &Session, ahead: ReadAhead) -> storage::Result<()> {
    if session.handle().available().is_none() && is_behind(hosts, session).await? {
        // A client that has just been bound says in a moment whether it wants what waits.
        drop(timeout(APPEARING, session.mailbox().wait_until_available()).await);
    }
    // Mostly there is nothing, so look once. New messages are buffered meanwhile.
    let mut reading = Reading::begin(hosts, session, ahead);
    session.mailbox().buffer_new();
    hosts.storage.archive().advance_horizon().await?;
    if reading.page().await?.is_empty() && session.mailbox().end_catch_up() {
        return Ok(());
    }
    loop {
        reading = Reading::begin(hosts, session, ahead);
        if !reading.read(None).await? {
            return Ok(());
        }
        // The rest: what was deferred until now. It has a number that was given until now.
        session.mailbox().buffer_new();
        if !reading.read(hosts.storage.archive().advance_horizon().await?).await?
            || session.mailbox().end_catch_up()
        {
            return Ok(());
        }
    }
}

/// Looks whether something waits for a session that has just been bound. If not, what others send to
/// its very address need not wait until it is known whether it wants what waits.
pub async fn look(hosts: &Hosts, session: &Session) {
    match is_behind(hosts, session).await {
        Ok(false) => session.mailbox().go_live_if_undecided(),
        Ok(true) => {}
        Err(error) => {
            tracing::error!(jid = %session.handle().jid(), %error, "cannot look up undelivered messages")
        }
    }
}

/// Something has waited since before others saw that the session is there, or was left out since.
async fn is_behind(hosts: &Hosts, session: &Session) -> storage::Result<bool> {
    let user = session.handle().jid().to_bare();
    let oldest = hosts.storage.archive().waiting(&user, None, 1).await?;
    let newest = session.handle().facts().newest_seen.max(session.mailbox().newest_skipped());
    Ok(oldest.first().is_some_and(|waiting| Some(waiting.id) <= newest))
}

struct Reading<'a> {
    hosts: &'a Hosts,
    session: &'a Session,
    user: BareJid,
    ahead: ReadAhead,
    in_flight: FxHashSet<MessageId>,
    /// Not only those to the session's own address, which came while it was there.
    all: bool,
    after: Option<MessageId>,
}

impl<'a> Reading<'a> {
    fn begin(hosts: &'a Hosts, session: &'a Session, ahead: ReadAhead) -> Self {
        let in_flight = session.mailbox().begin_catch_up();
        let all = session.handle().priority() >= Some(0);
        let after = if all { None } else { session.handle().facts().newest };
        let user = session.handle().jid().to_bare();
        Self { hosts, session, user, ahead, in_flight, all, after }
    }

    /// What comes next, oldest first: what has its marker, and of the archive what was deferred.
    async fn page(&mut self) -> storage::Result<Vec<Waiting>> {
        loop {
            let (page, end) = self.next().await?;
            match end {
                Some(end) if page.is_empty() && Some(end) > self.after => self.after = Some(end),
                _ => return Ok(page),
            }
        }
    }

    /// A page, which may be empty, and how far it goes if there is more behind it.
    ///
    /// Two questions, one after the other: what comes between them is seen by the second one only, if
    /// at all. A message to oneself, or one that may not be archived, would be left behind when a newer
    /// one is found. So a page ends with what both have seen; what is newer comes with the next one.
    async fn next(&self) -> storage::Result<(Vec<Waiting>, Option<MessageId>)> {
        let archive = self.hosts.storage.archive();
        // In this order: whatever is deferred from here on is newer.
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
        // Up to where both are known.
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

    /// A message of the archive was for all sessions, or for this one.
    fn is_meant(&self, xml: &Bytes) -> bool {
        let frame = Frame::from_bytes(xml.clone()).ok();
        let to =
            frame.and_then(|frame| frame.root().attr("to").and_then(|to| Jid::parse(&to).ok()));
        to.is_none_or(|to| to == **self.session.handle().jid() || to == *self.user)
    }

    /// It was kept for somebody who was away, or has waited for long. What only queues behind others
    /// while the session catches up is as fresh as any (XEP-0203 §2).
    fn is_late(&self, waiting: &Waiting) -> bool {
        let waited = self.hosts.clock.now().as_micros() - waiting.at.as_micros();
        let is_prompt = waited < PROMPT.as_micros() as i64;
        self.all && !(is_prompt && self.session.mailbox().was_deferred(waiting.id))
    }

    /// Until there is nothing more, or nothing up to `last`. `false` if the session has ended.
    async fn read(&mut self, last: Option<MessageId>) -> storage::Result<bool> {
        let Self { hosts, session, ahead, .. } = *self;
        loop {
            let page = self.page().await?;
            let Some(newest) = page.last() else { return Ok(true) };
            let blocked = hosts.block_list(&self.user).await?;
            for waiting in &page {
                self.after = Some(waiting.id);
                if self.in_flight.contains(&waiting.id)
                    || session.mailbox().is_in_flight(waiting.id)
                {
                    continue;
                }
                let is_late = self.is_late(waiting);
                let Some(stanza) = as_redelivery(hosts, &self.user, waiting, is_late) else {
                    continue;
                };
                if !self.all && stanza.head().to.as_ref() != Some(&**session.handle().jid()) {
                    continue;
                }
                let from = stanza.head().from.as_ref();
                if from.is_some_and(|from| block_list::keeps_out(&blocked, &self.user, from)) {
                    // Blocked while it waited (XEP-0191 §3.3).
                    note(session.handle(), &stanza, "dropped: the recipient blocks the sender");
                    hosts.storage.archive().delivered(&self.user, &[waiting.id]).await?;
                    continue;
                }
                session.mailbox().wait_for_in_flight(ahead.messages, ahead.bytes).await;
                note(session.handle(), &stanza, "delivered from the store");
                if session.mailbox().deliver_stored(stanza, waiting.id).is_err() {
                    return Ok(false);
                }
                hosts.metrics.offline_delivered.inc();
            }
            if last.is_some_and(|last| newest.id >= last) {
                return Ok(true);
            }
        }
    }
}

/// A session has ended, and its client has not got all that it was given: the user's other sessions
/// look for what waits, if they have not got it, either (RFC 6121 §8.5.2). If there is none, it waits
/// on: whoever sent it believes that it arrived.
pub fn pass_on(hosts: &Hosts, user: &BareJid) {
    for other in hosts.sessions.of(user).iter().filter(|other| other.priority() >= Some(0)) {
        other.request_catch_up();
    }
}

/// A message as it is delivered after it has waited: with the time it was taken, if it is late
/// (XEP-0203), and the id that it has in the archive, the same each time (XEP-0359).
///
/// DEPARTS: XEP-0203 §2 – beside ours there may be a `<delay/>` of its sender, who has been on a bad
/// network (XEP-0198 §4) and knows best when it was written. `from` tells them apart.
fn as_redelivery(
    hosts: &Hosts,
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
        message.content.add(&delay::delay(&hosts.host(user.domain())?.jid, waiting.at));
    }
    if waiting.archived {
        let id = hosts.message_ids.write(waiting.id);
        message.content.add(&stanza_id::stanza_id(user, &id));
    }
    Some(Arc::new(Stanza::Message(message)))
}

/// Says in the log what becomes of a message that was stored.
fn note(session: &SessionRef, stanza: &Stanza, what: &'static str) {
    let Head { from, to, id, .. } = stanza.head();
    let (from, to) = (from.as_ref().map(Jid::as_str), to.as_ref().map(Jid::as_str));
    tracing::debug!(target: STANZA, from, to, id = id.as_deref(), session = %session.jid(), "{what}");
}

/// Messages of those that waited which a client may have been given and not have got yet.
const AHEAD: usize = 128;
/// Bytes of them.
const AHEAD_BYTES: usize = 256 * 1024;
/// Messages fetched from the store at once.
const PAGE: usize = 32;
/// Who sees the message within this time takes it for a new one.
const PROMPT: Duration = Duration::from_secs(5);
/// From the binding of a session to its first presence.
const APPEARING: Duration = Duration::from_secs(1);
