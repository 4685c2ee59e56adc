//! A session as it is written down when the server ends, and made again by the next one
//! (XEP-0198 §5): clients should not notice an upgrade.
//!
//! It is a value, so there is nothing to be forgotten by accident: what stands in [`Session`], its
//! mailbox and its handle is written here, or said below not to be.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::stream_management::Unacknowledged;
use super::{
    Delivery, InboxLimits, Resumption, Session, SessionFacts, SessionRef, SessionTable, Unread,
};
use crate::jid::{FullJid, Jid};
use crate::payload::datetime::Timestamp;
use crate::stanza::{Presence, Stanza};
use crate::storage::{MessageId, Resumable, SavedSession};
use crate::xml::Frame;

/// What a newer program may write, an older one does not read: then the session is lost, and its
/// client hears how many of its stanzas were handled.
const VERSION: u32 = 1;

#[derive(Debug, Deserialize, Serialize)]
struct State {
    version: u32,
    /// When, in microseconds since 1970.
    at: i64,
    /// Seconds for which the session can be resumed.
    max: u64,
    /// Stanzas that the client has acknowledged, modulo 2^32.
    acknowledged: u32,
    /// How many of the queue were written to its last connection.
    written: usize,
    /// Those it has not acknowledged, and what was in the mailbox behind them.
    queue: Vec<Queued>,
    presence: Option<String>,
    priority: i8,
    directed: Vec<String>,
    interested: bool,
    wants_blocklist: bool,
    /// The newest message when it was bound.
    bound: Option<i64>,
    /// It looks for messages from here on, with or without a marker.
    since: Option<i64>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Queued {
    xml: String,
    to: Option<String>,
    marker: Option<i64>,
    /// Marks of messages that were read in the archive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    read: Vec<i64>,
    answered: bool,
}

impl Session {
    /// Takes it out of the table and writes it down; `newest` is the newest message of the server.
    /// Answers also what its client has not got, should the store not take it. If it cannot be resumed
    /// by another server, it is given back, to be ended.
    ///
    /// # Errors
    /// The session itself.
    pub fn save(
        self,
        at: Timestamp,
        newest: Option<MessageId>,
    ) -> Result<(SavedSession, Unread), Self> {
        let Some(mut state) = self.state(at, newest) else { return Err(self) };
        self.leave();
        // What is offered from now on is not taken.
        state.since = self.unread_since(newest);
        let had_backlog = self.handle.has_backlog();
        let new = self.handle.inbox().close();
        state.queue.extend(new.iter().map(|new| queued(new, false)));
        let Some(saved) = self.written(&state) else { return Err(self) };
        let (sent, ..) = self.link(|link| link.saved());
        let sent = sent.into_iter().filter(|(_, answered)| !answered);
        let deliveries = sent.map(|(delivery, _)| delivery).chain(new).collect();
        Ok((saved, Unread { deliveries, had_backlog }))
    }

    /// The same without an end: the session goes on without a connection. What it is given later is
    /// not in it; messages have their markers. `newest` as of before. `None` if it cannot be resumed by
    /// another server.
    #[must_use]
    pub fn save_ahead(&self, at: Timestamp, newest: Option<MessageId>) -> Option<SavedSession> {
        let mut state = self.state(at, newest)?;
        state.queue.extend(self.handle.inbox().queued().iter().map(|new| queued(new, false)));
        self.written(&state)
    }

    /// All but the mailbox.
    fn state(&self, at: Timestamp, newest: Option<MessageId>) -> Option<State> {
        let resumption = self.link(|link| link.resumption())?;
        resumption.number?;
        let (sent, acknowledged, written) = self.link(|link| link.saved());
        let bound = self.handle.facts().newest.map(MessageId::get);
        Some(self.handle.presence(|p| State {
            version: VERSION,
            at: at.as_micros(),
            max: resumption.max.as_secs(),
            acknowledged,
            written,
            queue: sent.iter().map(|(delivery, answered)| queued(delivery, *answered)).collect(),
            presence: p.available.as_ref().map(|p| Stanza::Presence((**p).clone()).to_xml()),
            priority: p.priority,
            directed: sorted(p.directed.iter().map(|jid| jid.as_str().to_owned())),
            interested: p.interested,
            wants_blocklist: p.wants_blocklist,
            bound,
            since: self.unread_since(newest),
        }))
    }

    fn unread_since(&self, newest: Option<MessageId>) -> Option<i64> {
        let since = self.handle.inbox().backlog(|backlog| backlog.unread()).map(MessageId::get);
        since.or(newest.map_or(Some(1), |newest| Some(newest.get() + 1)))
    }

    fn written(&self, state: &State) -> Option<SavedSession> {
        let number = self.link(|link| link.resumption())?.number?;
        let handled = self.link(|link| link.handled_count());
        let state = serde_json::to_vec(state).map(Bytes::from).unwrap_or_default();
        Some(SavedSession { number, handled, state })
    }

    /// Makes a session again that a server before has saved, and enters it into the table: it waits
    /// for its client. Answers for how long it may still wait: no time at all, if that is over. `None`
    /// if it cannot be read.
    #[must_use]
    pub fn restore(
        table: &Arc<SessionTable>,
        saved: &Resumable,
        facts: &SessionFacts,
        bounds: InboxLimits,
        now: Timestamp,
    ) -> Option<(Self, Duration)> {
        let state: State = serde_json::from_slice(saved.state.as_ref()?).ok()?;
        let max = Duration::from_secs(state.max);
        let since = u64::try_from(now.as_micros().saturating_sub(state.at)).unwrap_or(0);
        let left = max.saturating_sub(Duration::from_micros(since));
        if state.version != VERSION {
            return None;
        }
        let jid: FullJid = saved.owner.with_resource(&saved.resource).ok()?;
        let queue = state.queue.iter().map(delivery).collect::<Option<Vec<_>>>()?;
        let facts = SessionFacts { newest: state.bound.and_then(MessageId::new), ..facts.clone() };
        let session = Self::open(Arc::clone(table), jid, facts, bounds, usize::MAX);
        let id = saved.key.as_str().into();
        let resumption = Resumption { id, max, number: Some(saved.number) };
        table.resumable(resumption.id.clone(), &session.handle);
        // What came for the account while there was no server, or while it ended, has but a marker:
        // the session looks for it when it is resumed.
        let sized = |delivery: &Delivery| (delivery.marker, delivery.stanza.size());
        let given = queue.iter().map(|(delivery, _)| sized(delivery));
        let given = given.filter_map(|(marker, size)| Some((marker?, size)));
        let read = queue.iter().filter_map(|(delivery, _)| delivery.read.as_ref());
        let in_flight = given.chain(read.flat_map(|read| read.iter().map(|marker| (*marker, 0))));
        let since = state.since.and_then(MessageId::new);
        session.handle.inbox().backlog(|backlog| backlog.restore(in_flight, since));
        session.handle.set_writer(false);
        let sent = Unacknowledged::restored(state.acknowledged, queue, state.written);
        session.link(|link| link.restore(resumption, saved.handled, sent));
        present(&session.handle, &state);
        Some((session, left))
    }
}

fn present(handle: &SessionRef, state: &State) {
    let presence = state.presence.as_ref().and_then(|xml| stanza(xml));
    handle.update_presence(|p| {
        p.available = presence.and_then(|stanza| match stanza {
            Stanza::Presence(presence) => Some(Arc::new(packed(presence))),
            Stanza::Iq(_) | Stanza::Message(_) => None,
        });
        p.priority = state.priority;
        p.directed = state.directed.iter().filter_map(|jid| Jid::parse(jid).ok()).collect();
        p.interested = state.interested;
        p.wants_blocklist = state.wants_blocklist;
    });
}

/// So that the same session is written the same way twice.
fn sorted(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut texts: Vec<_> = texts.collect();
    texts.sort_unstable();
    texts
}

fn packed(presence: Presence) -> Presence {
    Presence { content: presence.content.packed(), ..presence }
}

fn queued(delivery: &Delivery, answered: bool) -> Queued {
    Queued {
        xml: delivery.stanza.to_xml(),
        to: delivery.to.as_ref().map(|to| to.as_str().to_owned()),
        marker: delivery.marker.map(MessageId::get),
        read: delivery
            .read
            .iter()
            .flat_map(|read| read.iter().map(|marker| marker.get()))
            .collect(),
        answered,
    }
}

fn delivery(queued: &Queued) -> Option<(Delivery, bool)> {
    let stanza = Arc::new(stanza(&queued.xml)?);
    let to = match &queued.to {
        Some(to) => Some(Jid::parse(to).ok()?),
        None => None,
    };
    let read: Arc<[_]> = queued.read.iter().copied().filter_map(MessageId::new).collect();
    let read = (!read.is_empty()).then_some(read);
    let delivery = Delivery { stanza, to, marker: queued.marker.and_then(MessageId::new), read };
    Some((delivery, queued.answered))
}

fn stanza(xml: &str) -> Option<Stanza> {
    Stanza::read(Frame::from_bytes(xml.to_owned()).ok()?).ok()
}
