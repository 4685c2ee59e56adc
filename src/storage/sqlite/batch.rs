//! What the writer is asked for, and how a batch of it is written.
//!
//! Frequent jobs are written kind by kind, so that each kind is a few statements. Only a
//! [`Change`](super::change::Change) keeps its place in the order. A marker that is removed in the batch
//! that adds it is never written.

use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::change::Pending;
use super::device_note::{self, DeviceNote};
use super::queued_message::QueuedMessage;
use super::write_tx::WriteTx;
use super::{delete_messages, insert_messages};
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::sql::account;
use crate::storage::sql::resumption::{self, Begin};
use crate::storage::{Handled, MessageId, Result, SessionNumber};

/// Something the writer is asked for.
pub(super) enum Job {
    /// Answer when everything before this has been committed or has failed.
    Flush(oneshot::Sender<()>),
    /// A session has begun.
    Begin(Box<Begin>, oneshot::Sender<Result<()>>),
    /// Anything else.
    Change(Box<dyn Pending>),
    /// Messages were delivered: remove their markers.
    ClearMarkers(BareJid, SmallVec<[MessageId; 4]>),
    /// The storage is being closed.
    Close,
    /// A session has ended.
    End(SessionNumber, Timestamp),
    /// A session has handled this number of stanzas.
    Handled(Handled, oneshot::Sender<Result<()>>),
    /// Store a message. This is the most frequent job.
    Keep(Box<QueuedMessage>),
    /// A user has logged in, with this client.
    Login(BareJid, Timestamp, Option<Box<DeviceNote>>),
}

impl Job {
    /// How long it may wait for other jobs, to be committed with them.
    pub(super) fn patience(&self) -> Duration {
        match self {
            Self::ClearMarkers(..) | Self::End(..) => MARKER_DELAY,
            Self::Login(..) => LOGIN_DELAY,
            Self::Flush(_)
            | Self::Begin(..)
            | Self::Change(_)
            | Self::Close
            | Self::Handled(..)
            | Self::Keep(_) => Duration::ZERO,
        }
    }

    /// Whether it may wait when other jobs are committed now. The removal of a marker does not wait if
    /// the batch adds that marker, because then the marker need not be written at all. `lowest` is the
    /// lowest id of a message in the batch.
    pub(super) fn may_wait(&self, lowest: Option<MessageId>) -> bool {
        match self {
            Self::ClearMarkers(_, ids) => {
                lowest.is_none_or(|lowest| ids.iter().all(|id| *id < lowest))
            }
            _ => self.patience() > Duration::ZERO,
        }
    }

    /// The id of the message that it adds.
    pub(super) fn message(&self) -> Option<MessageId> {
        match self {
            Self::Keep(message) => Some(message.id),
            _ => None,
        }
    }

    pub(super) fn is_flush(&self) -> bool {
        matches!(self, Self::Flush(_))
    }

    pub(super) fn is_change(&self) -> bool {
        matches!(self, Self::Change(_))
    }
}

/// Moves removals of markers from the jobs that wait to a batch, if it adds messages for the same owners:
/// what an owner may store depends on what is still undelivered.
pub(super) fn take_along(patient: &mut Vec<Job>, batch: &mut Vec<Job>) {
    if patient.is_empty() || batch.is_empty() {
        return;
    }
    let mut owners = FxHashSet::default();
    for job in &*batch {
        if let Job::Keep(message) = job {
            owners.extend(message.message.holders.iter().map(|holder| holder.owner.clone()));
        }
    }
    let is_taken =
        |job: &mut Job| matches!(job, Job::ClearMarkers(owner, _) if owners.contains(owner));
    batch.extend(patient.extract_if(.., is_taken));
}

/// How long a login may wait for other jobs.
const LOGIN_DELAY: Duration = Duration::from_secs(2);
/// How long the removal of a marker may wait for other jobs. A crash during that time delivers the
/// message twice.
const MARKER_DELAY: Duration = Duration::from_millis(100);

/// Writes a batch within a transaction. It is called again with the same jobs if that is rolled back.
pub(super) async fn apply(on: &mut WriteTx<'_>, jobs: &mut [Job]) -> Result<()> {
    on.refresh();
    for run in jobs.chunk_by_mut(|a, b| !a.is_change() && !b.is_change()) {
        if let [Job::Change(change)] = run {
            change.apply(on).await?;
            continue;
        }
        apply_run(on, run).await?;
    }
    Ok(())
}

/// Writes frequent jobs, each kind with a few statements.
async fn apply_run(on: &mut WriteTx<'_>, run: &mut [Job]) -> Result<()> {
    let (mut begun, mut ended, mut logins, mut clears) = (vec![], vec![], vec![], vec![]);
    let mut handled = FxHashMap::default();
    let mut keeps: Vec<&mut QueuedMessage> = Vec::new();
    for job in run {
        match job {
            Job::Begin(session, _) => begun.push(&**session),
            Job::ClearMarkers(owner, ids) => clears.push((&*owner, &ids[..])),
            Job::End(session, at) => ended.push((session.0, at.as_micros())),
            Job::Handled(noted, _) => note(&mut handled, *noted),
            Job::Keep(keep) => {
                if let Some(noted) = keep.message.handled {
                    note(&mut handled, noted);
                }
                keeps.push(keep);
            }
            Job::Login(user, at, device) => logins.push((&*user, *at, device.as_deref_mut())),
            Job::Flush(_) | Job::Change(_) | Job::Close => {}
        }
    }
    // Ids grow in the queue, so a marker of this id or a higher one is not written yet.
    let first = keeps.first().map(|keep| keep.id);
    let is_fresh = |id: &MessageId| first.is_some_and(|first| *id >= first);
    let pairs = clears.iter().flat_map(|(owner, ids)| ids.iter().map(|id| (*owner, *id)));
    let (cleared, old): (Vec<_>, Vec<_>) = pairs.partition(|(_, id)| is_fresh(id));
    delete_messages::clear_markers(on, &old).await?;
    insert_messages::insert_all(on, &mut keeps, &cleared.into_iter().collect()).await?;
    write_begun(on, &begun).await?;
    let handled: Vec<_> = handled.into_iter().collect();
    resumption::set_handled(&mut on.tx, &handled).await?;
    resumption::end(&mut on.tx, &ended).await?;
    write_logins(on, logins).await
}

/// Of several counts of a session, the highest is written.
fn note(counts: &mut FxHashMap<i64, u32>, noted: Handled) {
    let count = counts.entry(noted.session.0).or_insert(noted.count);
    if noted.is_ahead(*count) {
        *count = noted.count;
    }
}

/// Stores that sessions have begun.
async fn write_begun(on: &mut WriteTx<'_>, begun: &[&Begin]) -> Result<()> {
    let mut rows = Vec::with_capacity(begun.len());
    for session in begun {
        rows.push((on.owner(&session.owner).await?.number, *session));
    }
    resumption::insert(&mut on.tx, &rows).await
}

/// Writes the times of logins, and with which clients. Does nothing for accounts that were removed.
async fn write_logins(on: &mut WriteTx<'_>, logins: Vec<Login<'_>>) -> Result<()> {
    // Of several logins of an account, the last one is written.
    let mut times = FxHashMap::default();
    let mut notes = Vec::new();
    for (user, at, note) in logins {
        if let Some(known) = on.owner_if_any(user).await? {
            times.insert(known.number, at.as_micros());
            notes.extend(note.map(|note| (known.number, note, at.as_micros())));
        }
    }
    let times: Vec<(i64, i64)> = times.into_iter().collect();
    account::note_logins(&mut on.tx, &times).await?;
    device_note::write(on, &mut notes).await
}

/// A user, when the user has logged in, and the client if it is to be noted.
type Login<'a> = (&'a BareJid, Timestamp, Option<&'a mut DeviceNote>);
