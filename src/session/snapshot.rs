//! A snapshot of a session, which outlives the server (XEP-0198 §5): clients should not notice that the
//! server is restarted or upgraded.
//!
//! A snapshot is JSON. Another version of the program can read it: it ignores fields that it does not
//! know, and uses the default of a field that is missing. So a new field needs `#[serde(default)]`, and
//! `VERSION` stays. `VERSION` changes only if a program that does not know of the change would read the
//! snapshot wrongly.
//!
//! These are lost on purpose: orders, the state of features, requests that were sent to others.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::mailbox_state::Contents;
use super::unacknowledged::Unacknowledged;
use super::{
    ClientFlags, Delivery, Interests, MailboxLimits, Restored, Resumption, Session, SessionFacts,
    SessionTable, Unread,
};
use crate::jid::{FullJid, Jid};
use crate::payload::datetime::Timestamp;
use crate::stanza::{Presence, Stanza};
use crate::storage::{MessageId, Resumable, SavedSession, SessionNumber};
use crate::xml::Frame;

/// A snapshot of another version is not read: the session is lost, and its client is told how many of
/// its stanzas were handled.
const VERSION: u32 = 1;

#[derive(Debug, Deserialize, Serialize)]
struct Snapshot {
    version: u32,
    /// When it was made, in microseconds since 1970.
    at: i64,
    /// Seconds for which the session can be resumed.
    max: u64,
    /// Stanzas that the client has acknowledged, modulo 2^32.
    #[serde(default)]
    acknowledged: u32,
    /// How many stanzas of the queue were written to the last connection.
    #[serde(default)]
    written: usize,
    /// The stanzas that the client has not acknowledged, and behind them those of the mailbox.
    #[serde(default)]
    queue: Vec<Queued>,
    /// The last available presence, as XML.
    #[serde(default)]
    presence: Option<String>,
    #[serde(default)]
    priority: i8,
    /// The interests of its client, if they are known.
    #[serde(default)]
    interests: Option<Wanted>,
    /// The addresses that have directed presence.
    #[serde(default)]
    directed: Vec<String>,
    /// Each flag is a field of its own.
    #[serde(flatten)]
    flags: ClientFlags,
    /// The newest message of the server when the session was bound.
    #[serde(default)]
    bound: Option<i64>,
    /// The id of the client's installation.
    #[serde(default)]
    installation: Option<String>,
    /// The session reads messages of the store from here on, with or without a marker.
    #[serde(default)]
    since: Option<i64>,
    /// The first message that the session may have missed in rooms.
    #[serde(default)]
    behind: Option<i64>,
    /// But not these, which the client has received.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    received: Vec<i64>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Wanted {
    /// The hash in its presence.
    #[serde(rename = "hash")]
    key: SmolStr,
    nodes: Vec<SmolStr>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Queued {
    xml: String,
    #[serde(default)]
    to: Option<String>,
    #[serde(default, rename = "mark")]
    marker: Option<i64>,
    /// Markers of messages that the client has read in its archive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    read: Vec<i64>,
    /// It is a request, and the client has answered it.
    #[serde(default)]
    answered: bool,
}

impl Session {
    /// Ends the session for this server: removes it from the table and makes a snapshot. `newest` is the
    /// newest message of the server. Answers also what the client does not have: the caller needs it if
    /// the store fails.
    ///
    /// # Errors
    /// The session itself, to be closed, if it cannot be resumed after the next start.
    pub fn save(
        mut self,
        at: Timestamp,
        newest: Option<MessageId>,
    ) -> Result<(SavedSession, Unread), Self> {
        let Some((number, mut snapshot)) = self.snapshot(at) else { return Err(self) };
        self.leave();
        // From now on the session accepts nothing.
        let closed = self.mailbox.shared().close();
        snapshot.add(&closed, newest);
        let saved = self.to_saved(number, &snapshot);
        let (sent, ..) = self.sm(|sm| sm.saved());
        let sent = sent.into_iter().filter(|(_, answered)| !answered);
        let deliveries = sent.map(|(delivery, _)| delivery).chain(closed.queue).collect();
        Ok((saved, Unread { deliveries, was_catching_up: closed.is_catching_up }))
    }

    /// As [`Session::save`], but the session continues, without a connection. What it is given later is
    /// not in the snapshot; messages keep their markers. `newest` is read before, so that no message is
    /// forgotten that comes meanwhile. `None` if it cannot be resumed after the next start.
    #[must_use]
    pub fn save_ahead(&self, at: Timestamp, newest: Option<MessageId>) -> Option<SavedSession> {
        let (number, mut snapshot) = self.snapshot(at)?;
        snapshot.add(&self.mailbox.shared().contents(), newest);
        Some(self.to_saved(number, &snapshot))
    }

    /// Everything but the mailbox, and what the store calls the session. `None` if it cannot be resumed
    /// after the next start.
    fn snapshot(&self, at: Timestamp) -> Option<(SessionNumber, Snapshot)> {
        let resumption = self.sm(|sm| sm.resumption())?;
        let number = resumption.number?;
        let (sent, acknowledged, written) = self.sm(|sm| sm.saved());
        let handle = self.handle();
        let presence = handle.presence().lock();
        let snapshot = Snapshot {
            version: VERSION,
            at: at.as_micros(),
            max: resumption.max.as_secs(),
            acknowledged,
            written,
            queue: sent.iter().map(|(delivery, answered)| queued(delivery, *answered)).collect(),
            presence: presence.available.as_ref().map(|p| Stanza::Presence((**p).clone()).to_xml()),
            priority: presence.priority,
            interests: presence.interests.as_deref().and_then(wanted),
            directed: sorted(presence.directed().map(|jid| jid.as_str().to_owned())),
            flags: handle.flags(),
            bound: handle.facts().newest.map(MessageId::get),
            installation: handle.facts().installation.as_deref().map(str::to_owned),
            since: None,
            received: Vec::new(),
            behind: None,
        };
        Some((number, snapshot))
    }

    fn to_saved(&self, number: SessionNumber, snapshot: &Snapshot) -> SavedSession {
        let handled = self.sm(|sm| sm.handled_count());
        let state = serde_json::to_vec(snapshot).map(Bytes::from).unwrap_or_default();
        SavedSession { number, handled, state }
    }

    /// Restores a session that the previous server has saved, and enters it into the table: it waits for
    /// its client. Answers for how long it may still wait; zero if its time is over. `None`
    /// if the snapshot cannot be read.
    #[must_use]
    pub fn restore(
        table: &Arc<SessionTable>,
        saved: &Resumable,
        facts: &SessionFacts,
        limits: MailboxLimits,
        now: Timestamp,
    ) -> Option<(Self, Duration)> {
        let snapshot: Snapshot = serde_json::from_slice(saved.state.as_ref()?).ok()?;
        if snapshot.version != VERSION {
            return None;
        }
        let max = Duration::from_secs(snapshot.max);
        let age = u64::try_from(now.as_micros().saturating_sub(snapshot.at)).unwrap_or(0);
        let left = max.saturating_sub(Duration::from_micros(age));
        let jid: FullJid = saved.owner.with_resource(&saved.resource).ok()?;
        let queue = snapshot.queue.iter().map(delivery).collect::<Option<Vec<_>>>()?;
        let newest = snapshot.bound.and_then(MessageId::new);
        let installation = snapshot.installation.as_deref().map(Arc::from);
        let behind = snapshot.behind.and_then(MessageId::new);
        let restored = behind.map(|from| Arc::new(Restored::new(from, &queue)));
        let facts = SessionFacts { newest, installation, restored, ..facts.clone() };
        let session = Self::open(Arc::clone(table), jid, facts, limits, usize::MAX);
        let id = saved.key.as_str().into();
        let resumption = Resumption { id, max, number: Some(saved.number) };
        table.resumable(resumption.id.clone(), session.handle());
        // Messages that came for the account while no server ran are in the store: the session catches
        // up when it is resumed.
        let sized = |delivery: &Delivery| (delivery.marker, delivery.stanza.size());
        let given = queue.iter().map(|(delivery, _)| sized(delivery));
        let given = given.filter_map(|(marker, size)| Some((marker?, size)));
        let read = queue.iter().filter_map(|(delivery, _)| delivery.read.as_ref());
        let in_flight = given.chain(read.flat_map(|read| read.iter().map(|marker| (*marker, 0))));
        let since = snapshot.since.and_then(MessageId::new);
        let received = snapshot.received.iter().copied().filter_map(MessageId::new).collect();
        session.mailbox.change(|catch_up| catch_up.restore(in_flight, since, received));
        session.mailbox.set_writer(false);
        let sent = Unacknowledged::restored(snapshot.acknowledged, queue, snapshot.written);
        session.sm(|sm| sm.restore(resumption, saved.handled, sent));
        session.change_flags(|flags| *flags = snapshot.flags);
        let mut presence = session.handle().presence().lock();
        presence.available = snapshot.presence.as_deref().and_then(available);
        presence.priority = snapshot.priority;
        let interests = snapshot.interests.filter(|_| presence.available.is_some());
        let interests = interests.map(|wanted| Interests::new(wanted.key, wanted.nodes));
        presence.interests = interests.map(Arc::new);
        let directed = snapshot.directed.iter().filter_map(|jid| Jid::parse(jid).ok());
        presence.restore_directed(directed.collect());
        drop(presence);
        Some((session, left))
    }
}

impl Snapshot {
    /// Adds what is in the mailbox. The session will read messages of the store, with or without a marker,
    /// from the first that it was not given, else from behind the newest one.
    fn add(&mut self, contents: &Contents, newest: Option<MessageId>) {
        self.queue.extend(contents.queue.iter().map(|new| queued(new, false)));
        let behind = newest.map_or(1, |newest| newest.get() + 1);
        self.behind = Some(behind);
        self.since = Some(contents.first_unsaved.map_or(behind, MessageId::get));
        self.received = contents.received.iter().map(|id| id.get()).collect();
    }
}

fn available(xml: &str) -> Option<Arc<Presence>> {
    match stanza(xml)? {
        Stanza::Presence(presence) => Some(Arc::new(packed(presence))),
        Stanza::Iq(_) | Stanza::Message(_) => None,
    }
}

/// `None` if the client was asked and has not answered yet: it is asked again for its next presence.
fn wanted(interests: &Interests) -> Option<Wanted> {
    let wanted = || Wanted { key: interests.key().clone(), nodes: interests.nodes().to_vec() };
    interests.is_known().then(wanted)
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
